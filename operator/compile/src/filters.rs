//! The filters' half of a plan.

use sluice_abi::MAX_BITS;
use sluice_plan::{FilterTables, Filters, LargeTables};
use sluice_policy::Filter;

use crate::encode::{Tables, bytes};
use crate::error::CompileError;
use crate::flatten::{Flat, flatten, ordered};
use crate::sets::Split;
use crate::settings::{Settings, settings};
use crate::straight::straight;
use crate::{addresses, details, direct, icmp, large, macs, payload, ports, sets};

/// The filters in evaluation order with their tables, and how many entries there are.
pub fn filters(filters: &[&Filter]) -> Result<(Filters, usize), CompileError> {
    let split: Vec<Split> = ordered(filters).into_iter().map(Split::new).collect();
    let mut flat = flatten(&split)?;
    let Settings { limits, marks } = settings(&mut flat);
    let tables = match straight(&flat) {
        Some(straight) => Tables::straight(&flat.entries, &straight),
        None if flat.entries.len() <= MAX_BITS => rows(&flat),
        None => large::tables(&flat)?,
    };
    let tables = FilterTables { limits: bytes(&limits), marks: bytes(&marks), ..tables };
    Ok((Filters { parts: flat.parts, tables }, flat.entries.len()))
}

fn rows(flat: &Flat) -> FilterTables {
    look_ups(flat).encode(&flat.entries, flat.entries.len(), LargeTables::default())
}

/// The row of each value of each dimension, one bit for each of the entries.
pub fn look_ups(flat: &Flat) -> Tables {
    let mut tables = Tables::new();
    direct::kinds(flat, &mut tables);
    direct::protocols(flat, &mut tables);
    addresses::sources(flat, &mut tables);
    addresses::destinations(flat, &mut tables);
    ports::source_ports(flat, &mut tables);
    ports::destination_ports(flat, &mut tables);
    direct::tcp_flags(flat, &mut tables);
    icmp::icmp(flat, &mut tables);
    details::hop_limits(flat, &mut tables);
    details::traffic_classes(flat, &mut tables);
    details::lengths(flat, &mut tables);
    macs::macs(flat, &mut tables);
    details::vlans(flat, &mut tables);
    details::ether_types(flat, &mut tables);
    details::ip_options(flat, &mut tables);
    details::extension_headers(flat, &mut tables);
    payload::payloads(flat, &mut tables);
    sets::sources(flat, &mut tables);
    sets::destinations(flat, &mut tables);
    direct::established(flat, &mut tables);
    tables
}
