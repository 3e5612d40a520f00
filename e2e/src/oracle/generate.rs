//! Random policies that an admission would let through.

mod link;
mod network;
mod payload;
mod sets;

use ipnet::{Ipv4Net, Ipv6Net};
use rand::Rng;
use sluice_compile::MAX_CONTINUING_RULES;
use sluice_interpret::{Service, Sets};
use sluice_policy::{
    Action, Backend, Balancer, Filter, FragmentKind, Hook, IcmpFamily, IcmpMatch, LaterFragments, LimitKey,
    Malformed, Mark, Match, Mode, NodeSelector, PortRange, PrefixSet, Rate, RateLimit, Rule, TcpFlags,
    VipPort,
};

use crate::packets::{addresses, place, ports};

use super::build::{ELSEWHERE, HERE, addresses as parsed, filter, object, on, rule};
use super::node::Node;
use super::policies::before_others;
use payload::Patterns;

const WITH_PORTS: [u8; 5] = [6, 17, 33, 132, 136];
const PROTOCOLS: [u8; 12] = [6, 17, 1, 58, 132, 136, 33, 47, 50, 4, 112, 59];
/// Rules of all filters together; with their defaults they fit a node.
const MOST_RULES: usize = 960;

pub fn random_node(rng: &mut impl Rng) -> anyhow::Result<Node> {
    let sets = sets::random(rng);
    if rng.random_bool(0.25) {
        let filter = few_comparisons(rng, &sets);
        return Node::with_sets(vec![filter], Vec::new(), sets);
    }
    let mut filters = filters(rng, &sets);
    if rng.random_bool(0.15) {
        filters = before_others(filters);
    }
    let hook = [Hook::Xdp, Hook::Xdp, Hook::Xdp, Hook::TcIngress, Hook::TcEgress][rng.random_range(0..5)];
    for filter in &mut filters {
        filter.hook = hook;
        // It must make no difference, for no packet of a test run is a connection's. Not drawn: what is drawn behind it
        // would be another.
        filter.allow_established = hook != Hook::TcEgress && filter.rules.len() % 4 == 3;
    }
    let services = if rng.random_bool(0.4) { vec![service(rng)] } else { Vec::new() };
    if rng.random_bool(0.1) {
        Node::above_the_rate(filters, services, sets)
    } else {
        Node::with_sets(filters, services, sets)
    }
}

/// A filter that needs no tables: packets are decided by constants of the program, most of them at once.
fn few_comparisons(rng: &mut impl Rng, sets: &Sets) -> Filter {
    let rules = (0..rng.random_range(0..8)).map(|index| {
        let Match { sources, destinations, protocols, source_ports, destination_ports, .. } =
            random_match(rng);
        let one = |side: Option<PrefixSet>| {
            side.map(|side| PrefixSet {
                v4: side.v4.into_iter().take(1).collect(),
                v6: side.v6.into_iter().take(1).collect(),
                ..PrefixSet::default()
            })
            .filter(|side| !side.is_open())
        };
        let mut matches = Match {
            sources: one(sources),
            destinations: one(destinations),
            protocols: protocols.into_iter().take(2).collect(),
            source_ports: source_ports.into_iter().take(1).collect(),
            destination_ports: destination_ports.into_iter().take(2).collect(),
            ..Match::default()
        };
        if matches.sources.is_none() && rng.random_bool(0.2) {
            sets::add(rng, sets, &mut matches);
        }
        rule(&format!("r{index}"), [Action::Drop, Action::Pass][rng.random_range(0..2)], matches)
    });
    let rules = rules.collect();
    Filter {
        malformed: if rng.random_bool(0.3) { Malformed::Drop } else { Malformed::Pass },
        interfaces: on(HERE),
        ..filter("few", default_action(rng), rules)
    }
}

fn filters(rng: &mut impl Rng, sets: &Sets) -> Vec<Filter> {
    // Few rules show which one was wrong; many show what happens between words of a row.
    let per_filter = [3, 8, 8, 20, 60, 200][rng.random_range(0..6)];
    let count = rng.random_range(0..6);
    let patterns = Patterns::random(rng);
    let (mut rules_left, mut continuing_left) = (MOST_RULES, MAX_CONTINUING_RULES);
    (0..count)
        .map(|number| {
            let rules = rng.random_range(0..=per_filter).min(rules_left);
            rules_left -= rules;
            let rules = (0..rules)
                .map(|index| random_rule(rng, index, &patterns, sets, &mut continuing_left))
                .collect();
            Filter {
                mode: if rng.random_bool(0.25) { Mode::Audit } else { Mode::Enforce },
                priority: [-5, 0, 0, 10, i32::MAX, i32::MIN][rng.random_range(0..6)],
                malformed: if rng.random_bool(0.3) { Malformed::Drop } else { Malformed::Pass },
                interfaces: on(if rng.random_bool(0.15) { ELSEWHERE } else { HERE }),
                ..filter(&format!("f{number}"), default_action(rng), rules)
            }
        })
        .collect()
}

fn default_action(rng: &mut impl Rng) -> Action {
    match rng.random_range(0..6) {
        0 => Action::Pass,
        1 => Action::Drop,
        _ => Action::Next,
    }
}

fn random_rule(
    rng: &mut impl Rng,
    index: usize,
    patterns: &Patterns,
    sets: &Sets,
    continuing_left: &mut usize,
) -> Rule {
    let action =
        [Action::Drop, Action::Drop, Action::Pass, Action::Pass, Action::Next][rng.random_range(0..5)];
    let mut rule = rule(&format!("r{index}"), action, random_match(rng));
    patterns.add(rng, &mut rule.matches);
    sets::add(rng, sets, &mut rule.matches);
    if rule.matches.has_layer4_fields() && rng.random_bool(0.5) {
        let settings = [LaterFragments::MatchL3, LaterFragments::NoMatch, LaterFragments::Drop];
        rule.later_fragments = settings[rng.random_range(0..3)];
    }
    if *continuing_left > 0 && rng.random_bool(0.25) {
        *continuing_left -= 1;
        match rng.random_range(0..6) {
            0 | 1 => rule.action = Action::Count,
            2 => rule.action = Action::RateLimit(rate_limit(rng)),
            3 => rule.action = Action::Mark(mark(rng)),
            _ => {}
        }
        if !rule.continues() || rng.random_bool(0.2) {
            rule.mode = Mode::Audit;
        }
    }
    rule
}

fn mark(rng: &mut impl Rng) -> Mark {
    let mask = [u32::MAX, 0xff, 0xf0, 1 << 31][rng.random_range(0..4)];
    Mark { value: rng.random::<u32>() & mask, mask }
}

/// Rates that the kernel's unit of time divides, so that it rounds nothing, with keys so few that no two share a bucket;
/// or with many keys, and never reached.
fn rate_limit(rng: &mut impl Rng) -> RateLimit {
    let short = [0, 1][rng.random_range(0..2)];
    let few = [LimitKey::Rule, LimitKey::SourcePrefix { v4: short, v6: 1 - short }];
    let many = [LimitKey::Source, LimitKey::Destination, LimitKey::SourceMac];
    if rng.random_bool(0.3) {
        let rate = Rate::BytesPerSecond(10_000_000_000);
        return RateLimit { rate, burst: 1 << 40, per: many[rng.random_range(0..3)] };
    }
    let per = few[rng.random_range(0..2)];
    if rng.random_bool(0.3) {
        let rate = Rate::BytesPerSecond([1, 1000, 100_000][rng.random_range(0..3)]);
        return RateLimit { rate, burst: rng.random_range(1518..5000), per };
    }
    let rate = Rate::PacketsPerSecond([1, 10, 200, 1000][rng.random_range(0..4)]);
    RateLimit { rate, burst: rng.random_range(1..20), per }
}

fn random_match(rng: &mut impl Rng) -> Match {
    let mut matches = Match::default();
    if rng.random_bool(0.4) {
        matches.sources = Some(prefix_set(rng));
    }
    if rng.random_bool(0.25) {
        matches.destinations = Some(prefix_set(rng));
    }
    if rng.random_bool(0.15) {
        let kinds = [
            FragmentKind::None,
            FragmentKind::First,
            FragmentKind::Later,
            FragmentKind::Tiny,
            FragmentKind::Any,
        ];
        matches.fragments = some_of(rng, &kinds);
    }
    link::add(rng, &mut matches);
    network::add(rng, &mut matches);
    layer4(rng, &mut matches);
    matches
}

/// Ports, flags or ICMP beside protocols that have them, as the API demands.
fn layer4(rng: &mut impl Rng, matches: &mut Match) {
    let needed: &[u8] = match rng.random_range(0..8) {
        0 => &PROTOCOLS,
        1 | 2 => {
            if rng.random_bool(0.4) {
                matches.source_ports = port_ranges(rng);
            }
            if matches.source_ports.is_empty() || rng.random_bool(0.7) {
                matches.destination_ports = port_ranges(rng);
            }
            &WITH_PORTS
        }
        3 => {
            matches.tcp_flags = Some(tcp_flags(rng));
            if rng.random_bool(0.3) {
                matches.destination_ports = port_ranges(rng);
            }
            &[6]
        }
        4 => {
            matches.icmp = (0..rng.random_range(1..4)).map(|_| icmp_match(rng)).collect();
            &[1, 58]
        }
        _ => return,
    };
    if !matches.has_layer4_fields() || rng.random_bool(0.5) {
        matches.protocols.push(needed[rng.random_range(0..needed.len())]);
        while rng.random_bool(0.4) {
            let any = if rng.random_bool(0.2) { rng.random() } else { PROTOCOLS[rng.random_range(0..12)] };
            matches.protocols.push(any);
        }
    }
}

fn some_of<T: Copy>(rng: &mut impl Rng, of: &[T]) -> Vec<T> {
    let mut some: Vec<T> = of.iter().copied().filter(|_| rng.random_bool(0.4)).collect();
    if some.is_empty() {
        some.push(of[rng.random_range(0..of.len())]);
    }
    some
}

fn port_ranges(rng: &mut impl Rng) -> Vec<PortRange> {
    (0..rng.random_range(1..4))
        .map(|_| {
            let (one, other) = (ports(rng), if rng.random_bool(0.4) { Some(ports(rng)) } else { None });
            let other = other.unwrap_or(one);
            PortRange { first: one.min(other), last: one.max(other) }
        })
        .collect()
}

fn tcp_flags(rng: &mut impl Rng) -> TcpFlags {
    let set = [0x02, 0x10, 0x12, 0x01, 0x04, 0][rng.random_range(0..6)];
    let unset: u8 = [0x10, 0x02, 0x04, 0, 0xff][rng.random_range(0..5)] & !set;
    if set == 0 && unset == 0 { TcpFlags { set: 0x02, unset: 0x10 } } else { TcpFlags { set, unset } }
}

fn icmp_match(rng: &mut impl Rng) -> IcmpMatch {
    let family = if rng.random() { IcmpFamily::V4 } else { IcmpFamily::V6 };
    let types = [0, 3, 8, 11, 128, 129, 135, 255];
    let icmp_type = rng.random_bool(0.8).then(|| types[rng.random_range(0..types.len())]);
    let code = icmp_type.and_then(|_| rng.random_bool(0.4).then(|| rng.random_range(0..5)));
    IcmpMatch { family, icmp_type, code }
}

fn prefix_set(rng: &mut impl Rng) -> PrefixSet {
    let mut set = PrefixSet::default();
    for _ in 0..rng.random_range(0..4) {
        if rng.random() { set.v4.push(v4(rng)) } else { set.v6.push(v6(rng)) }
    }
    let exceptions = if set == PrefixSet::default() { 1..3 } else { 0..3 };
    for _ in 0..rng.random_range(exceptions) {
        if rng.random() { set.except_v4.push(v4(rng)) } else { set.except_v6.push(v6(rng)) }
    }
    set
}

pub fn v4(rng: &mut impl Rng) -> Ipv4Net {
    let length = [0, 1, 8, 16, 24, 25, 31, 32, 32, rng.random_range(0..=32)][rng.random_range(0..10)];
    Ipv4Net::new(addresses::v4(rng), length).expect("at most 32").trunc()
}

pub fn v6(rng: &mut impl Rng) -> Ipv6Net {
    let length = [0, 1, 32, 48, 64, 65, 127, 128, 128, rng.random_range(0..=128)][rng.random_range(0..10)];
    Ipv6Net::new(addresses::v6(rng), length).expect("at most 128").trunc()
}

fn service(rng: &mut impl Rng) -> Service {
    let all = parsed(&["10.20.0.1", "10.20.0.2", "10.20.0.3", "fd00::1", "fd00::2"]);
    let backends =
        all.iter().map(|address| Backend { address: *address, weight: rng.random_range(0..4) }).collect();
    let balancer = Balancer {
        object: object("XdpLoadBalancer", "web"),
        created: 0,
        nodes: NodeSelector::default(),
        interfaces: on(if rng.random_bool(0.1) { ELSEWHERE } else { HERE }),
        addresses: vec![place::VIP4.into(), place::VIP6.into()],
        ports: [(80, 6), (443, 6), (443, 17), (53, 17)]
            .map(|(port, protocol)| VipPort { name: format!("p{port}-{protocol}"), protocol, port })
            .to_vec(),
        backends,
        slots: 256,
        health_check: None,
    };
    let healthy = all.into_iter().filter(|_| rng.random_bool(0.7)).collect();
    Service { balancer, healthy }
}
