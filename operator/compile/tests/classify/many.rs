//! More entries than a row has bits: the trees decide as the rules read.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};
use proptest::prelude::*;
use sluice_abi::{MAX_BITS, features};
use sluice_policy::{
    Action, Filter, FragmentKind, LaterFragments, Malformed, Match, Mode, PortRange, PrefixSet, Rule,
    TcpFlags,
};

use crate::packet::{Fragment, Layer4, Packet};
use crate::policies::{drop, empty, filters};
use crate::probes::{Dice, random};
use crate::tables::Tables;
use crate::{disagreement, judge, plan};

/// Rules on other addresses than the random ones, so that there are more than bits.
fn others() -> Filter {
    let rule = |number: u32| {
        let net = Ipv4Net::new(Ipv4Addr::from_bits(0x2d00_0000 | number << 4), 28).expect("at most 32");
        drop(&format!("other-{number}"), Match { sources: Some(of(&[net])), ..Match::default() })
    };
    Filter { priority: -10, rules: (0..MAX_BITS as u32).map(rule).collect(), ..empty("others") }
}

fn of(nets: &[Ipv4Net]) -> PrefixSet {
    PrefixSet { v4: nets.to_vec(), ..PrefixSet::default() }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn any_rules_among_many_decide_as_they_read(mut filters in filters()) {
        filters.push(others());
        prop_assert_eq!(disagreement(&filters, &plan(&filters)), None);
    }
}

/// Thousands of rules of one kind.
struct Kind {
    name: &'static str,
    matches: fn(&mut Dice, u32) -> Match,
}

const KINDS: [Kind; 7] = [
    Kind { name: "sources anywhere, protocol and port range", matches: five_tuple },
    Kind { name: "sources in one network, one behind the other", matches: in_a_row },
    Kind { name: "sources that nest", matches: nested },
    Kind { name: "destinations or sources", matches: either },
    Kind { name: "ports alone", matches: |dice, _| Match { protocols: vec![6], ..ports(dice) } },
    Kind { name: "IPv6", matches: v6 },
    Kind { name: "a bit of everything", matches: mixed },
];

const RULES: u32 = 2500;

#[test]
fn thousands_of_rules_decide_as_they_read() {
    for kind in &KINDS {
        let filters = many(kind, RULES);
        let plan = plan(&filters);
        assert_ne!(plan.filters.tables.features & features::LARGE, 0);
        let (tables, ordered) = (Tables::decode(&plan), judge::ordered(&filters));
        let mut decided = 0;
        for packet in random(&filters, 700).into_iter().chain(aimed(&filters, 1500)) {
            let (expected, found) = (judge::judge(&ordered, &packet), tables.classify(&packet));
            assert_eq!(expected, found, "{}: {packet:?}", kind.name);
            decided += usize::from(expected.decided.is_some_and(|(_, rule)| rule.starts_with("rule")));
        }
        assert!(decided > 300, "{}: only {decided} packets met a rule", kind.name);
    }
}

/// Three filters: the first goes on after some rules, the second is in Audit.
fn many(kind: &Kind, rules: u32) -> Vec<Filter> {
    let mut dice = Dice(7);
    let mut audits = 0;
    let mut rule = |number: u32| {
        let action = *dice.pick(&[Action::Drop, Action::Pass, Action::Drop, Action::Next]);
        let later = *dice.pick(&[LaterFragments::MatchL3, LaterFragments::NoMatch, LaterFragments::Drop]);
        let audited = audits < 60 && dice.below(40) == 0;
        audits += usize::from(audited);
        let mode = if audited { Mode::Audit } else { Mode::Enforce };
        let matches = (kind.matches)(&mut dice, number);
        Rule { action, mode, later_fragments: later, ..drop(&format!("rule-{number}"), matches) }
    };
    let mut part =
        |name: &str, from: u32, to: u32| Filter { rules: (from..to).map(&mut rule).collect(), ..empty(name) };
    vec![
        part("a", 0, rules / 3),
        Filter { mode: Mode::Audit, ..part("b", rules / 3, rules / 2) },
        Filter { default_action: Action::Drop, malformed: Malformed::Drop, ..part("c", rules / 2, rules) },
    ]
}

fn five_tuple(dice: &mut Dice, _: u32) -> Match {
    let net = v4_net(dice.bits(), 24 + dice.below(9) as u8);
    Match { sources: Some(of(&[net])), protocols: vec![*dice.pick(&[6, 17])], ..ports(dice) }
}

fn in_a_row(dice: &mut Dice, number: u32) -> Match {
    let net = v4_net(0x0a00_0000 | number << 2, 30);
    Match { sources: Some(of(&[net])), protocols: vec![17], ..ports(dice) }
}

fn nested(dice: &mut Dice, _: u32) -> Match {
    let net = v4_net(0x0a00_0000 | dice.bits() & 0x00ff_ffff, 8 + dice.below(25) as u8);
    Match { sources: Some(of(&[net])), ..ports(dice) }
}

fn either(dice: &mut Dice, number: u32) -> Match {
    let set = Some(of(&[v4_net(dice.bits(), 20 + dice.below(13) as u8)]));
    match number % 3 {
        0 => Match { sources: set, ..Match::default() },
        1 => Match { destinations: set, ..ports(dice) },
        _ => Match { sources: set.clone(), destinations: set, ..Match::default() },
    }
}

fn v6(dice: &mut Dice, _: u32) -> Match {
    let bits = 0x2001_0db8 << 96 | u128::from(dice.bits()) << 64 | u128::from(dice.bits() & 0xf);
    let net =
        Ipv6Net::new(Ipv6Addr::from_bits(bits), 40 + dice.below(89) as u8).expect("at most 128").trunc();
    let set = Some(PrefixSet { v6: vec![net], ..PrefixSet::default() });
    if dice.below(2) == 0 {
        Match { sources: set, ..ports(dice) }
    } else {
        Match { destinations: set, ..ports(dice) }
    }
}

fn mixed(dice: &mut Dice, number: u32) -> Match {
    let mut matches = match dice.below(6) {
        0 => v6(dice, number),
        1 => nested(dice, number),
        2 => ports(dice),
        _ => five_tuple(dice, number),
    };
    if let Some(sources) = matches.sources.as_mut().filter(|_| dice.below(8) == 0) {
        sources.v4.push(v4_net(dice.bits(), 28));
        sources.except_v4.extend(sources.v4.iter().find_map(|net| net.subnets(32).ok()?.next()));
    }
    if dice.below(10) == 0 {
        matches.tcp_flags = Some(TcpFlags { set: 2, unset: 16 });
    }
    if dice.below(10) == 0 {
        matches.fragments = vec![*dice.pick(&[FragmentKind::None, FragmentKind::Later, FragmentKind::First])];
    }
    matches
}

fn v4_net(bits: u32, length: u8) -> Ipv4Net {
    Ipv4Net::new(Ipv4Addr::from_bits(bits), length).expect("at most 32").trunc()
}

/// A range of destination ports, now and then one of source ports too.
fn ports(dice: &mut Dice) -> Match {
    let mut range = |width: usize| {
        let first = dice.below(0x1_0000 - width);
        PortRange { first: first as u16, last: (first + width) as u16 }
    };
    let (narrow, broad) = (range(20), range(2000));
    let source_ports = if dice.below(8) == 0 { vec![broad] } else { Vec::new() };
    Match { destination_ports: vec![narrow], source_ports, ..Match::default() }
}

/// Packets in which most rules' own values meet, or those just beside them.
fn aimed(filters: &[Filter], count: usize) -> Vec<Packet> {
    let rules: Vec<&Match> =
        filters.iter().flat_map(|filter| &filter.rules).map(|rule| &rule.matches).collect();
    let mut dice = Dice(0xa1);
    (0..count).map(|_| aimed_at(rules[dice.below(rules.len())], &mut dice)).collect()
}

fn aimed_at(matches: &Match, dice: &mut Dice) -> Packet {
    let is_v6 = [&matches.sources, &matches.destinations].into_iter().flatten().any(|set| set.v4.is_empty());
    let source = address(matches.sources.as_ref(), is_v6, dice);
    let destination = address(matches.destinations.as_ref(), is_v6, dice);
    let protocol = matches.protocols.first().copied().unwrap_or(17);
    let ports = (port(&matches.source_ports, dice), port(&matches.destination_ports, dice));
    let fragment = *dice.pick(&[Fragment::Whole, Fragment::Whole, Fragment::First, Fragment::Later]);
    let layer4 = match protocol {
        _ if fragment == Fragment::Later => Layer4::Nothing,
        6 => Layer4::Tcp { ports, flags: *dice.pick(&[2, 16]) },
        _ => Layer4::Ports(ports.0, ports.1),
    };
    Packet {
        addresses: Some((source, destination)),
        fragment,
        malformed: false,
        protocol: Some(protocol),
        layer4,
        ..Packet::default()
    }
}

fn address(set: Option<&PrefixSet>, is_v6: bool, dice: &mut Dice) -> IpAddr {
    if is_v6 {
        let (first, last) = set
            .and_then(|set| set.v6.first())
            .map_or((1, 1), |net| (net.network().to_bits(), net.broadcast().to_bits()));
        let beside = first.wrapping_sub(u128::from(dice.below(8) == 0));
        return IpAddr::V6(Ipv6Addr::from_bits(*dice.pick(&[first, last, beside])));
    }
    let (first, last) = set
        .and_then(|set| set.v4.first())
        .map_or((1, 1), |net| (net.network().to_bits(), net.broadcast().to_bits()));
    let beside = first.wrapping_sub(u32::from(dice.below(8) == 0));
    IpAddr::V4(Ipv4Addr::from_bits(*dice.pick(&[first, last, beside])))
}

fn port(ranges: &[PortRange], dice: &mut Dice) -> u16 {
    let Some(range) = ranges.first() else { return 7 };
    *dice.pick(&[range.first, range.last, range.first, range.last, range.last.wrapping_add(1)])
}
