//! What happens to messages between an agent and its operator: a relay of TCP connections in user space, and a program at
//! tc that loses packets.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use sluice_e2e::netns::Netns;

/// How much later a slow relay passes on what it gets. In each direction: an answer takes twice as long.
pub const LATER: Duration = Duration::from_millis(2_500);

/// Relays the connections to its port for as long as the test runs.
pub struct Relay {
    pub address: SocketAddr,
    is_slow: Arc<AtomicBool>,
    connections: Arc<Mutex<Vec<TcpStream>>>,
}

impl Relay {
    /// In a namespace, to `to` from another port of that address.
    pub fn start(netns: &Netns, to: SocketAddr) -> Relay {
        let (is_slow, connections) = (Arc::<AtomicBool>::default(), Arc::<Mutex<Vec<TcpStream>>>::default());
        let (ready, bound) = channel();
        let (slow, all) = (is_slow.clone(), connections.clone());
        netns.spawn(move || {
            let listener = TcpListener::bind((to.ip(), 0)).unwrap();
            ready.send(listener.local_addr().unwrap()).unwrap();
            for agent in listener.incoming() {
                let (agent, operator) = (agent.unwrap(), TcpStream::connect(to));
                // An operator that is away refuses.
                let Ok(operator) = operator else { continue };
                let clone = |stream: &TcpStream| stream.try_clone().unwrap();
                all.lock().unwrap().extend([clone(&agent), clone(&operator)]);
                pass(clone(&agent), clone(&operator), slow.clone());
                pass(operator, agent, slow.clone());
            }
        });
        Relay { address: bound.recv().unwrap(), is_slow, connections }
    }

    pub fn slow_down(&self) {
        self.is_slow.store(true, Ordering::SeqCst);
    }

    /// Ends the connections of this moment.
    pub fn cut(&self) {
        for connection in self.connections.lock().unwrap().drain(..) {
            _ = connection.shutdown(Shutdown::Both);
        }
    }
}

/// One direction of a connection, its end included.
fn pass(mut from: TcpStream, mut to: TcpStream, is_slow: Arc<AtomicBool>) {
    let (queue, read) = channel();
    to.set_nodelay(true).unwrap();
    thread::spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let length = from.read(&mut buffer).unwrap_or(0);
            let ended = queue.send((Instant::now(), buffer[..length].to_vec())).is_err();
            if length == 0 || ended {
                return;
            }
        }
    });
    thread::spawn(move || {
        for (at, bytes) in read {
            if is_slow.load(Ordering::SeqCst) {
                thread::sleep((at + LATER).saturating_duration_since(Instant::now()));
            }
            if bytes.is_empty() || to.write_all(&bytes).is_err() {
                _ = to.shutdown(Shutdown::Both);
                return;
            }
        }
    });
}

/// Of the values of a random number, as many lose the packet.
pub const NONE: u32 = 0;
pub const THREE_OF_TEN: u32 = u32::MAX / 10 * 3;
pub const ALL: u32 = u32::MAX;

/// Two interfaces that can lose packets of TCP on their way out.
pub struct Cable<'a>([(&'a Netns, String); 2]);

impl<'a> Cable<'a> {
    /// Before any traffic: with its hook at tc an interface throws away what it has queued.
    pub fn new(ends: [(&'a Netns, String); 2]) -> Cable<'a> {
        for (netns, interface) in &ends {
            tc(netns, &["qdisc", "add", "dev", interface, "clsact"]);
        }
        let cable = Cable(ends);
        cable.loses(NONE);
        cable
    }

    pub fn loses(&self, share: u32) {
        // ldb [protocol]; jeq #TCP, 0, 2; ld #random; jgt #share, 0, 1; ret TC_ACT_OK; ret TC_ACT_SHOT
        let program = format!("6,48 0 0 23,21 0 2 6,32 0 0 4294963256,37 0 1 {share},6 0 0 0,6 0 0 2");
        for (netns, interface) in &self.0 {
            let place = ["filter", "replace", "dev", interface, "egress", "pref", "1", "handle", "1"];
            tc(netns, &[&place[..], &["bpf", "direct-action", "bytecode", &program]].concat());
        }
    }
}

fn tc(netns: &Netns, arguments: &[&str]) {
    let status = netns.command("tc").args(arguments).status().unwrap();
    assert!(status.success(), "tc {}", arguments.join(" "));
}
