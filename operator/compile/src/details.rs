//! The dimensions of fields that few policies ask for. A packet has such a field or lacks it; that it is a later fragment
//! makes no difference.

use std::ops::{Range, RangeInclusive};

use sluice_abi::{dimension, extension_headers as headers, ip_options as options};
use sluice_policy::{ExtensionHeader, IpOption, Match, Rule};

use crate::addresses::bound32;
use crate::encode::Tables;
use crate::flatten::Flat;
use crate::rows::EntrySet;
use crate::sweep::{Accepts, Span, sweep};

type Ranges = [RangeInclusive<u16>];

pub fn hop_limits(flat: &Flat, tables: &mut Tables) {
    let accepts = |wanted: &Match, limit| within(&wanted.hop_limit, limit);
    let (index, first) = (dimension::HOP_LIMIT, dimension::DIRECT_HOP_LIMIT);
    direct(flat, tables, index, first..first + 256, |wanted| !wanted.hop_limit.is_empty(), accepts);
}

/// DSCP and ECN.
pub fn traffic_classes(flat: &Flat, tables: &mut Tables) {
    let accepts = |wanted: &Match, class| within(&wanted.dscp, class >> 2) && within(&wanted.ecn, class & 3);
    let uses = |wanted: &Match| !wanted.dscp.is_empty() || !wanted.ecn.is_empty();
    let (index, first) = (dimension::TRAFFIC_CLASS, dimension::DIRECT_TRAFFIC_CLASS);
    direct(flat, tables, index, first..first + 256, uses, accepts);
}

pub fn lengths(flat: &Flat, tables: &mut Tables) {
    searched(flat, tables, dimension::LENGTH, |wanted| spans(&wanted.length));
}

pub fn vlans(flat: &Flat, tables: &mut Tables) {
    searched(flat, tables, dimension::OUTER_VLAN, |wanted| spans(&wanted.outer_vlan));
    searched(flat, tables, dimension::INNER_VLAN, |wanted| spans(&wanted.inner_vlan));
}

pub fn ether_types(flat: &Flat, tables: &mut Tables) {
    let span = |number: &u16| Span { first: u32::from(*number), last: u32::from(*number) };
    searched(flat, tables, dimension::ETHER_TYPE, |wanted| wanted.ether_types.iter().map(span).collect());
}

fn spans(ranges: &Ranges) -> Vec<Span<u32>> {
    let span =
        |range: &RangeInclusive<u16>| Span { first: (*range.start()).into(), last: (*range.end()).into() };
    ranges.iter().map(span).collect()
}

fn within(ranges: &Ranges, value: u32) -> bool {
    ranges.is_empty() || ranges.iter().any(|range| range.contains(&(value as u16)))
}

/// A dimension that is directly indexed; its values begin with 0 at the first of these elements.
fn direct(
    flat: &Flat,
    tables: &mut Tables,
    index: usize,
    elements: Range<u32>,
    uses: impl Fn(&Match) -> bool,
    accepts: impl Fn(&Match, u32) -> bool,
) {
    let Some((users, open)) = users(flat, |rule| uses(&rule.matches)) else { return };
    let special = tables.rows.intern(&open);
    for (value, element) in (0..).zip(elements) {
        let mut row = open;
        let accepting = users.iter().filter(|(_, rule)| accepts(&rule.matches, value));
        accepting.for_each(|(entry, _)| row.insert(*entry));
        tables.direct(element, &row);
    }
    tables.used_with(index, special);
}

/// A dimension of intervals.
fn searched(flat: &Flat, tables: &mut Tables, index: usize, spans: impl Fn(&Match) -> Vec<Span<u32>>) {
    let Some((users, open)) = users(flat, |rule| !spans(&rule.matches).is_empty()) else { return };
    let accepts: Vec<Accepts<u32>> =
        users.iter().map(|(entry, rule)| Accepts { entry: *entry, spans: spans(&rule.matches) }).collect();
    let special = tables.rows.intern(&open);
    let intervals = sweep(&accepts, &open, &mut tables.rows);
    tables.searched(index, special, &intervals.into_iter().map(bound32).collect::<Vec<_>>());
}

pub fn ip_options(flat: &Flat, tables: &mut Tables) {
    let first = dimension::DIRECT_IP_OPTIONS;
    let accepts = |wanted: &Match, value| wanted.ip_options.iter().any(|option| has_option(*option, value));
    let uses = |wanted: &Match| !wanted.ip_options.is_empty();
    direct(flat, tables, dimension::IP_OPTIONS, first..first + options::VALUES, uses, accepts);
}

fn has_option(wanted: IpOption, value: u32) -> bool {
    let Some(bits) = value.checked_sub(options::PRESENT) else { return false };
    let bit = match wanted {
        IpOption::Any => return true,
        IpOption::RecordRoute => options::RECORD_ROUTE,
        IpOption::Timestamp => options::TIMESTAMP,
        IpOption::Security => options::SECURITY,
        IpOption::Lsrr => options::LSRR,
        IpOption::StreamId => options::STREAM_ID,
        IpOption::Ssrr => options::SSRR,
        IpOption::RouterAlert => options::ROUTER_ALERT,
        IpOption::Other => options::OTHER,
    };
    bits & bit != 0
}

pub fn extension_headers(flat: &Flat, tables: &mut Tables) {
    let first = dimension::DIRECT_EXTENSION_HEADERS;
    let accepts = |wanted: &Match, value| {
        wanted.extension_headers.iter().any(|header| value & header_bits(*header) != 0)
    };
    let uses = |wanted: &Match| !wanted.extension_headers.is_empty();
    direct(flat, tables, dimension::EXTENSION_HEADERS, first..first + headers::VALUES, uses, accepts);
}

fn header_bits(wanted: ExtensionHeader) -> u32 {
    match wanted {
        ExtensionHeader::Any => headers::VALUES - 1,
        ExtensionHeader::HopByHop => headers::HOP_BY_HOP,
        ExtensionHeader::Routing => headers::ROUTING,
        ExtensionHeader::Fragment => headers::FRAGMENT,
        ExtensionHeader::Authentication => headers::AUTHENTICATION,
        ExtensionHeader::DestinationOptions => headers::DESTINATION_OPTIONS,
        ExtensionHeader::Mobility => headers::MOBILITY,
        ExtensionHeader::Hip => headers::HIP,
        ExtensionHeader::Shim6 => headers::SHIM6,
    }
}

/// The rules that restrict a field, and the entries that do not: those match a packet without it. `None` where no rule
/// does.
pub fn users<'a>(
    flat: &Flat<'a>,
    uses: impl Fn(&Rule) -> bool,
) -> Option<(Vec<(usize, &'a Rule)>, EntrySet)> {
    let users: Vec<_> = flat.rules().filter(|(_, rule)| uses(rule)).collect();
    let mut open = EntrySet::all(flat.entries.len());
    users.iter().for_each(|(entry, _)| open.remove(*entry));
    (!users.is_empty()).then_some((users, open))
}
