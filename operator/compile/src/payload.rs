//! The dimensions of bytes at fixed places: each group of patterns is directly indexed by which of them hold.

use sluice_abi::{MAX_PATTERNS, PATTERN_BYTES, PATTERNS_OF_GROUP, Pattern, PatternLayer, dimension};
use sluice_policy::{LaterFragments, Layer, PayloadMatch, Rule};

use crate::details::users;
use crate::encode::Tables;
use crate::flatten::Flat;

pub fn payloads(flat: &Flat, tables: &mut Tables) {
    let mut distinct: Vec<&PayloadMatch> = Vec::new();
    for pattern in flat.rules().flat_map(|(_, rule)| &rule.matches.payload) {
        if !distinct.contains(&pattern) {
            distinct.push(pattern);
        }
    }
    debug_assert!(distinct.len() <= MAX_PATTERNS, "flatten counts them");
    for (number, group) in distinct.chunks(PATTERNS_OF_GROUP).enumerate() {
        add_group(flat, tables, number, group);
    }
    tables.patterns(&distinct.into_iter().map(pattern).collect::<Vec<_>>());
}

fn add_group(flat: &Flat, tables: &mut Tables, number: usize, group: &[&PayloadMatch]) {
    let uses = |rule: &Rule| rule.matches.payload.iter().any(|pattern| group.contains(&pattern));
    let Some((users, open)) = users(flat, uses) else { return };
    let wanted: Vec<(usize, Wanted)> =
        users.into_iter().map(|(entry, rule)| (entry, Wanted::of(rule, group))).collect();
    let first = dimension::payload_group(number);
    for (later, first) in [(false, first), (true, first + dimension::PAYLOAD_LATER)] {
        for bits in 0..dimension::PAYLOAD_LATER {
            let mut row = open;
            let holding = wanted.iter().filter(|(_, wanted)| wanted.holds(bits, later));
            holding.for_each(|(entry, _)| row.insert(*entry));
            tables.direct(first + bits, &row);
        }
    }
    tables.used(dimension::PAYLOADS + number);
}

/// Bits of a group that a rule needs.
struct Wanted {
    /// Of layers that every fragment has.
    early: u32,
    layer4: u32,
    takes_later: bool,
}

impl Wanted {
    fn of(rule: &Rule, group: &[&PayloadMatch]) -> Wanted {
        let bits = |layer4: bool| {
            let of_layer = rule.matches.payload.iter().filter(|pattern| pattern.from.is_layer4() == layer4);
            let bits = of_layer.filter_map(|pattern| group.iter().position(|known| *known == pattern));
            bits.fold(0, |bits, bit| bits | 1 << bit)
        };
        let takes_later = rule.later_fragments != LaterFragments::NoMatch;
        Wanted { early: bits(false), layer4: bits(true), takes_later }
    }

    fn holds(&self, bits: u32, later: bool) -> bool {
        let needed = self.early | if later { 0 } else { self.layer4 };
        bits & needed == needed && (!later || self.layer4 == 0 || self.takes_later)
    }
}

fn pattern(wanted: &PayloadMatch) -> Pattern {
    let layer = match wanted.from {
        Layer::L2 => PatternLayer::L2,
        Layer::L3 => PatternLayer::L3,
        Layer::L4 => PatternLayer::L4,
        Layer::Payload => PatternLayer::Payload,
    };
    Pattern {
        value: words(&wanted.value),
        mask: words(&wanted.mask),
        offset: wanted.offset.into(),
        layer: layer as u32,
        length: wanted.value.len() as u32,
        reserved: 0,
    }
}

/// As they lie in memory.
fn words(bytes: &[u8]) -> [u64; 2] {
    let mut all = [0; PATTERN_BYTES];
    all.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    bytemuck::cast(all)
}
