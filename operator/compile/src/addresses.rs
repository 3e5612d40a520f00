//! The source and destination dimensions, one searched table for each family.

use sluice_abi::{Bound32, Bound128, dimension};
use sluice_policy::{PrefixSet, Rule};

use crate::encode::Tables;
use crate::flatten::Flat;
use crate::prefixes;
use crate::rows::EntrySet;
use crate::sweep::{Accepts, Interval, Span, Value, sweep};

pub fn sources(flat: &Flat, tables: &mut Tables) {
    addresses(flat, tables, |rule| rule.matches.sources.as_ref(), dimension::SOURCE_V4, dimension::SOURCE_V6);
}

pub fn destinations(flat: &Flat, tables: &mut Tables) {
    let (v4, v6) = (dimension::DESTINATION_V4, dimension::DESTINATION_V6);
    addresses(flat, tables, |rule| rule.matches.destinations.as_ref(), v4, v6);
}

/// Both families' tables are used if any entry asks for an address: a rule with prefixes of one family has to miss in
/// the other's. A packet without an IP header takes the row of the entries that ask for none.
fn addresses(
    flat: &Flat,
    tables: &mut Tables,
    set: impl Fn(&Rule) -> Option<&PrefixSet>,
    v4: usize,
    v6: usize,
) {
    let restricting = |rule| set(rule).filter(|set| prefixes::restrict(set));
    let sets: Vec<(usize, &PrefixSet)> =
        flat.rules().filter_map(|(entry, rule)| Some((entry, restricting(rule)?))).collect();
    if sets.is_empty() {
        return;
    }
    let mut open = EntrySet::all(flat.entries.len());
    sets.iter().for_each(|(entry, _)| open.remove(*entry));
    let special = tables.rows.intern(&open);
    let bounds: Vec<Bound32> =
        intervals(&sets, prefixes::v4, &open, tables).into_iter().map(bound32).collect();
    tables.searched(v4, special, &bounds);
    let bounds: Vec<Bound128> =
        intervals(&sets, prefixes::v6, &open, tables).into_iter().map(bound128).collect();
    tables.searched(v6, special, &bounds);
}

fn intervals<T: Value>(
    sets: &[(usize, &PrefixSet)],
    spans: impl Fn(&PrefixSet) -> Vec<Span<T>>,
    open: &EntrySet,
    tables: &mut Tables,
) -> Vec<Interval<T>> {
    let accepts: Vec<Accepts<T>> =
        sets.iter().map(|(entry, set)| Accepts { entry: *entry, spans: spans(set) }).collect();
    sweep(&accepts, open, &mut tables.rows)
}

pub fn bound32(interval: Interval<u32>) -> Bound32 {
    Bound32 { start: interval.start, row: interval.row }
}

fn bound128(interval: Interval<u128>) -> Bound128 {
    let Interval { start, row } = interval;
    Bound128 { high: (start >> 64) as u64, low: start as u64, row, reserved: 0 }
}
