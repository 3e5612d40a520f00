//! The other side of the interface: a namespace with sockets of its own, and frames by hand.

use std::net::{IpAddr, SocketAddr};
use std::sync::mpsc::{Sender, channel};

use etherparse::icmpv4::{self, DestUnreachableHeader};
use etherparse::{Icmpv4Type, Icmpv6Type, IpHeaders, PacketBuilder, PacketBuilderStep, icmpv6};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::gettid;
use sluice_datapath::LocalInterface;

use crate::traffic::Wire;
use crate::world::{World, eventually, ip};

pub const ACK: u8 = 0x10;
pub const SYN: u8 = 0x02;
/// Of the node, and of the peer.
pub const ENDS: [(&str, &str); 2] = [("198.51.100.1", "198.51.100.2"), ("2001:db8::1", "2001:db8::2")];
/// The source port of what passes whatever the filter says.
pub const MARKER: u16 = 65_000;
const ETHERNET: usize = 14;

/// A network namespace that has the other end of `eth0`; it ends with its thread.
pub struct Peer {
    jobs: Sender<Box<dyn FnOnce() + Send>>,
}

impl Peer {
    fn new() -> Peer {
        let (jobs, todo) = channel::<Box<dyn FnOnce() + Send>>();
        let (ready, id) = channel();
        std::thread::spawn(move || {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            ready.send(gettid()).unwrap();
            todo.into_iter().for_each(|job| job());
        });
        let id = id.recv().unwrap().to_string();
        ip(&["link", "set", "xeth0", "netns", &id]);
        Peer { jobs }
    }

    /// What a socket is made there for stays there, whoever uses it.
    pub fn there<T: Send + 'static>(&self, make: impl FnOnce() -> T + Send + 'static) -> T {
        let (made, result) = channel();
        self.jobs.send(Box::new(move || made.send(make()).unwrap())).unwrap();
        result.recv().unwrap()
    }
}

/// Interface and peer, with the addresses of `ENDS`.
pub fn host(world: &World) -> ([LocalInterface; 1], Peer) {
    let eth = world.veth("eth0");
    let peer = Peer::new();
    ip(&["link", "set", "eth0", "address", "02:00:00:00:00:01"]);
    set_up("eth0", ENDS.map(|(node, _)| node));
    peer.there(|| set_up("xeth0", ENDS.map(|(_, peer)| peer)));
    ([eth], peer)
}

fn set_up(name: &str, [v4, v6]: [&str; 2]) {
    std::fs::write(format!("/proc/sys/net/ipv6/conf/{name}/disable_ipv6"), "0").unwrap();
    ip(&["link", "set", name, "up"]);
    ip(&["addr", "add", &format!("{v4}/24"), "dev", name]);
    ip(&["addr", "add", &format!("{v6}/64"), "dev", name, "nodad"]);
}

/// What the peer sends, and what of it comes through the driver.
pub struct Link {
    sender: Wire,
    receiver: Wire,
}

impl Link {
    pub fn of(peer: &Peer) -> Link {
        Link { sender: peer.there(|| Wire::on("xeth0")), receiver: Wire::on("eth0") }
    }

    /// A marker behind the frame shows that it was not just slow.
    pub fn passes(&self, frame: &[u8]) -> bool {
        let marker = udp(end(ENDS[0].1, MARKER), end(ENDS[0].0, 9));
        self.sender.send(frame);
        self.sender.send(&marker);
        let mut seen = Vec::new();
        eventually("the marker's arrival", || {
            seen.extend(self.receiver.arrived());
            seen.contains(&marker)
        });
        seen.iter().any(|arrived| arrived == frame)
    }
}

pub fn end(address: &str, port: u16) -> SocketAddr {
    SocketAddr::new(address.parse().unwrap(), port)
}

fn between(from: SocketAddr, to: SocketAddr) -> PacketBuilderStep<IpHeaders> {
    let ethernet = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 2], [2, 0, 0, 0, 0, 1]);
    match (from.ip(), to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => ethernet.ipv4(from.octets(), to.octets(), 64),
        (IpAddr::V6(from), IpAddr::V6(to)) => ethernet.ipv6(from.octets(), to.octets(), 64),
        _ => panic!("{from} and {to} are of different families"),
    }
}

pub fn udp(from: SocketAddr, to: SocketAddr) -> Vec<u8> {
    let mut frame = Vec::new();
    between(from, to).udp(from.port(), to.port()).write(&mut frame, b"datagram").unwrap();
    frame
}

pub fn tcp(from: SocketAddr, to: SocketAddr, flags: u8) -> Vec<u8> {
    let mut segment = between(from, to).tcp(from.port(), to.port(), 1, 512);
    if flags & SYN != 0 {
        segment = segment.syn();
    }
    if flags & ACK != 0 {
        segment = segment.ack(1);
    }
    let mut frame = Vec::new();
    segment.write(&mut frame, &[]).unwrap();
    frame
}

/// A router's to the node: what it sent is too big, or has come too far.
pub fn error(router: SocketAddr, node: SocketAddr, is_too_big: bool, sent: &[u8]) -> Vec<u8> {
    let ethernet = between(router, node);
    let mut frame = Vec::new();
    if node.is_ipv4() {
        let unreachable = DestUnreachableHeader::FragmentationNeeded { next_hop_mtu: 1400 };
        let exceeded = Icmpv4Type::TimeExceeded(icmpv4::TimeExceededCode::TtlExceededInTransit);
        let message = if is_too_big { Icmpv4Type::DestinationUnreachable(unreachable) } else { exceeded };
        ethernet.icmpv4(message).write(&mut frame, &sent[ETHERNET..]).unwrap();
    } else {
        let exceeded = Icmpv6Type::TimeExceeded(icmpv6::TimeExceededCode::HopLimitExceeded);
        let message = if is_too_big { Icmpv6Type::PacketTooBig { mtu: 1400 } } else { exceeded };
        ethernet.icmpv6(message).write(&mut frame, &sent[ETHERNET..]).unwrap();
    }
    frame
}
