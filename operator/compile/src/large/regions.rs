//! Narrow entries as boxes of intervals: one for each combination of the items in their lists.

use sluice_abi::{family, word};
use sluice_policy::{Action, LaterFragments, Mode, PortRange, PrefixSet, Rule};

use super::space::{ANY_PORT, ANY_PROTOCOL, MAPPED, Region, Words, everything};
use super::split::{Split, is_narrow};
use crate::flatten::Flat;
use crate::prefixes;
use crate::sweep::{Span, union};

/// Most regions of a node.
pub const MAX_REGIONS: usize = 1 << 16;

/// High and low half.
type Halves = [Span<u64>; 2];

/// What a rule accepts, field by field.
pub struct Lists {
    /// By family.
    sources: [Vec<Halves>; family::COUNT],
    destinations: [Vec<Halves>; family::COUNT],
    protocols: Vec<Span<u64>>,
    source_ports: Vec<Span<u64>>,
    destination_ports: Vec<Span<u64>>,
}

/// By entry; `None` for those that no tree can take.
pub fn lists(flat: &Flat) -> Vec<Option<Lists>> {
    let mut lists: Vec<Option<Lists>> = flat.matchers.iter().map(|_| None).collect();
    for (entry, rule) in flat.rules().filter(|(_, rule)| is_narrow(&rule.matches)) {
        lists[entry] = Some(Lists::of(rule));
    }
    lists
}

impl Lists {
    fn of(rule: &Rule) -> Lists {
        let matches = &rule.matches;
        let mut protocols: Vec<Span<u64>> =
            matches.protocols.iter().map(|protocol| span(*protocol, *protocol)).collect();
        protocols = if protocols.is_empty() { vec![ANY_PROTOCOL] } else { protocols };
        protocols.sort_unstable();
        protocols.dedup();
        Lists {
            sources: addresses(matches.sources.as_ref()),
            destinations: addresses(matches.destinations.as_ref()),
            protocols,
            source_ports: ports(&matches.source_ports),
            destination_ports: ports(&matches.destination_ports),
        }
    }

    /// Regions in both families.
    pub fn count(&self) -> usize {
        let addresses: usize = self
            .sources
            .iter()
            .zip(&self.destinations)
            .map(|(from, to)| from.len().saturating_mul(to.len()))
            .sum();
        [&self.protocols, &self.source_ports, &self.destination_ports]
            .iter()
            .fold(addresses, |product, list| product.saturating_mul(list.len()))
    }

    fn combinations(&self, of: usize) -> impl Iterator<Item = Words> {
        let addresses = self.sources[of]
            .iter()
            .flat_map(move |from| self.destinations[of].iter().map(move |to| (from, to)));
        let others = move || {
            let ports = move || {
                self.source_ports
                    .iter()
                    .flat_map(move |from| self.destination_ports.iter().map(move |to| (from, to)))
            };
            self.protocols.iter().flat_map(move |protocol| ports().map(move |ports| (protocol, ports)))
        };
        addresses.flat_map(move |(from, to)| {
            others()
                .map(move |(protocol, ports)| [from[0], from[1], to[0], to[1], *protocol, *ports.0, *ports.1])
        })
    }
}

/// By family, in the order of their entries.
pub fn regions(flat: &Flat, lists: &[Option<Lists>], split: &Split) -> [Vec<Region>; family::COUNT] {
    let narrow: Vec<(usize, &Rule, u16)> =
        flat.rules().filter_map(|(entry, rule)| Some((entry, rule, split.column[entry]?))).collect();
    [family::V4, family::V6].map(|of| {
        let of_entry = |(entry, rule, column): &(usize, &Rule, u16)| {
            let template = Region {
                entry: *entry as u16,
                column: *column,
                words: everything(of),
                later: takes_later(rule),
                ends: ends(rule),
            };
            let combinations = lists[*entry].iter().flat_map(|lists| lists.combinations(of));
            combinations.map(|words| Region { words, ..template }).collect::<Vec<_>>()
        };
        narrow.iter().flat_map(of_entry).collect()
    })
}

fn takes_later(rule: &Rule) -> bool {
    let has_ports = !rule.matches.source_ports.is_empty() || !rule.matches.destination_ports.is_empty();
    has_ports && rule.later_fragments != LaterFragments::NoMatch
}

/// After such a rule no other of the filter is looked at.
fn ends(rule: &Rule) -> bool {
    rule.mode == Mode::Enforce && matches!(rule.action, Action::Pass | Action::Drop | Action::Next)
}

fn addresses(set: Option<&PrefixSet>) -> [Vec<Halves>; family::COUNT] {
    let Some(set) = set else {
        return [family::V4, family::V6]
            .map(|of| vec![[everything(of)[word::SOURCE_HIGH], everything(of)[word::SOURCE_LOW]]]);
    };
    let v4 = prefixes::v4(set).into_iter().map(|found| {
        [
            Span { first: 0, last: 0 },
            Span { first: MAPPED | u64::from(found.first), last: MAPPED | u64::from(found.last) },
        ]
    });
    [v4.collect(), prefixes::v6(set).into_iter().flat_map(halves).collect()]
}

/// A span of IPv6 addresses as at most three in which each half is a span of its own.
fn halves(found: Span<u128>) -> Vec<Halves> {
    let high = |address: u128| (address >> 64) as u64;
    let low = |address: u128| address as u64;
    let one = |value: u64| Span { first: value, last: value };
    let (first, last) = (high(found.first), high(found.last));
    if first == last {
        return vec![[one(first), Span { first: low(found.first), last: low(found.last) }]];
    }
    let all = Span { first: 0, last: u64::MAX };
    let mut parts = Vec::new();
    let mut whole = Span { first, last };
    if low(found.first) > 0 {
        parts.push([one(first), Span { first: low(found.first), last: u64::MAX }]);
        whole.first += 1;
    }
    let ends_within = low(found.last) < u64::MAX;
    if ends_within {
        whole.last -= 1;
    }
    if whole.first <= whole.last {
        parts.push([whole, all]);
    }
    if ends_within {
        parts.push([one(last), Span { first: 0, last: low(found.last) }]);
    }
    parts
}

fn ports(ranges: &[PortRange]) -> Vec<Span<u64>> {
    if ranges.is_empty() {
        return vec![ANY_PORT];
    }
    union(ranges.iter().map(|range| span(range.first, range.last)).collect())
}

fn span(first: impl Into<u64>, last: impl Into<u64>) -> Span<u64> {
    Span { first: first.into(), last: last.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_of_ipv6_addresses_is_cut_where_the_halves_meet() {
        let at = |high: u64, low: u64| u128::from(high) << 64 | u128::from(low);
        let all = span(0u64, u64::MAX);
        for (first, last, expected) in [
            (at(1, 5), at(1, 9), vec![[span(1u64, 1u64), span(5u64, 9u64)]]),
            (at(1, 0), at(3, u64::MAX), vec![[span(1u64, 3u64), all]]),
            (
                at(1, 7),
                at(2, 8),
                vec![[span(1u64, 1u64), span(7u64, u64::MAX)], [span(2u64, 2u64), span(0u64, 8u64)]],
            ),
            (
                at(1, 7),
                at(4, 8),
                vec![
                    [span(1u64, 1u64), span(7u64, u64::MAX)],
                    [span(2u64, 3u64), all],
                    [span(4u64, 4u64), span(0u64, 8u64)],
                ],
            ),
        ] {
            assert_eq!(halves(Span { first, last }), expected);
        }
    }
}
