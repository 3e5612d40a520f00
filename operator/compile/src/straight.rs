//! A few simple entries need no tables: the kernel program compares with constants.

use ipnet::{Ipv4Net, Ipv6Net};
use sluice_abi::{Entry, EntryAction, MAX_STRAIGHT, Straight, tests};
use sluice_policy::{LaterFragments, Match, PortRange, PrefixSet, Rule};

use crate::flatten::{Flat, Matcher};

/// `None` if there are too many, or one asks for more than this form has: one prefix, one protocol, one range of ports.
pub fn straight(flat: &Flat) -> Option<Vec<Straight>> {
    let few = (1..=MAX_STRAIGHT).contains(&flat.entries.len());
    let entries = flat.entries.iter().zip(&flat.matchers);
    few.then(|| entries.map(|(entry, matcher)| one(entry, matcher)).collect()).flatten()
}

fn one(entry: &Entry, matcher: &Matcher) -> Option<Straight> {
    let decides = [EntryAction::Pass as u8, EntryAction::Drop as u8].contains(&entry.action);
    if entry.flags != 0 || !decides {
        return None;
    }
    let always = Straight { tests: tests::APPLIES, action: entry.action, ..Straight::default() };
    match matcher {
        Matcher::Everything => Some(always),
        Matcher::Malformed => Some(Straight { tests: tests::APPLIES | tests::MALFORMED, ..always }),
        Matcher::Rule(rule) => asks(rule, always),
    }
}

fn asks(rule: &Rule, mut entry: Straight) -> Option<Straight> {
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
    if let Some(set) = sources {
        let (prefix, mask, family) = prefix(set)?;
        (entry.source, entry.source_mask) = (prefix, mask);
        entry.tests |= tests::SOURCE | family;
    }
    if let Some(set) = destinations {
        let (prefix, mask, family) = prefix(set)?;
        (entry.destination, entry.destination_mask) = (prefix, mask);
        entry.tests |= tests::DESTINATION | family;
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

/// Prefix, mask and family of a set that is one prefix.
fn prefix(set: &PrefixSet) -> Option<([u64; 2], [u64; 2], u16)> {
    let PrefixSet { v4, v6, sets, except_v4, except_v6 } = set;
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
