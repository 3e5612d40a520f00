//! The port dimensions.

use sluice_abi::dimension;
use sluice_policy::{PortRange, Rule};

use crate::addresses::bound32;
use crate::encode::Tables;
use crate::flatten::Flat;
use crate::layer4::Layer4;
use crate::sweep::{Accepts, Span, sweep};

pub fn source_ports(flat: &Flat, tables: &mut Tables) {
    ports(flat, tables, |rule| &rule.matches.source_ports, dimension::SOURCE_PORT);
}

pub fn destination_ports(flat: &Flat, tables: &mut Tables) {
    ports(flat, tables, |rule| &rule.matches.destination_ports, dimension::DESTINATION_PORT);
}

fn ports(flat: &Flat, tables: &mut Tables, ranges: impl Fn(&Rule) -> &[PortRange], index: usize) {
    let Some(layer4) = Layer4::new(flat, |rule| !ranges(rule).is_empty()) else { return };
    let span = |range: &PortRange| Span { first: u32::from(range.first), last: u32::from(range.last) };
    let accepts: Vec<Accepts<u32>> = layer4
        .users
        .iter()
        .map(|(entry, rule)| Accepts { entry: *entry, spans: ranges(rule).iter().map(span).collect() })
        .collect();
    let special = tables.rows.special(&layer4.absent, &layer4.later);
    let intervals = sweep(&accepts, &layer4.absent, &mut tables.rows);
    tables.searched(index, special, &intervals.into_iter().map(bound32).collect::<Vec<_>>());
}
