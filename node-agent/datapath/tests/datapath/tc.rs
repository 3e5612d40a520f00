//! The hooks of the network stack.

use std::io::ErrorKind;
use std::net::UdpSocket;

use sluice_datapath::{Counts, Datapath, LinkMode, LocalInterface, SlotKey, attached, tcx};
use sluice_plan::NodePlan;
use sluice_policy::{Action, Filter, Hook, Match};

use crate::plans::{compile, drop_port, filter, rule};
use crate::traffic::{Wire, udp_from};
use crate::world::{self, World, eventually, ip};

const HERE: [u8; 4] = [198, 51, 100, 1];
const THERE: [u8; 4] = [192, 0, 2, 1];

/// An interface with an address, and its peer's known to it.
fn host(world: &World) -> [LocalInterface; 1] {
    let eth = world.veth("eth0");
    ip(&["link", "set", "eth0", "address", "02:00:00:00:00:01"]);
    ip(&["addr", "add", "198.51.100.1/24", "dev", "eth0"]);
    ip(&["route", "add", "192.0.2.0/24", "dev", "eth0"]);
    ip(&["neigh", "add", "192.0.2.1", "lladdr", "02:00:00:00:00:02", "dev", "eth0"]);
    [eth]
}

fn plan(hook: Hook, rules: Vec<sluice_policy::Rule>) -> NodePlan {
    compile(&[Filter { hook, ..filter("edge", &["eth0"], rules) }])
}

fn counted(datapath: &Datapath, name: &str) -> u64 {
    let counters = datapath.counters().unwrap();
    counters.iter().filter(|(key, _)| key.name == name).map(|(_, counts)| counts.drop.packets).sum()
}

/// Whether a frame sent into the other end reaches a socket; one behind it shows that it was not just slow.
fn is_received(port: u16) -> bool {
    let (wanted, marker) = (socket(port), socket(65_000));
    let sender = Wire::on("xeth0");
    sender.send(&udp_from(THERE, HERE, port, b"wanted"));
    sender.send(&udp_from(THERE, HERE, 65_000, b"marker"));
    eventually("the marker's arrival", || marker.recv(&mut [0; 64]).is_ok());
    match wanted.recv(&mut [0; 64]) {
        Ok(_) => true,
        Err(error) if error.kind() == ErrorKind::WouldBlock => false,
        Err(error) => panic!("{error}"),
    }
}

/// A child that another test starts holds the former socket of the port, too, until it runs a program of its own.
fn socket(port: u16) -> UdpSocket {
    let mut bound = None;
    eventually("the port is free", || match UdpSocket::bind(("0.0.0.0", port)) {
        Err(error) if error.kind() == ErrorKind::AddrInUse => false,
        result => {
            bound = Some(result.unwrap());
            true
        }
    });
    let socket = bound.expect("it is bound");
    socket.set_nonblocking(true).unwrap();
    socket
}

/// Whether what a socket sends comes out of the other end.
fn is_sent(port: u16) -> bool {
    let (socket, receiver) = (socket(0), Wire::on("xeth0"));
    // A drop on the way out is an error of the socket's to some senders.
    let _ = socket.send_to(b"wanted", ("192.0.2.1", port));
    socket.send_to(b"marker", ("192.0.2.1", 65_000)).unwrap();
    let mut seen = Vec::new();
    let has = |seen: &[Vec<u8>], payload: &[u8]| seen.iter().any(|frame| frame.ends_with(payload));
    eventually("the marker's arrival", || {
        seen.extend(receiver.arrived());
        has(&seen, b"marker")
    });
    has(&seen, b"wanted")
}

#[test]
fn packets_are_dropped_as_they_come_in() {
    world::run(|world| {
        let eth = host(world);
        let mut datapath = world.open();
        let applied = datapath.apply(&plan(Hook::TcIngress, vec![drop_port(7)]), &eth).unwrap();
        assert_eq!(applied.policies[0].problems, []);
        let mode = applied.interfaces[0].attachment.as_ref().map(|attachment| attachment.mode);
        assert_eq!(mode, Some(LinkMode::TcIngress));
        assert!(tcx(), "what the kernel is asked for is what it does");
        assert_eq!(attached(eth[0].ifindex).unwrap(), None, "no XDP program");
        assert!(is_received(8) && !is_received(7));
        assert!(is_sent(7), "what goes out is another hook's");
        assert_eq!(counted(&datapath, "port-7"), 1);
    });
}

#[test]
fn packets_are_dropped_as_they_go_out() {
    world::run(|world| {
        let eth = host(world);
        let mut datapath = world.open();
        datapath.apply(&plan(Hook::TcEgress, vec![drop_port(7)]), &eth).unwrap();
        assert!(is_sent(8) && !is_sent(7));
        assert!(is_received(7), "what comes in is another hook's");
        assert_eq!(counted(&datapath, "port-7"), 1);
    });
}

/// In front of the hook the kernel takes the tag from the frame, and keeps it beside it.
#[test]
fn a_tag_beside_the_frame_is_its_outer_tag() {
    world::run(|world| {
        let eth = host(world);
        let outer = Match { outer_vlan: vec![10..=10], ..drop_port(7).matches };
        let inner = Match { inner_vlan: vec![20..=20], outer_vlan: vec![11..=11], ..Match::default() };
        let rules = vec![rule("outer", Action::Drop, outer), rule("inner", Action::Drop, inner)];
        let mut datapath = world.open();
        datapath.apply(&plan(Hook::TcIngress, rules), &eth).unwrap();
        let sender = Wire::on("xeth0");
        let frame = udp_from(THERE, HERE, 7, b"tagged");
        let tag = |frame: &[u8], id: u8| [&frame[..12], &[0x81, 0, 0, id], &frame[12..]].concat();
        for frame in [tag(&frame, 10), tag(&frame, 11), tag(&tag(&frame, 20), 11), tag(&tag(&frame, 11), 20)]
        {
            sender.send(&frame);
        }
        eventually("both drops", || [counted(&datapath, "outer"), counted(&datapath, "inner")] == [1, 1]);
        assert!(is_received(7), "without a tag");
    });
}

#[test]
fn filters_of_all_hooks_share_an_interface_and_outlive_the_agent() {
    world::run(|world| {
        let eth = host(world);
        let at = |hook, name: &str, port| Filter { hook, ..filter(name, &["eth0"], vec![drop_port(port)]) };
        let plan = compile(&[
            at(Hook::Xdp, "driver", 1),
            at(Hook::TcIngress, "in", 2),
            at(Hook::TcEgress, "out", 3),
        ]);
        let mut datapath = world.open();
        let applied = datapath.apply(&plan, &eth).unwrap();
        assert_eq!((applied.loaded, applied.interfaces.len()), (3, 3));
        let modes = applied.policies.iter().map(|policy| {
            let [only] = &policy.interfaces[..] else { panic!("{policy:?}") };
            only.attachment.as_ref().expect("attached").mode
        });
        assert!(modes.eq([LinkMode::Native, LinkMode::TcIngress, LinkMode::TcEgress]), "each policy's own");
        let state = datapath.state().clone();
        drop(datapath);
        let verdicts = || ([1, 2, 3].map(is_received), [1, 2, 3].map(is_sent));
        let expected = ([false, false, true], [true, true, false]);
        assert_eq!(verdicts(), expected, "while no agent runs");

        let mut datapath = world.open_with(state);
        assert_eq!(datapath.adopt(&plan, &eth).unwrap().loaded, 0, "all of it was there");
        assert_eq!(datapath.drift(&eth), []);
        assert_eq!(verdicts(), expected);
        datapath.apply(&compile(&[at(Hook::TcEgress, "out", 1)]), &eth).unwrap();
        assert_eq!(verdicts(), ([true; 3], [false, true, true]));
        assert_eq!(datapath.detach_all().unwrap(), [eth[0].ifindex]);
        assert_eq!(verdicts(), ([true; 3], [true; 3]));
    });
}

/// The kernel copies a packet for it, and shows the hook the copy without its Ethernet header.
#[test]
fn packets_are_seen_whole_behind_generic_xdp() {
    world::run(|world| {
        let eth = host(world);
        let mut datapath = world.open();
        let at = |hook, name: &str, rules| Filter { hook, ..filter(name, &["eth0"], rules) };
        let tagged = Match { outer_vlan: vec![10..=10], ..drop_port(7).matches };
        let behind = vec![drop_port(2), rule("tagged", Action::Drop, tagged)];
        let driver = at(Hook::Xdp, "driver", vec![drop_port(1)]);
        let generic = Filter { attach: sluice_policy::AttachMode::Generic, ..driver };
        datapath.apply(&compile(&[generic, at(Hook::TcIngress, "in", behind)]), &eth).unwrap();
        assert_eq!([1, 2, 3].map(is_received), [false, false, true]);
        let frame = udp_from(THERE, HERE, 7, b"tagged");
        Wire::on("xeth0").send(&[&frame[..12], &[0x81, 0, 0, 10], &frame[12..]].concat());
        eventually("the tagged drop", || counted(&datapath, "tagged") == 1);
        let of_port = |(key, _): &(SlotKey, Counts)| key.name == "port-2";
        let dropped = datapath.counters().unwrap().into_iter().find(of_port).expect("a counter").1.drop;
        assert_eq!(dropped.bytes, udp_from(THERE, HERE, 2, b"wanted").len() as u64);
    });
}
