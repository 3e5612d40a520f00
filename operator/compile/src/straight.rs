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
    if let Some(side) = sources {
        entry.source_sets = bits(side, sets);
        if entry.source_sets != 0 {
            only_sets(side)?;
            entry.tests |= tests::SOURCE_SETS;
        } else {
            let (prefix, mask, family) = prefix(side)?;
            (entry.source, entry.source_mask) = (prefix, mask);
            entry.tests |= tests::SOURCE | family;
        }
    }
    if let Some(side) = destinations {
        entry.destination_sets = bits(side, sets);
        if entry.destination_sets != 0 {
            only_sets(side)?;
            entry.tests |= tests::DESTINATION_SETS;
        } else {
            let (prefix, mask, family) = prefix(side)?;
            (entry.destination, entry.destination_mask) = (prefix, mask);
            entry.tests |= tests::DESTINATION | family;
        }
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

/// The address sets that a side names.
fn bits(side: &PrefixSet, sets: &[&str]) -> u32 {
    let named = sets.iter().enumerate().filter(|(_, set)| side.sets.iter().any(|name| name == *set));
    named.map(|(bit, _)| 1 << bit).sum()
}

fn only_sets(side: &PrefixSet) -> Option<()> {
    let PrefixSet { v4, v6, sets: _, except_v4, except_v6 } = side;
    (v4.is_empty() && v6.is_empty() && except_v4.is_empty() && except_v6.is_empty()).then_some(())
}

/// Prefix, mask and family of a side that is one prefix.
fn prefix(side: &PrefixSet) -> Option<([u64; 2], [u64; 2], u16)> {
    let PrefixSet { v4, v6, sets, except_v4, except_v6 } = side;
    if !sets.is_empty() || !except_v4.is_empty() || !except_v6.is_empty() {
        return None;
    }
    match (&v4[..], &v6[..]) {
        ([one], []) => Some(v4_prefix(one)),
        ([], [one]) => Some(v6_prefix(one)),
        _ => None,
    }
}

fn v4_prefix(net: &Ipv4Net) -> ([u64; 2], [u64; 2], u16) {
    let (prefix, mask) = (u32::from(net.network()), u32::from(net.netmask()));
    let prefix = u64::from(prefix);
    ([0, prefix], [0, u64::from(mask)], tests::FAMILY_V4)
}

fn v6_prefix(net: &Ipv6Net) -> ([u64; 2], [u64; 2], u16) {
    (halves(net.network().into()), halves(net.netmask().into()), tests::FAMILY_V6)
}

fn halves(address: u128) -> [u64; 2] {
    [(address >> 64) as u64, address as u64]
}
