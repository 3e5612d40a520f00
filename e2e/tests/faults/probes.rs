//! Objects with versions that a packet can tell apart, and the packets that do.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use sluice_e2e::fleet::Fleet;

use crate::DROPPED;

const PORT: u16 = 7100;
/// A probe that nothing drops comes within this.
const PROBE: Duration = Duration::from_secs(1);
/// So many versions can be told apart.
pub const SOURCES: u8 = 20;
/// And so many edges.
const EDGES: u8 = 3;

/// Of the hub, on the cable of an edge; no traffic but a probe comes from there.
fn source(edge: u8, version: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 80, edge + 1, 100 + version)
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
    let sources: Vec<_> = (0..EDGES).map(|edge| format!("{}/32", source(edge, version))).collect();
    rules(&format!("sets: [newest], cidrs: [{}]", sources.join(", ")))
}

/// The same as contents of the set.
pub fn list(version: u8) -> String {
    (0..EDGES).map(|edge| format!("{}\n", source(edge, version))).collect()
}

fn rules(sources: &str) -> String {
    format!(
        "apiVersion: sluice.dev/v1alpha1\nkind: XdpFilter\nmetadata: {{name: edge}}\nspec:\n  \
         interfaces: {{names: [eth0]}}\n  rules:\n  - name: flood\n    action: Drop\n    \
         match: {{protocols: [UDP], destinationPorts: [\"{DROPPED}\"]}}\n  - name: probe\n    action: Drop\n    \
         match: {{protocols: [UDP], destinationPorts: [\"{PORT}\"], sources: {{{sources}}}}}\n"
    )
}

/// A listener behind the filter of an edge, and senders before it.
pub struct Probes {
    edge: u8,
    /// Of whom a probe came through.
    came: Receiver<Ipv4Addr>,
    /// Whom to send one from.
    send: Sender<u8>,
}

impl Probes {
    pub fn new(fleet: &Fleet, edge: u8) -> Probes {
        let (interface, target) = (format!("to-edge-{}", edge + 1), format!("10.80.{}.2", edge + 1));
        for version in 0..SOURCES {
            let address = format!("{}/24", source(edge, version));
            fleet.hub.ip(&["address", "add", &address, "dev", &interface]).unwrap();
        }
        let ((came, arrivals), (ready, bound)) = (channel(), channel());
        fleet.edges[usize::from(edge)].netns.spawn(move || {
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
                let socket = UdpSocket::bind((source(edge, version), 0)).unwrap();
                socket.send_to(b"probe", (target.as_str(), PORT)).unwrap();
            }
        });
        Probes { edge, came: arrivals, send }
    }

    pub fn assert_newest(&self, version: u8) {
        assert!(self.is_newest(version), "version {version} is not what is enforced");
    }

    /// Whether the kernel enforces this version: its source is dropped, those beside it are not. All come the same way, so
    /// that the last arrives after the first would have.
    pub fn is_newest(&self, version: u8) -> bool {
        let last = (version + 1) % SOURCES;
        let sent = [(version + SOURCES - 1) % SOURCES, version, last];
        sent.iter().for_each(|version| self.send.send(*version).unwrap());
        let mut came = Vec::new();
        while came.last() != Some(&source(self.edge, last)) {
            match self.came.recv_timeout(PROBE) {
                Ok(from) => came.push(from),
                // Its own version is in force.
                Err(_) => return false,
            }
        }
        came.len() == 2
    }
}
