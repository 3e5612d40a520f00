//! A few simple entries need no tables: the kernel program compares with constants.

use ipnet::{Ipv4Net, Ipv6Net};
use sluice_abi::{Entry, EntryAction, MAX_STRAIGHT, Straight, tests};
use sluice_policy::{LaterFragments, Match, PortRange, PrefixSet, Rule};

use crate::flatten::{Flat, Matcher};

/// `None` if there are too many comparisons, or an entry asks for what this form does not have. An entry whose fields
/// are lists is one comparison for each combination of their items.
pub fn straight(flat: &Flat) -> Option<Vec<Straight>> {
    let mut all = Vec::new();
    for (number, (entry, matcher)) in flat.entries.iter().zip(&flat.matchers).enumerate() {
        all.extend(comparisons(number, entry, matcher, &flat.sets)?);
        if all.len() > MAX_STRAIGHT {
            return None;
        }
    }
    (!all.is_empty()).then_some(all)
}

fn comparisons(number: usize, entry: &Entry, matcher: &Matcher, sets: &[&str]) -> Option<Vec<Straight>> {
    let decides = [EntryAction::Pass as u8, EntryAction::Drop as u8].contains(&entry.action);
    if entry.flags != 0 || !decides {
        return None;
    }
    let number = u16::try_from(number).ok()?;
    let always =
        Straight { tests: tests::APPLIES, entry: number, action: entry.action, ..Straight::default() };
    match matcher {
        Matcher::Everything => Some(vec![always]),
        Matcher::Established => Some(vec![Straight { tests: tests::APPLIES | tests::ESTABLISHED, ..always }]),
        Matcher::Malformed => Some(vec![Straight { tests: tests::APPLIES | tests::MALFORMED, ..always }]),
        Matcher::Rule(rule) => asks(rule, sets, always),
    }
}

fn asks(rule: &Rule, sets: &[&str], mut always: Straight) -> Option<Vec<Straight>> {
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
    if rule.later_fragments == LaterFragments::MatchL3 {
        always.tests |= tests::LATER;
    }
    let mut all = vec![always];
    if let Some(wanted) = sources {
        all = combine(all, &sides(wanted, sets)?, |one, side| {
            (one.source, one.source_mask, one.source_sets) = (side.prefix, side.mask, side.sets);
            one.tests |= if side.sets == 0 { tests::SOURCE | side.family } else { tests::SOURCE_SETS };
        })?;
    }
    if let Some(wanted) = destinations {
        all = combine(all, &sides(wanted, sets)?, |one, side| {
            (one.destination, one.destination_mask, one.destination_sets) =
                (side.prefix, side.mask, side.sets);
            one.tests |=
                if side.sets == 0 { tests::DESTINATION | side.family } else { tests::DESTINATION_SETS };
        })?;
    }
    all = combine(all, protocols, |one, protocol| {
        (one.protocol, one.tests) = (*protocol, one.tests | tests::PROTOCOL);
    })?;
    all = combine(all, source_ports, |one, ports| {
        (one.source_ports, one.tests) = (ends(ports), one.tests | tests::SOURCE_PORT);
    })?;
    combine(all, destination_ports, |one, ports| {
        (one.destination_ports, one.tests) = (ends(ports), one.tests | tests::DESTINATION_PORT);
    })
}

/// Each comparison with each of the items put into it; an empty list asks for nothing.
fn combine<T>(all: Vec<Straight>, items: &[T], put: impl Fn(&mut Straight, &T)) -> Option<Vec<Straight>> {
    if items.is_empty() {
        return Some(all);
    }
    let with = |one: &Straight, item| {
        let mut one = *one;
        put(&mut one, item);
        one
    };
    let few = all.len() * items.len() <= MAX_STRAIGHT;
    few.then(|| all.iter().flat_map(|one| items.iter().map(move |item| with(one, item))).collect())
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

/// A comparison for each prefix, and one for all address sets. `None` for a side with exceptions, or that is open.
fn sides(wanted: &PrefixSet, known: &[&str]) -> Option<Vec<Side>> {
    let PrefixSet { v4, v6, sets, except_v4, except_v6 } = wanted;
    if !except_v4.is_empty() || !except_v6.is_empty() || wanted.is_open() {
        return None;
    }
    let named = known.iter().enumerate().filter(|(_, set)| sets.iter().any(|name| name == *set));
    let in_sets = Side { sets: named.map(|(bit, _)| 1 << bit).sum(), ..Side::default() };
    let prefixes = v4.iter().map(v4_prefix).chain(v6.iter().map(v6_prefix));
    Some(prefixes.chain((!sets.is_empty()).then_some(in_sets)).collect())
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
