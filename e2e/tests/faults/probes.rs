//! Objects with versions that a packet can tell apart, and the packets that do.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use sluice_e2e::fleet::Fleet;

use crate::{DROPPED, PATIENCE};

const PORT: u16 = 7100;
/// So many versions can be told apart.
const SOURCES: u8 = 100;

/// Of the hub; no traffic but a probe comes from there.
fn source(version: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 80, 1, 100 + version)
}

/// Objects of which one is edited, in their versions 0.
pub fn write_objects(fleet: &Fleet) {
    fleet.write_policy("newest.txt", "192.0.2.1\n").unwrap();
    fleet.write_policy("sets.yaml", SETS).unwrap();
    fleet.write_policy("edge.yaml", &rules("sets: [newest]")).unwrap();
}

const SETS: &str = "apiVersion: sluice.dev/v1alpha1\nkind: XdpAddressSet\nmetadata: {name: newest}\n\
                    spec: {files: [newest.txt]}\n";

/// A filter that drops probes of its version.
pub fn policy(version: u8) -> String {
    rules(&format!("sets: [newest], cidrs: [{}/32]", source(version)))
}

/// The same as contents of the set.
pub fn list(version: u8) -> String {
    format!("{}\n", source(version))
}

fn rules(sources: &str) -> String {
    format!(
        "apiVersion: sluice.dev/v1alpha1\nkind: XdpFilter\nmetadata: {{name: edge}}\nspec:\n  \
         interfaces: {{names: [eth0]}}\n  rules:\n  - name: flood\n    action: Drop\n    \
         match: {{protocols: [UDP], destinationPorts: [\"{DROPPED}\"]}}\n  - name: probe\n    action: Drop\n    \
         match: {{protocols: [UDP], destinationPorts: [\"{PORT}\"], sources: {{{sources}}}}}\n"
    )
}

/// A listener behind the filter, and senders before it.
pub struct Probes {
    /// Of whom a probe came through.
    came: Receiver<Ipv4Addr>,
    /// Whom to send one from.
    send: Sender<u8>,
}

impl Probes {
    pub fn new(fleet: &Fleet) -> Probes {
        for version in 0..SOURCES {
            let address = format!("{}/24", source(version));
            fleet.hub.ip(&["address", "add", &address, "dev", "to-edge-1"]).unwrap();
        }
        let ((came, arrivals), (ready, bound)) = (channel(), channel());
        fleet.edges[0].netns.spawn(move || {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, PORT)).unwrap();
            ready.send(()).unwrap();
            while let Ok((_, from)) = socket.recv_from(&mut [0; 8]) {
                let std::net::IpAddr::V4(from) = from.ip() else { continue };
                if came.send(from).is_err() {
                    return;
                }
            }
        });
        bound.recv().unwrap();
        let (send, wanted) = channel();
        fleet.hub.spawn(move || {
            for version in wanted {
                let socket = UdpSocket::bind((source(version), 0)).unwrap();
                socket.send_to(b"probe", ("10.80.1.2", PORT)).unwrap();
            }
        });
        Probes { came: arrivals, send }
    }

    /// The version that the kernel enforces is this one: its source is dropped, its neighbour's is not. Both come the same
    /// way, so that the second arrives after the first would have.
    pub fn assert_newest(&self, version: u8) {
        let other = if version == 0 { 1 } else { version - 1 };
        for version in [version, other] {
            self.send.send(version).unwrap();
        }
        let came = self.came.recv_timeout(PATIENCE).expect("a probe that nothing drops");
        assert_eq!(came, source(other), "version {version} is not what is enforced");
        assert_eq!(self.came.recv_timeout(Duration::ZERO).ok(), None);
    }
}
