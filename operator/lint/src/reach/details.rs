//! Fields of Ethernet and of the IP header beside addresses and protocol.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::RangeInclusive;

use sluice_policy::{ExtensionHeader, IpOption, MacMatch, Match, NO_VLAN, PayloadMatch};

use super::{Case, Product, field};
use crate::ranges::Ranges;

/// What stands for a tag that is cut off, or a frame without an EtherType.
const NO_ID: u128 = NO_VLAN as u128 + 1;
const NO_TYPE: u128 = 1 << 16;
const NO_MAC: u128 = 1 << 48;
/// Nothing, or any set of eight kinds; padding alone is the set of none.
const OPTIONS: u128 = 1 + (1 << 8);
const HEADERS: u128 = 1 << 8;

/// What packets of the case may have; a field that they lack stays one number.
pub fn every(product: &mut Product, case: Case) {
    let types = match case {
        Case::NoIp => Ranges::one(0x0600, NO_TYPE),
        Case::V4 | Case::LaterV4 => Ranges::one(0x0800, 0x0800),
        Case::V6 | Case::LaterV6 => Ranges::one(0x86dd, 0x86dd),
    };
    for (field, last) in [
        (field::OUTER_VLAN, NO_ID),
        (field::INNER_VLAN, NO_ID),
        (field::SOURCE_MAC, NO_MAC),
        (field::DESTINATION_MAC, NO_MAC),
    ] {
        product.0[field] = Ranges::one(0, last);
    }
    product.0[field::ETHER_TYPE] = types;
    product.0[field::PAYLOAD] = Ranges::one(0, u128::MAX);
    if case == Case::NoIp {
        return;
    }
    for (field, last) in
        [(field::LENGTH, u16::MAX.into()), (field::HOP_LIMIT, 255), (field::TRAFFIC_CLASS, 255)]
    {
        product.0[field] = Ranges::one(0, last);
    }
    if case.is_v4() {
        product.0[field::IP_OPTIONS] = Ranges::one(0, OPTIONS - 1);
    } else {
        product.0[field::EXTENSION_HEADERS] = Ranges::one(0, HEADERS - 1);
    }
}

pub fn narrow(product: &mut Product, matches: &Match, case: Case) {
    let has_ip = case != Case::NoIp;
    let mut keep = |field: usize, present: bool, set: Ranges| {
        product.narrow(field, &if present { set } else { Ranges::of([]) });
    };
    for (field, wanted, present) in [
        (field::LENGTH, &matches.length, has_ip),
        (field::HOP_LIMIT, &matches.hop_limit, has_ip),
        (field::OUTER_VLAN, &matches.outer_vlan, true),
        (field::INNER_VLAN, &matches.inner_vlan, true),
    ] {
        if !wanted.is_empty() {
            keep(field, present, ranges(wanted));
        }
    }
    if !matches.dscp.is_empty() || !matches.ecn.is_empty() {
        let fits = |class: &u128| within(&matches.dscp, *class >> 2) && within(&matches.ecn, *class & 3);
        keep(field::TRAFFIC_CLASS, has_ip, Ranges::numbers((0..=255).filter(fits)));
    }
    if !matches.ether_types.is_empty() {
        keep(
            field::ETHER_TYPE,
            true,
            Ranges::numbers(matches.ether_types.iter().map(|number| u128::from(*number))),
        );
    }
    for (field, wanted) in
        [(field::SOURCE_MAC, &matches.source_macs), (field::DESTINATION_MAC, &matches.destination_macs)]
    {
        if !wanted.is_empty() {
            keep(field, true, Ranges::of(wanted.iter().flat_map(macs)));
        }
    }
    if !matches.ip_options.is_empty() {
        let fits = |value: &u128| matches.ip_options.iter().any(|wanted| has_option(*wanted, *value));
        keep(field::IP_OPTIONS, has_ip && case.is_v4(), Ranges::numbers((0..OPTIONS).filter(fits)));
    }
    if let Some(number) = patterns(&matches.payload, case) {
        keep(field::PAYLOAD, true, Ranges::one(number, number));
    }
    if !matches.extension_headers.is_empty() {
        let fits = |bits: &u128| matches.extension_headers.iter().any(|wanted| has_header(*wanted, *bits));
        keep(field::EXTENSION_HEADERS, has_ip && !case.is_v4(), Ranges::numbers((0..HEADERS).filter(fits)));
    }
}

/// One number for equal sets of patterns, and others for others; what later fragments lack is left out.
fn patterns(wanted: &[PayloadMatch], case: Case) -> Option<u128> {
    let mut set: Vec<&PayloadMatch> =
        wanted.iter().filter(|one| !(case.is_later() && one.from.is_layer4())).collect();
    set.sort_unstable();
    set.dedup();
    let hash = |half: u8| {
        let mut hasher = DefaultHasher::new();
        (half, &set).hash(&mut hasher);
        u128::from(hasher.finish())
    };
    (!set.is_empty()).then(|| hash(0) << 64 | hash(1))
}

fn ranges(wanted: &[RangeInclusive<u16>]) -> Ranges {
    Ranges::of(wanted.iter().map(|range| (u128::from(*range.start()), u128::from(*range.end()))))
}

fn within(wanted: &[RangeInclusive<u16>], value: u128) -> bool {
    wanted.is_empty()
        || wanted.iter().any(|range| (u128::from(*range.start())..=u128::from(*range.end())).contains(&value))
}

fn macs(wanted: &MacMatch) -> impl Iterator<Item = (u128, u128)> {
    wanted.spans().map(|(first, last)| (u128::from(first), u128::from(last)))
}

/// The value is 0 for a header of 20 bytes, else one more than the bits of its options.
fn has_option(wanted: IpOption, value: u128) -> bool {
    let bit = match wanted {
        IpOption::Any => return value > 0,
        IpOption::RecordRoute => 0,
        IpOption::Timestamp => 1,
        IpOption::Security => 2,
        IpOption::Lsrr => 3,
        IpOption::StreamId => 4,
        IpOption::Ssrr => 5,
        IpOption::RouterAlert => 6,
        IpOption::Other => 7,
    };
    value.checked_sub(1).is_some_and(|bits| bits >> bit & 1 == 1)
}

fn has_header(wanted: ExtensionHeader, bits: u128) -> bool {
    let bit = match wanted {
        ExtensionHeader::Any => return bits > 0,
        ExtensionHeader::HopByHop => 0,
        ExtensionHeader::Routing => 1,
        ExtensionHeader::Fragment => 2,
        ExtensionHeader::Authentication => 3,
        ExtensionHeader::DestinationOptions => 4,
        ExtensionHeader::Mobility => 5,
        ExtensionHeader::Hip => 6,
        ExtensionHeader::Shim6 => 7,
    };
    bits >> bit & 1 == 1
}
