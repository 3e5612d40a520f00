//! The IP header's fields.

use std::ops::RangeInclusive;

use rand::Rng;
use sluice_policy::{ExtensionHeader, IpOption, Match};

use super::some_of;

const LENGTHS: [u16; 16] = [0, 20, 28, 36, 40, 48, 56, 60, 63, 64, 80, 100, 576, 1500, 1501, u16::MAX];
const HOP_LIMITS: [u16; 8] = [0, 1, 2, 63, 64, 65, 254, 255];
const CODE_POINTS: [u16; 7] = [0, 8, 10, 45, 46, 48, 63];

const OPTIONS: [IpOption; 9] = {
    use IpOption::*;
    [Any, RecordRoute, Timestamp, Security, Lsrr, StreamId, Ssrr, RouterAlert, Other]
};
const HEADERS: [ExtensionHeader; 9] = {
    use ExtensionHeader::*;
    [Any, HopByHop, Routing, Fragment, Authentication, DestinationOptions, Mobility, Hip, Shim6]
};

pub fn add(rng: &mut impl Rng, matches: &mut Match) {
    if rng.random_bool(0.08) {
        matches.length = ranges(rng, &LENGTHS);
    }
    if rng.random_bool(0.08) {
        matches.hop_limit = ranges(rng, &HOP_LIMITS);
    }
    if rng.random_bool(0.06) {
        matches.dscp = ranges(rng, &CODE_POINTS);
    }
    if rng.random_bool(0.06) {
        matches.ecn = ranges(rng, &[0, 1, 2, 3]);
    }
    // No packet has both.
    if rng.random_bool(0.06) {
        matches.ip_options = some_of(rng, &OPTIONS);
    } else if rng.random_bool(0.08) {
        matches.extension_headers = some_of(rng, &HEADERS);
    }
}

/// Of one or two of the values.
pub fn ranges(rng: &mut impl Rng, values: &[u16]) -> Vec<RangeInclusive<u16>> {
    let mut one = || {
        let value = values[rng.random_range(0..values.len())];
        let other = if rng.random_bool(0.5) { values[rng.random_range(0..values.len())] } else { value };
        value.min(other)..=value.max(other)
    };
    let first = one();
    let second = one();
    if rng.random() { vec![first] } else { vec![first, second] }
}
