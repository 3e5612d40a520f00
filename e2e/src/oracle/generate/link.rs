//! The link layer's fields.

use rand::Rng;
use sluice_policy::{MacMatch, Match, NO_VLAN};

use super::network::ranges;
use crate::oracle::build::mac;
use crate::packets::{MACS, VLANS};

const MASKS: [[u8; 6]; 6] = [
    [0xff; 6],
    [0xff; 6],
    [0xff, 0xff, 0xff, 0, 0, 0],
    [1, 0, 0, 0, 0, 0],
    [0xff, 0xff, 0xff, 0xff, 0xff, 0xf9],
    [0xf3, 0xff, 0xff, 0xff, 0xff, 0xf8],
];

/// Those of IP stand in front: beside fields of the IP header one of them is needed.
const ETHER_TYPES: [u16; 11] =
    [0x0800, 0x86dd, 0x0600, 0x0806, 0x8100, 0x8847, 0x8863, 0x88a8, 0x88cc, 0x8809, 0xffff];

pub fn add(rng: &mut impl Rng, matches: &mut Match) {
    let ids: Vec<u16> = VLANS.into_iter().chain([NO_VLAN, NO_VLAN]).collect();
    if rng.random_bool(0.06) {
        matches.source_macs = macs(rng);
    }
    if rng.random_bool(0.06) {
        matches.destination_macs = macs(rng);
    }
    if rng.random_bool(0.08) {
        matches.outer_vlan = ranges(rng, &ids);
    }
    if rng.random_bool(0.06) {
        matches.inner_vlan = ranges(rng, &ids);
    }
    if rng.random_bool(0.08) {
        matches.ether_types =
            (0..rng.random_range(1..4)).map(|_| ETHER_TYPES[rng.random_range(0..11)]).collect();
        if rng.random_bool(0.7) {
            matches.ether_types.push(ETHER_TYPES[rng.random_range(0..2)]);
        }
    }
}

fn macs(rng: &mut impl Rng) -> Vec<MacMatch> {
    (0..rng.random_range(1..4))
        .map(|_| mac(MACS[rng.random_range(0..MACS.len())], MASKS[rng.random_range(0..MASKS.len())]))
        .collect()
}
