//! Prefix sets as spans of host-order numbers, whatever address sets they name beside.

use ipnet::{Ipv4Net, Ipv6Net};
use sluice_policy::PrefixSet;

use crate::sweep::{Span, subtract};

const ALL_V4: Span<u32> = Span { first: 0, last: u32::MAX };
const ALL_V6: Span<u128> = Span { first: 0, last: u128::MAX };

/// Whether the addresses restrict anything by themselves.
pub fn restrict(set: &PrefixSet) -> bool {
    set.sets.is_empty() || !is_open(set) || !set.except_v4.is_empty() || !set.except_v6.is_empty()
}

/// The IPv4 addresses that a set holds.
pub fn v4(set: &PrefixSet) -> Vec<Span<u32>> {
    let prefixes = if is_open(set) { vec![ALL_V4] } else { set.v4.iter().map(span_v4).collect() };
    subtract(prefixes, set.except_v4.iter().map(span_v4).collect())
}

/// The IPv6 addresses that a set holds.
pub fn v6(set: &PrefixSet) -> Vec<Span<u128>> {
    let prefixes = if is_open(set) { vec![ALL_V6] } else { set.v6.iter().map(span_v6).collect() };
    subtract(prefixes, set.except_v6.iter().map(span_v6).collect())
}

/// No prefixes; a rule with prefixes and address sets was cut in two.
fn is_open(set: &PrefixSet) -> bool {
    set.v4.is_empty() && set.v6.is_empty()
}

fn span_v4(net: &Ipv4Net) -> Span<u32> {
    Span { first: net.network().to_bits(), last: net.broadcast().to_bits() }
}

fn span_v6(net: &Ipv6Net) -> Span<u128> {
    Span { first: net.network().to_bits(), last: net.broadcast().to_bits() }
}
