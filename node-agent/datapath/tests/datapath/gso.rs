//! Segments of a connection that the network stack handles as one packet (GSO, GRO), at the hooks that see them so.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;

use sluice_abi::Counter;
use sluice_datapath::Datapath;
use sluice_policy::{Action, Filter, Hook, LimitKey, Mark, Match, PortRange, Rate, RateLimit, Rule};

use crate::established::peer::{ENDS, Peer, end, host};
use crate::plans::{compile, filter, rule};
use crate::world::{self, World, command};

const PORT: u16 = 5000;
/// What a connection carries.
const BYTES: usize = 4 << 20;
const ETHERNET: u64 = 14;
/// IPv4 without options, TCP with timestamps.
const HEADERS: u64 = ETHERNET + 20 + 32;
/// The longest frame that is one segment.
const SEGMENT: u16 = 14 + 1500;
/// Packets of a rate; the connection has more segments.
const BURST: u64 = 1000;
const MARK: u32 = 0x10;

fn rules() -> Vec<Rule> {
    let longer = Match { length: vec![SEGMENT + 1..=u16::MAX], ..to_port() };
    let limit = RateLimit { rate: Rate::PacketsPerSecond(1), burst: BURST, per: LimitKey::Rule };
    let mark = Action::Mark(Mark { value: MARK, mask: 0xff });
    vec![
        rule("all", Action::Count, to_port()),
        rule("longer", Action::Count, longer),
        rule("limit", Action::RateLimit(limit), to_port()),
        rule("mark", mark, to_port()),
    ]
}

fn to_port() -> Match {
    let port = PortRange { first: PORT, last: PORT };
    Match { protocols: vec![6], destination_ports: vec![port], ..Match::default() }
}

/// What tc counts of marked packets: segments, and bytes as each way has them.
struct Oracle(&'static str);

impl Oracle {
    fn at(direction: &'static str, world: &World) -> Oracle {
        const MARKED: u32 = 0xffff_f000 + 20;
        let program = format!("5,32 0 0 {MARKED},84 0 0 255,21 0 1 {MARK},6 0 0 4294967295,6 0 0 0");
        world.veth("copies");
        command("tc", &["qdisc", "add", "dev", "eth0", "clsact"]);
        let filter =
            ["filter", "add", "dev", "eth0", direction, "protocol", "all", "bpf", "bytecode", &program];
        let copy = ["action", "mirred", "egress", "mirror", "dev", "copies"];
        command("tc", &[&filter[..], &copy].concat());
        Oracle(direction)
    }

    fn counted(&self) -> Counter {
        let output =
            Command::new("tc").args(["-s", "filter", "show", "dev", "eth0", self.0]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let line = text.lines().find_map(|line| line.trim().strip_prefix("Sent ")).expect("statistics");
        let words: Vec<&str> = line.split_whitespace().collect();
        Counter { bytes: words[0].parse().unwrap(), packets: words[2].parse().unwrap() }
    }
}

/// Packets that went on.
fn counted(datapath: &Datapath, name: &str) -> Counter {
    let counters = datapath.counters().unwrap();
    counters.into_iter().find(|(key, _)| key.name == name).expect("a counter").1.continued
}

/// From the node to the peer, or back.
fn send(peer: &Peer, is_outgoing: bool) {
    let (node, remote) = ENDS[0];
    let listen = |address: &'static str| TcpListener::bind(end(address, PORT)).unwrap();
    let connect = |address: &'static str| TcpStream::connect(end(address, PORT)).unwrap();
    let (mut client, server) = if is_outgoing {
        let server = peer.there(move || listen(remote));
        (connect(remote), server)
    } else {
        let server = listen(node);
        (peer.there(move || connect(node)), server)
    };
    let mut served = server.accept().unwrap().0;
    let sender = std::thread::spawn(move || client.write_all(&vec![7; BYTES]).unwrap());
    let mut heard = Vec::new();
    served.read_to_end(&mut heard).unwrap();
    sender.join().unwrap();
    assert_eq!(heard.len(), BYTES);
}

#[test]
fn segments_that_are_one_packet_are_counted_measured_and_marked_as_one() {
    for (hook, direction) in [(Hook::TcIngress, "ingress"), (Hook::TcEgress, "egress")] {
        world::run(move |world| {
            let (eth, peer) = host(world);
            let oracle = Oracle::at(direction, world);
            let mut datapath = world.open();
            datapath.apply(&compile(&[Filter { hook, ..filter("edge", &["eth0"], rules()) }]), &eth).unwrap();
            send(&peer, hook == Hook::TcEgress);
            let [all, longer, limit, mark] =
                ["all", "longer", "limit", "mark"].map(|name| counted(&datapath, name));
            let segments = oracle.counted();
            assert!(longer.packets > 0, "none was merged: {all:?}");
            assert_eq!([limit, mark], [all; 2], "each takes one packet from a rate");
            assert!(segments.packets > BURST && segments.packets > all.packets, "{segments:?}");
            // What comes in, tc measures from the IP header on; of what goes out it knows each segment's headers.
            let measured = match hook {
                Hook::TcIngress => all.bytes - all.packets * ETHERNET,
                _ => all.bytes + (segments.packets - all.packets) * HEADERS,
            };
            assert_eq!(segments.bytes, measured);
        });
    }
}
