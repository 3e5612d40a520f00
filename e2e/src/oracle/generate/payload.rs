//! Bytes at fixed places.

use rand::Rng;
use sluice_abi::MAX_PATTERNS;
use sluice_policy::{Layer, Match, PayloadMatch};

use crate::oracle::build::masked;

const LAYERS: [Layer; 4] = [Layer::L2, Layer::L3, Layer::L4, Layer::Payload];
const OFFSETS: [u16; 16] = [0, 1, 2, 3, 4, 6, 7, 8, 9, 12, 13, 14, 16, 20, 40, 1500];

/// The distinct patterns that the node's rules take theirs from.
pub struct Patterns(Vec<PayloadMatch>);

impl Patterns {
    pub fn random(rng: &mut impl Rng) -> Patterns {
        let count = if rng.random_bool(0.4) { rng.random_range(1..=MAX_PATTERNS) } else { 0 };
        let mut patterns: Vec<_> = (0..count).map(|_| pattern(rng)).collect();
        patterns.sort_unstable();
        patterns.dedup();
        Patterns(patterns)
    }

    pub fn add(&self, rng: &mut impl Rng, matches: &mut Match) {
        if !self.0.is_empty() && rng.random_bool(0.3) {
            let mut one = || self.0[rng.random_range(0..self.0.len())].clone();
            let first = one();
            let second = one();
            matches.payload = if rng.random_bool(0.8) { vec![first] } else { vec![first, second] };
        }
    }
}

/// Of few bits, so that packets have them.
fn pattern(rng: &mut impl Rng) -> PayloadMatch {
    let length = [1, 1, 1, 2, 3, 4, 8, 15, 16][rng.random_range(0..9)];
    let mut mask = vec![0; length];
    for _ in 0..rng.random_range(1..4) {
        mask[rng.random_range(0..length)] |= [1u8, 2, 4, 8, 0x80, 0xf0][rng.random_range(0..6)];
    }
    let value: Vec<u8> =
        mask.iter().map(|_| [0, 0, 0, 0x45, 0xff, rng.random()][rng.random_range(0..6)]).collect();
    let offset =
        if rng.random_bool(0.1) { rng.random_range(0..90) } else { OFFSETS[rng.random_range(0..16)] };
    masked(LAYERS[rng.random_range(0..4)], offset, &value, &mask)
}
