//! Filters and a balancer, from nothing to ten thousand rules.

use std::net::Ipv4Addr;

use sluice_datapath::measure::{Flow, Flows};
use sluice_datapath::test_run::XdpAction;
use sluice_policy::{Action, Filter, LimitKey, Match, Rate, RateLimit, Rule};

use super::{Packet, Subject};
use crate::bench::frames::{DESTINATION, tcp, udp};
use crate::oracle::build::{destination_ports, filter, from, rule};
use crate::oracle::{Node, balancer_alone};
use crate::packets::place;

const UDP: u8 = 17;

pub fn subjects() -> anyhow::Result<Vec<Subject>> {
    let address = from(&[&format!("{}/32", Ipv4Addr::from(source(0)))], &[]);
    let mut subjects = vec![
        Subject::new("no policy", Node::new(vec![], vec![])?, vec![miss()]),
        Subject::new(
            "1 rule, UDP port",
            one_port(port(0))?,
            vec![
                hit("hit", 0).at_most(2.4).reference("xdp-filter, ports only", 2.4),
                miss().at_most(2.4).reference("xdp-filter, ports only", 2.4),
            ],
        ),
        Subject::new(
            "1 rule, source",
            alone(vec![rule("one", Action::Drop, address)])?,
            vec![
                hit("hit", 0)
                    .at_most(3.2)
                    .reference("xdp-filter", 4.5)
                    .reference("ingress-node-firewall", 4.7),
                miss(),
            ],
        ),
    ];
    let rules = |number| alone((0..number).map(five_tuple).collect());
    let packets = |number: u16| vec![hit("first", 0), hit("last", number - 1), miss()];
    subjects.push(Subject::new("1 rule", rules(1)?, vec![hit("hit", 0).at_most(4.5), miss()]));
    subjects.push(Subject::new("10 rules", rules(10)?, packets(10)));
    let mut hundred = packets(100);
    hundred[1] = hit("last", 99).at_most(5.0).reference("ingress-node-firewall", 72.0);
    subjects.push(Subject::new("100 rules", rules(100)?, hundred));
    subjects.push(Subject::new("10,000 rules", ten_thousand()?, ten_thousand_packets()));
    subjects.push(Subject::new("rate limit per source", limited()?, vec![many_sources().at_most(15.0)]));
    subjects.push(Subject::new("balancer", balancer_alone()?, balanced()));
    Ok(subjects)
}

/// Drops UDP to a port.
pub fn one_port(port: u16) -> anyhow::Result<Node> {
    alone(vec![rule("one", Action::Drop, with_protocol(destination_ports(&[(port, port)])))])
}

fn alone(rules: Vec<Rule>) -> anyhow::Result<Node> {
    Node::new(vec![filter("edge", Action::Pass, rules)], vec![])
}

/// Source network, protocol and port, all of them different from rule to rule.
fn five_tuple(number: u16) -> Rule {
    let matches = Match {
        sources: from(&[&format!("198.18.{number}.0/24")], &[]).sources,
        ..with_protocol(destination_ports(&[(port(number), port(number))]))
    };
    rule(&format!("rule-{number}"), Action::Drop, matches)
}

/// Ten filters of a thousand rules, each with a network, a protocol and a range of ports of its own.
pub fn ten_thousand() -> anyhow::Result<Node> {
    let rules: Vec<Rule> = (0..10_000)
        .map(|number| {
            let matches = Match {
                sources: from(&[&format!("{}/24", network(number))], &[]).sources,
                ..with_protocol(destination_ports(&[(first_port(number), first_port(number) + 99)]))
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
    Node::new(filters.collect(), vec![])
}

fn ten_thousand_packets() -> Vec<Packet> {
    let flow = |number: u32| Flow {
        source: (network(number).to_bits() | number & 0xff).to_be_bytes(),
        source_port: (40_000 + (number % 1000) as u16).to_be_bytes(),
        destination_port: (first_port(number) + (number % 100) as u16).to_be_bytes(),
    };
    let frame = udp([198, 19, 0, 7], 53);
    let hits = Flows::Some((0..10_000).map(flow).collect());
    let one = udp(network(7000).octets(), first_port(7000));
    vec![
        Packet::new("one rule hits", one, Flows::One, XdpAction::Drop),
        Packet::new("random rule hits", frame.clone(), hits, XdpAction::Drop)
            .at_most_rows(2.0, "1 rule, hit"),
        Packet::new("random source, no match", frame, Flows::Many, XdpAction::Pass),
    ]
}

fn network(number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(number.wrapping_mul(0x9e37_79b1) & 0xffff_ff00)
}

fn first_port(number: u32) -> u16 {
    1000 + (number % 500) as u16 * 100
}

/// Of so much that nothing is dropped: taking from a bucket costs more than finding it empty.
fn limited() -> anyhow::Result<Node> {
    let rate = Rate::PacketsPerSecond(100_000_000);
    let limit = RateLimit { rate, burst: 100_000_000, per: LimitKey::Source };
    alone(vec![rule("limit", Action::RateLimit(limit), with_protocol(Match::default()))])
}

fn many_sources() -> Packet {
    let source = |number: u32| (0xc612_0000 + number).to_be_bytes();
    let [source_port, destination_port] = [40_000u16, port(0)].map(u16::to_be_bytes);
    let flow = |number| Flow { source: source(number), source_port, destination_port };
    let flows = Flows::Some((0..10_000).map(flow).collect());
    Packet::new("10,000 sources", udp([198, 18, 0, 7], port(0)), flows, XdpAction::Pass)
}

fn with_protocol(matches: Match) -> Match {
    Match { protocols: vec![UDP], ..matches }
}

fn source(number: u16) -> [u8; 4] {
    [198, 18, number as u8, 7]
}

pub fn port(number: u16) -> u16 {
    1000 + 2 * number
}

pub fn hit(name: &'static str, number: u16) -> Packet {
    Packet::new(name, udp(source(number), port(number)), Flows::One, XdpAction::Drop)
}

pub fn miss() -> Packet {
    Packet::new("no match", udp([198, 19, 0, 7], 53), Flows::One, XdpAction::Pass)
}

fn balanced() -> Vec<Packet> {
    let vip = place::VIP4.octets();
    vec![
        Packet::new("hot flow", tcp(vip), Flows::One, XdpAction::Tx).at_most(9.0),
        Packet::new("new flow each", tcp(vip), Flows::Many, XdpAction::Tx),
        Packet::new("no VIP", tcp(DESTINATION), Flows::One, XdpAction::Pass),
    ]
}
