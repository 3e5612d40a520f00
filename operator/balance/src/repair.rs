use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::hash;
use crate::ring::Ring;
use crate::shares::shares;

/// A backend and its weight; 0 takes no slot.
pub type Weighted = (IpAddr, u16);

/// The ring that follows `previous`: slots are shared out by weight with an error below one slot, and the only slots
/// that change are those whose backend left or has more than its share. Every backend of `backends` with a weight takes
/// connections: leave the unhealthy out. `seed` differs between virtual addresses, so that their rings do.
///
/// `slots` must be a power of two. A previous ring of another size is scaled first: doubled, every connection stays.
pub fn repair(previous: Option<&Ring>, seed: u64, backends: &[Weighted], slots: u32) -> Ring {
    let weights: BTreeMap<IpAddr, u64> = backends
        .iter()
        .filter(|(_, weight)| *weight > 0)
        .map(|(address, weight)| (*address, u64::from(*weight)))
        .collect();
    let mut owners = scaled(previous, slots as usize);
    if weights.is_empty() {
        return Ring::new(&vec![None; slots as usize]);
    }
    let targets = targets(&weights, &owners);
    let mut missing = release(&mut owners, targets, seed);
    fill(&mut owners, &mut missing, seed);
    Ring::new(&owners)
}

/// A packet's slot is its hash masked by the size, so slot `i` of a ring twice as large has taken over part of slot
/// `i % size`.
fn scaled(previous: Option<&Ring>, slots: usize) -> Vec<Option<IpAddr>> {
    match previous {
        Some(ring) if !ring.is_empty() => (0..slots).map(|slot| ring.owner(slot % ring.len())).collect(),
        _ => vec![None; slots],
    }
}

fn targets(weights: &BTreeMap<IpAddr, u64>, owners: &[Option<IpAddr>]) -> BTreeMap<IpAddr, u64> {
    let mut held: BTreeMap<IpAddr, u64> = BTreeMap::new();
    for owner in owners.iter().flatten() {
        *held.entry(*owner).or_default() += 1;
    }
    let previous: Vec<u64> = weights.keys().map(|address| held.get(address).copied().unwrap_or(0)).collect();
    let weighted: Vec<u64> = weights.values().copied().collect();
    weights.keys().copied().zip(shares(&weighted, &previous, owners.len() as u64)).collect()
}

/// Frees every slot that its owner has above its target, in an order that depends on the backend, so that what one
/// gives up is spread over the ring. Returns how many slots each backend still misses.
fn release(
    owners: &mut [Option<IpAddr>],
    mut targets: BTreeMap<IpAddr, u64>,
    seed: u64,
) -> BTreeMap<IpAddr, u64> {
    let mut held: BTreeMap<IpAddr, Vec<usize>> = BTreeMap::new();
    for (slot, owner) in owners.iter().enumerate() {
        if let Some(owner) = owner {
            held.entry(*owner).or_default().push(slot);
        }
    }
    for (address, mut slots) in held {
        let target = targets.get(&address).copied().unwrap_or(0);
        let kept = target.min(slots.len() as u64);
        let key = hash::address(seed, address);
        if (kept as usize) < slots.len() {
            slots.sort_by_key(|&slot| (hash::mix(key ^ slot as u64), slot));
        }
        for slot in slots.drain(kept as usize..) {
            owners[slot] = None;
        }
        targets.entry(address).and_modify(|target| *target -= kept);
    }
    targets
}

/// Free slots in hash order go to the backends that miss some, each in turn in hash order.
fn fill(owners: &mut [Option<IpAddr>], missing: &mut BTreeMap<IpAddr, u64>, seed: u64) {
    let mut free: Vec<usize> = (0..owners.len()).filter(|&slot| owners[slot].is_none()).collect();
    free.sort_by_key(|&slot| (hash::mix(seed ^ slot as u64), slot));
    let takers: BTreeSet<(u64, IpAddr)> =
        missing.keys().map(|address| (hash::address(seed, *address), *address)).collect();
    let mut free = free.into_iter();
    for (_, address) in takers {
        let wanted = missing.remove(&address).unwrap_or(0);
        for slot in free.by_ref().take(wanted as usize) {
            owners[slot] = Some(address);
        }
    }
}
