//! What is measured: a program, a frame for it, and the verdict that shows that the right thing was measured.

use std::net::Ipv4Addr;

use anyhow::Context;
use etherparse::PacketBuilder;
use sluice_abi::{HopState, NextHop};
use sluice_datapath::load::{LoadSpec, Loaded, load};
use sluice_datapath::measure::{Flow, Flows, Repeatable};
use sluice_datapath::test_run::XdpAction;
use sluice_policy::{Action, Filter, LimitKey, Match, Rate, RateLimit, Rule};

use crate::oracle::build::{destination_ports, filter, from, rule};
use crate::oracle::{Node, balancer_alone};
use crate::packets::place;

const UDP: u8 = 17;
const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

pub struct Row {
    pub name: String,
    pub frame: Vec<u8>,
    pub program: Repeatable,
    /// The empty program in the same wrapper.
    pub empty: Repeatable,
    pub expected: XdpAction,
}

/// A program as it is loaded for an interface.
pub struct Program {
    pub name: String,
    pub loaded: Loaded,
}

struct Packet {
    name: &'static str,
    frame: Vec<u8>,
    flows: Flows,
    expected: XdpAction,
}

/// Rows to measure, and the programs that they run.
pub fn all(ingress: u32) -> anyhow::Result<(Vec<Row>, Vec<Program>)> {
    let (mut rows, mut programs) = (Vec::new(), Vec::new());
    for (name, node, packets) in subjects()? {
        let loaded = loaded(&node, ingress).with_context(|| name.clone())?;
        for Packet { name: packet, frame, flows, expected } in packets {
            rows.push(Row {
                name: format!("{name}, {packet}"),
                program: Repeatable::wrapped(&loaded, &frame, &flows)?,
                empty: Repeatable::wrapped_empty(&frame, &flows)?,
                frame,
                expected,
            });
        }
        programs.push(Program { name, loaded });
    }
    Ok((rows, programs))
}

fn subjects() -> anyhow::Result<Vec<(String, Node, Vec<Packet>)>> {
    let mut subjects = vec![("no policy".to_owned(), Node::new(vec![], vec![])?, vec![miss()])];
    let simple = |name: &str, matches: Match| {
        let node =
            Node::new(vec![filter("edge", Action::Pass, vec![rule("one", Action::Drop, matches)])], vec![])?;
        anyhow::Ok((name.to_owned(), node, vec![hit("hit", 0), miss()]))
    };
    subjects.push(simple("1 rule, UDP port", with_protocol(destination_ports(&[(port(0), port(0))])))?);
    subjects.push(simple("1 rule, source", from(&[&network(0)], &[]))?);
    for number in [1, 10, 100] {
        let rules = (0..number).map(five_tuple).collect();
        let packets = match number {
            1 => vec![hit("hit", 0), miss()],
            _ => vec![hit("first", 0), hit("last", number - 1), miss()],
        };
        let name = format!("{number} rule{}", if number == 1 { "" } else { "s" });
        subjects.push((name, Node::new(vec![filter("edge", Action::Pass, rules)], vec![])?, packets));
    }
    subjects.push(ten_thousand()?);
    subjects.push(("rate limit per source".to_owned(), limited()?, vec![many_sources()]));
    subjects.push(("balancer".to_owned(), balancer_alone()?, balanced()));
    Ok(subjects)
}

/// Source network, protocol and port, all of them different from rule to rule.
fn five_tuple(number: u16) -> Rule {
    let matches = Match {
        sources: from(&[&network(number)], &[]).sources,
        ..with_protocol(destination_ports(&[(port(number), port(number))]))
    };
    rule(&format!("rule-{number}"), Action::Drop, matches)
}

/// Ten filters of a thousand rules, each with a network, a protocol and a range of ports of its own.
fn ten_thousand() -> anyhow::Result<(String, Node, Vec<Packet>)> {
    let numbers = || 0..10_000u32;
    let network = |number: u32| Ipv4Addr::from_bits(number.wrapping_mul(0x9e37_79b1) & 0xffff_ff00);
    let first = |number: u32| 1000 + (number % 500) as u16 * 100;
    let rules: Vec<Rule> = numbers()
        .map(|number| {
            let matches = Match {
                sources: from(&[&format!("{}/24", network(number))], &[]).sources,
                ..with_protocol(destination_ports(&[(first(number), first(number) + 99)]))
            };
            rule(&format!("rule-{number}"), Action::Drop, matches)
        })
        .collect();
    let filters = rules.chunks(1000).zip(0..).map(|(rules, number)| Filter {
        priority: -number,
        ..filter(
            &format!("edge-{number}"),
            if number == 9 { Action::Pass } else { Action::Next },
            rules.to_vec(),
        )
    });
    let flow = |number: u32| Flow {
        source: (network(number).to_bits() | number & 0xff).to_be_bytes(),
        source_port: (40_000 + (number % 1000) as u16).to_be_bytes(),
        destination_port: (first(number) + (number % 100) as u16).to_be_bytes(),
    };
    let frame = udp([198, 19, 0, 7], 53);
    let hits = Flows::Some(numbers().map(flow).collect());
    let one = udp(network(7000).octets(), first(7000));
    let packets = vec![
        Packet { name: "one rule hits", frame: one, flows: Flows::One, expected: XdpAction::Drop },
        Packet { name: "random rule hits", frame: frame.clone(), flows: hits, expected: XdpAction::Drop },
        Packet { name: "random source, no match", frame, flows: Flows::Many, expected: XdpAction::Pass },
    ];
    Ok(("10,000 rules".to_owned(), Node::new(filters.collect(), vec![])?, packets))
}

/// Of so much that nothing is dropped: taking from a bucket costs more than finding it empty.
fn limited() -> anyhow::Result<Node> {
    let rate = Rate::PacketsPerSecond(100_000_000);
    let limit = RateLimit { rate, burst: 100_000_000, per: LimitKey::Source };
    let rule = rule("limit", Action::RateLimit(limit), with_protocol(Match::default()));
    Node::new(vec![filter("edge", Action::Pass, vec![rule])], vec![])
}

fn many_sources() -> Packet {
    let source = |number: u32| (0xc612_0000 + number).to_be_bytes();
    let [source_port, destination_port] = [40_000u16, port(0)].map(u16::to_be_bytes);
    let flow = |number| Flow { source: source(number), source_port, destination_port };
    let (frame, flows) = (udp([198, 18, 0, 7], port(0)), Flows::Some((0..10_000).map(flow).collect()));
    Packet { name: "10,000 sources", frame, flows, expected: XdpAction::Pass }
}

fn with_protocol(matches: Match) -> Match {
    Match { protocols: vec![UDP], ..matches }
}

fn network(number: u16) -> String {
    format!("198.18.{number}.0/24")
}

fn port(number: u16) -> u16 {
    1000 + 2 * number
}

fn hit(name: &'static str, number: u16) -> Packet {
    let frame = udp([198, 18, number as u8, 7], port(number));
    Packet { name, frame, flows: Flows::One, expected: XdpAction::Drop }
}

fn miss() -> Packet {
    let frame = udp([198, 19, 0, 7], 53);
    Packet { name: "no match", frame, flows: Flows::One, expected: XdpAction::Pass }
}

fn balanced() -> Vec<Packet> {
    let vip = place::VIP4.octets();
    let other = [198, 51, 100, 77];
    let packet =
        |name, destination, flows, expected| Packet { name, frame: tcp(destination), flows, expected };
    vec![
        packet("hot flow", vip, Flows::One, XdpAction::Tx),
        packet("new flow each", vip, Flows::Many, XdpAction::Tx),
        packet("no VIP", other, Flows::One, XdpAction::Pass),
    ]
}

fn udp(source: [u8; 4], port: u16) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2(MAC, MAC).ipv4(source, [198, 51, 100, 77], 64).udp(40_000, port);
    written(|out| builder.write(out, &[0; 58]))
}

fn tcp(destination: [u8; 4]) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2(MAC, MAC)
        .ipv4(place::CLIENT4.octets(), destination, 64)
        .tcp(40_000, 80, 1, 1024)
        .ack(1);
    written(|out| builder.write(out, &[0; 46]))
}

fn written<E: std::fmt::Debug>(write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Vec<u8> {
    let mut frame = Vec::new();
    write(&mut frame).expect("the packet is short");
    frame
}

fn loaded(node: &Node, ingress: u32) -> anyhow::Result<Loaded> {
    let loaded = load(&node.plan, &LoadSpec::everything(&node.plan))?;
    loaded.set_surroundings(&node.plan, &node.world.node_addresses)?;
    let source = place::NODE4.to_ipv6_mapped().octets();
    let hop = NextHop {
        source,
        destination_mac: MAC,
        source_mac: MAC,
        ifindex: ingress,
        mtu: 1500,
        state: HopState::Resolved as u8,
        reserved: 0,
    };
    let targets = node.plan.balancers.parts.iter().map(|part| part.targets.len() as u32).sum();
    (0..targets).try_for_each(|target| loaded.set_next_hop(target, &hop))?;
    Ok(loaded)
}
