//! The ICMP dimension: type, code and family as one number.

use sluice_abi::dimension;
use sluice_policy::{IcmpFamily, IcmpMatch};

use crate::addresses::bound32;
use crate::encode::Tables;
use crate::flatten::Flat;
use crate::layer4::Layer4;
use crate::sweep::{Accepts, Span, sweep};

pub fn icmp(flat: &Flat, tables: &mut Tables) {
    let Some(layer4) = Layer4::new(flat, |rule| !rule.matches.icmp.is_empty()) else { return };
    let accepts: Vec<Accepts<u32>> = layer4
        .users
        .iter()
        .map(|(entry, rule)| Accepts { entry: *entry, spans: rule.matches.icmp.iter().map(span).collect() })
        .collect();
    let special = tables.rows.special(&layer4.absent, &layer4.later);
    let intervals = sweep(&accepts, &layer4.absent, &mut tables.rows);
    tables.searched(dimension::ICMP, special, &intervals.into_iter().map(bound32).collect::<Vec<_>>());
}

fn span(wanted: &IcmpMatch) -> Span<u32> {
    let family = match wanted.family {
        IcmpFamily::V4 => 0,
        IcmpFamily::V6 => 0x1_0000,
    };
    let (first, last) = match (wanted.icmp_type, wanted.code) {
        (None, _) => (0, 0xffff),
        (Some(icmp_type), None) => (u32::from(icmp_type) << 8, u32::from(icmp_type) << 8 | 0xff),
        (Some(icmp_type), Some(code)) => {
            let value = u32::from(icmp_type) << 8 | u32::from(code);
            (value, value)
        }
    };
    Span { first: family + first, last: family + last }
}
