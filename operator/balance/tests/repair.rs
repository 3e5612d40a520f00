//! What a repaired ring promises, over random fleets and random histories.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use sluice_balance::{Ring, Weighted, repair};

type Fleet = BTreeMap<IpAddr, u16>;

fn address(number: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, number))
}

fn fleet(backends: std::ops::Range<usize>, weights: std::ops::Range<u16>) -> impl Strategy<Value = Fleet> {
    btree_map(any::<u8>().prop_map(address), weights, backends)
}

fn slots() -> impl Strategy<Value = u32> {
    (8u32..13).prop_map(|power| 1 << power)
}

fn ring(previous: Option<&Ring>, fleet: &Fleet, slots: u32) -> Ring {
    let backends: Vec<Weighted> = fleet.iter().map(|(address, weight)| (*address, *weight)).collect();
    repair(previous, 7, &backends, slots)
}

fn counts(ring: &Ring) -> BTreeMap<IpAddr, i64> {
    let mut counts = BTreeMap::new();
    for owner in ring.owners().flatten() {
        *counts.entry(owner).or_default() += 1;
    }
    counts
}

/// Every share is within one slot of `slots * weight / sum`.
fn assert_shares(ring: &Ring, fleet: &Fleet) -> Result<(), TestCaseError> {
    let counts = counts(ring);
    let sum: i64 = fleet.values().map(|weight| i64::from(*weight)).sum();
    prop_assert_eq!(ring.is_empty(), sum == 0);
    for (address, weight) in fleet.iter().filter(|_| sum > 0) {
        let count = counts.get(address).copied().unwrap_or(0);
        let error = (count * sum - ring.len() as i64 * i64::from(*weight)).abs();
        prop_assert!(error < sum, "{address} of weight {weight} has {count} of {} slots", ring.len());
    }
    prop_assert!(counts.keys().all(|address| fleet.contains_key(address)));
    Ok(())
}

fn moved<'a>(before: &'a Ring, after: &'a Ring) -> impl Iterator<Item = (IpAddr, IpAddr)> + 'a {
    let pairs = before.owners().zip(after.owners());
    pairs.filter_map(|(a, b)| Some((a?, b?))).filter(|(a, b)| a != b)
}

proptest! {
    #[test]
    fn shares_are_exact_within_one_slot(history in vec(fleet(0..40, 0..257), 1..5), slots in slots()) {
        let mut previous = None;
        for fleet in &history {
            let next = ring(previous.as_ref(), fleet, slots);
            prop_assert_eq!(next.len(), slots as usize);
            assert_shares(&next, fleet)?;
            previous = Some(next);
        }
    }

    #[test]
    fn only_what_a_backend_has_too_much_moves(before in fleet(1..40, 1..257), after in fleet(1..40, 1..257), slots in slots()) {
        let old = ring(None, &before, slots);
        let new = ring(Some(&old), &after, slots);
        let (had, has) = (counts(&old), counts(&new));
        for (address, count) in &had {
            let lost = moved(&old, &new).filter(|(from, _)| from == address).count() as i64;
            prop_assert_eq!(lost, (count - has.get(address).copied().unwrap_or(0)).max(0));
        }
    }

    #[test]
    fn an_added_backend_takes_slots_and_no_other_moves(fleet in fleet(1..17, 1..11), weight in 1u16..11, slots in slots()) {
        let old = ring(None, &fleet, slots);
        let newcomer: IpAddr = Ipv4Addr::new(198, 51, 100, 1).into();
        let mut more = fleet.clone();
        more.insert(newcomer, weight);
        let new = ring(Some(&old), &more, slots);
        prop_assert!(moved(&old, &new).all(|(_, to)| to == newcomer));
    }

    #[test]
    fn a_removed_backend_gives_slots_and_no_other_moves(fleet in fleet(2..17, 1..11), slots in slots()) {
        let old = ring(None, &fleet, slots);
        let gone = *fleet.keys().next().expect("at least two");
        let mut fewer = fleet.clone();
        fewer.remove(&gone);
        let new = ring(Some(&old), &fewer, slots);
        prop_assert!(moved(&old, &new).all(|(from, _)| from == gone));
    }

    #[test]
    fn a_raised_weight_takes_slots_and_no_other_moves(fleet in fleet(2..17, 1..11), by in 1u16..20, slots in slots()) {
        let old = ring(None, &fleet, slots);
        let (risen, weight) = fleet.iter().next().map(|(a, w)| (*a, *w)).expect("at least two");
        let mut heavier = fleet.clone();
        heavier.insert(risen, weight + by);
        let new = ring(Some(&old), &heavier, slots);
        prop_assert!(moved(&old, &new).all(|(_, to)| to == risen));
    }

    #[test]
    fn a_backend_that_comes_back_costs_what_it_takes(fleet in fleet(2..17, 1..11), slots in slots()) {
        let old = ring(None, &fleet, slots);
        let gone = *fleet.keys().next().expect("at least two");
        let mut fewer = fleet.clone();
        fewer.remove(&gone);
        let without = ring(Some(&old), &fewer, slots);
        let again = ring(Some(&without), &fleet, slots);
        prop_assert!(moved(&without, &again).all(|(_, to)| to == gone));
    }

    #[test]
    fn equal_input_gives_equal_rings(fleet in fleet(1..40, 0..257), slots in slots()) {
        let first = ring(None, &fleet, slots);
        prop_assert_eq!(&ring(None, &fleet, slots), &first);
        prop_assert_eq!(&ring(Some(&first), &fleet, slots), &first);
    }

    #[test]
    fn a_doubled_ring_keeps_every_connection(fleet in fleet(1..17, 1..11), hash in any::<u32>()) {
        let equal: Fleet = fleet.keys().take(4).map(|address| (*address, 1)).collect();
        prop_assume!(equal.len().is_power_of_two());
        let small = ring(None, &equal, 256);
        let large = ring(Some(&small), &equal, 512);
        prop_assert_eq!(small.owner(hash as usize % 256), large.owner(hash as usize % 512));
    }
}

#[test]
fn rings_of_different_virtual_addresses_differ() {
    let backends: Vec<Weighted> = (1..5).map(|number| (address(number), 1)).collect();
    let (one, other) = (repair(None, 1, &backends, 1024), repair(None, 2, &backends, 1024));
    let equal = one.owners().zip(other.owners()).filter(|(a, b)| a == b).count();
    assert!((150..400).contains(&equal), "{equal} of 1024 slots are equal, about 256 should be");
}

#[test]
fn what_a_backend_gives_up_is_spread_over_the_others() {
    let four: Fleet = (1..5).map(|number| (address(number), 1)).collect();
    let old = ring(None, &four, 4096);
    let mut three = four.clone();
    three.remove(&address(1));
    let new = ring(Some(&old), &three, 4096);
    let gained = |to: u8| moved(&old, &new).filter(|(_, taker)| *taker == address(to)).count();
    assert!((2..5).map(gained).all(|gained| gained.abs_diff(4096 / 12) <= 1));
}

#[test]
fn the_first_ring_rounds_up_the_largest_remainders() {
    let fleet = Fleet::from([(address(1), 5), (address(2), 3), (address(3), 3)]);
    let counts = counts(&ring(None, &fleet, 256));
    let wanted = BTreeMap::from([(address(1), 116), (address(2), 70), (address(3), 70)]);
    assert_eq!(counts, wanted, "exactly 116.36, 69.82 and 69.82");
}
