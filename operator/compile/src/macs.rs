//! The dimensions of Ethernet addresses: masks become ranges of 48-bit numbers.

use sluice_abi::{Bound64, dimension};
use sluice_policy::{MacMatch, Rule};

use crate::details;
use crate::encode::Tables;
use crate::flatten::Flat;
use crate::sweep::{Accepts, Interval, Span, sweep};

pub fn macs(flat: &Flat, tables: &mut Tables) {
    addresses(flat, tables, dimension::SOURCE_MAC, |rule| &rule.matches.source_macs);
    addresses(flat, tables, dimension::DESTINATION_MAC, |rule| &rule.matches.destination_macs);
}

/// How many ranges a rule brings into the tables.
pub fn ranges(rule: &Rule) -> usize {
    let wanted = rule.matches.source_macs.iter().chain(&rule.matches.destination_macs);
    wanted.map(|wanted| wanted.ranges() as usize).sum()
}

fn addresses(flat: &Flat, tables: &mut Tables, index: usize, wanted: impl Fn(&Rule) -> &[MacMatch]) {
    let Some((users, open)) = details::users(flat, |rule| !wanted(rule).is_empty()) else { return };
    let accepts: Vec<Accepts<u64>> = users
        .iter()
        .map(|(entry, rule)| Accepts { entry: *entry, spans: wanted(rule).iter().flat_map(spans).collect() })
        .collect();
    let special = tables.rows.intern(&open);
    let bound = |Interval { start, row }| Bound64 { start, row, reserved: 0 };
    let bounds: Vec<Bound64> = sweep(&accepts, &open, &mut tables.rows).into_iter().map(bound).collect();
    tables.searched(index, special, &bounds);
}

fn spans(wanted: &MacMatch) -> impl Iterator<Item = Span<u64>> {
    wanted.spans().map(|(first, last)| Span { first, last })
}
