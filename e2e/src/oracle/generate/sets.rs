//! Address sets, and rules that name them.

use ipnet::IpNet;
use rand::Rng;
use sluice_interpret::Sets;
use sluice_policy::{Match, PrefixSet};

use super::{v4, v6};

/// Prefixes of a large set that lie around those which packets meet.
const CROWD: u32 = 3000;

pub fn random(rng: &mut impl Rng) -> Sets {
    let count = if rng.random_bool(0.5) { rng.random_range(1..8) } else { 0 };
    (0..count).map(|number| (format!("s{number}"), nets(rng).into_iter().collect())).collect()
}

fn nets(rng: &mut impl Rng) -> Vec<IpNet> {
    let few = rng.random_range(0..6);
    let mut nets: Vec<IpNet> =
        (0..few).map(|_| if rng.random() { v4(rng).into() } else { v6(rng).into() }).collect();
    if rng.random_bool(0.2) {
        // So many that there are several blocks of them.
        nets.extend((0..CROWD).map(|_| IpNet::from(std::net::IpAddr::V4(rng.random::<u32>().into()))));
        nets.extend((0..CROWD).map(|_| IpNet::from(std::net::IpAddr::V6(rng.random::<u128>().into()))));
    }
    nets
}

/// To a side as it is, or instead of it.
pub fn add(rng: &mut impl Rng, sets: &Sets, matches: &mut Match) {
    if sets.is_empty() {
        return;
    }
    let names: Vec<&String> = sets.keys().collect();
    for side in [&mut matches.sources, &mut matches.destinations] {
        if rng.random_bool(0.7) {
            continue;
        }
        if rng.random_bool(0.6) {
            *side = None;
        }
        let side = side.get_or_insert_with(PrefixSet::default);
        for _ in 0..rng.random_range(1..4) {
            side.sets.push(names[rng.random_range(0..names.len())].clone());
        }
        side.sets.sort();
        side.sets.dedup();
    }
}
