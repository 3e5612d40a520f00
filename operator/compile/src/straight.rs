//! A few simple entries need no tables: the kernel program compares with constants.

use ipnet::{Ipv4Net, Ipv6Net};
use sluice_abi::{Entry, EntryAction, MAX_STRAIGHT, Straight, tests};
use sluice_policy::{LaterFragments, Match, PortRange, PrefixSet, Rule};

use crate::flatten::{Flat, Matcher};

/// `None` if there are too many, or one asks for more than this form has: one prefix or address sets, one protocol, one
/// range of ports.
pub fn straight(flat: &Flat) -> Option<Vec<Straight>> {
    let few = (1..=MAX_STRAIGHT).contains(&flat.entries.len());
    let entries = flat.entries.iter().zip(&flat.matchers);
    few.then(|| entries.map(|(entry, matcher)| one(entry, matcher, &flat.sets)).collect()).flatten()
}

fn one(entry: &Entry, matcher: &Matcher, sets: &[&str]) -> Option<Straight> {
    let decides = [EntryAction::Pass as u8, EntryAction::Drop as u8].contains(&entry.action);
    if entry.flags != 0 || !decides {
        return None;
    }
    let always = Straight { tests: tests::APPLIES, action: entry.action, ..Straight::default() };
    match matcher {
        Matcher::Everything => Some(always),
        Matcher::Established => Some(Straight { tests: tests::APPLIES | tests::ESTABLISHED, ..always }),
        Matcher::Malformed => Some(Straight { tests: tests::APPLIES | tests::MALFORMED, ..always }),
        Matcher::Rule(rule) => asks(rule, sets, always),
    }
}

fn asks(rule: &Rule, sets: &[&str], mut entry: Straight) -> Option<Straight> {
    let Match { sources, destinations, protocols, source_ports, destination_ports, .. } = &rule.matches;
    let without = Match {
        sources: None,
        destinations: None,
        protocols: Vec::new(),
        source_ports: Vec::new(),
        destination_ports: Vec::new(),
        ..rule.matches.clone()
    };
    // Any other field needs tables.
    if without != Match::default() {
        return None;
    }
    if let Some(wanted) = sources {
        let Side { prefix, mask, family, sets } = side(wanted, sets)?;
        (entry.source, entry.source_mask, entry.source_sets) = (prefix, mask, sets);
        entry.tests |= if sets == 0 { tests::SOURCE | family } else { tests::SOURCE_SETS };
    }
    if let Some(wanted) = destinations {
        let Side { prefix, mask, family, sets } = side(wanted, sets)?;
        (entry.destination, entry.destination_mask, entry.destination_sets) = (prefix, mask, sets);
        entry.tests |= if sets == 0 { tests::DESTINATION | family } else { tests::DESTINATION_SETS };
    }
    if let Some(protocol) = only(protocols)? {
        entry.protocol = *protocol;
        entry.tests |= tests::PROTOCOL;
    }
    if let Some(ports) = only(source_ports)? {
        entry.source_ports = ends(ports);
        entry.tests |= tests::SOURCE_PORT;
    }
    if let Some(ports) = only(destination_ports)? {
        entry.destination_ports = ends(ports);
        entry.tests |= tests::DESTINATION_PORT;
    }
    if rule.later_fragments == LaterFragments::MatchL3 {
        entry.tests |= tests::LATER;
    }
    Some(entry)
}

/// The outer `None` is for more than one; an empty list asks for nothing.
fn only<T>(list: &[T]) -> Option<Option<&T>> {
    match list {
        [] => Some(None),
        [one] => Some(Some(one)),
        _ => None,
    }
}

fn ends(ports: &PortRange) -> [u16; 2] {
    [ports.first, ports.last]
}

/// One prefix with its family, or address sets as bits.
#[derive(Default)]
struct Side {
    prefix: [u64; 2],
    mask: [u64; 2],
    family: u16,
    sets: u32,
}

/// `None` for a side that is neither.
fn side(wanted: &PrefixSet, known: &[&str]) -> Option<Side> {
    let PrefixSet { v4, v6, sets, except_v4, except_v6 } = wanted;
    if !except_v4.is_empty() || !except_v6.is_empty() {
        return None;
    }
    match (&v4[..], &v6[..], &sets[..]) {
        ([one], [], []) => Some(v4_prefix(one)),
        ([], [one], []) => Some(v6_prefix(one)),
        ([], [], [_, ..]) => {
            let named = known.iter().enumerate().filter(|(_, set)| sets.iter().any(|name| name == *set));
            Some(Side { sets: named.map(|(bit, _)| 1 << bit).sum(), ..Side::default() })
        }
        _ => None,
    }
}

fn v4_prefix(net: &Ipv4Net) -> Side {
    let [prefix, mask] = [net.network(), net.netmask()].map(|address| [0, u32::from(address).into()]);
    Side { prefix, mask, family: tests::FAMILY_V4, sets: 0 }
}

fn v6_prefix(net: &Ipv6Net) -> Side {
    let [prefix, mask] = [net.network(), net.netmask()].map(|address| halves(address.into()));
    Side { prefix, mask, family: tests::FAMILY_V6, sets: 0 }
}

fn halves(address: u128) -> [u64; 2] {
    [(address >> 64) as u64, address as u64]
}
