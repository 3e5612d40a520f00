//! Which of the plan's address sets a packet's addresses are in. What lies where in a set is in `ebpf/abi/src/set.rs`.

mod address;
mod blocks;

use sluice_abi::{
    CUT_BUCKET, SET_CELLS, SET_DEPTH, SET_SEARCH_STEPS, dimension::*, features, kind, set_place,
};

use crate::classify::{lowest, used};
use crate::constants::{self, dimension, enabled};
use crate::packet::Packet;
use address::{Address, V4, V6};
use blocks::Blocks;

/// Leaves them in the packet.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn look_up_sets(packet: *mut Packet) -> u32 {
    // SAFETY: the caller's packet, or null in the verifier's eyes.
    let Some(packet) = (unsafe { packet.as_mut() }) else { return 0 };
    // Older kernels verify this function whether it is called or not.
    if !enabled(features::SETS) {
        return 0;
    }
    put_sets(packet);
    1
}

#[inline(always)]
pub fn put_sets(packet: &mut Packet) {
    packet.source_sets = sets_of::<SOURCE_SETS>(packet.family, packet.source);
    packet.destination_sets = sets_of::<DESTINATION_SETS>(packet.family, packet.destination);
}

/// Looks in those sets only that some entry asks for.
#[inline(always)]
fn sets_of<const DIMENSION: usize>(family: u32, [high, low]: [u64; 2]) -> u32 {
    if !used::<DIMENSION>() || family == kind::FAMILY_NONE {
        return 0;
    }
    let mut left = dimension::<DIMENSION>().intervals;
    let mut found = 0;
    while left != 0 {
        let set = lowest(left as u64);
        left &= left - 1;
        let place = constants::set_place(set);
        found |= if family == kind::FAMILY_V6 {
            is_in_v6(set_place(place, true), high, low)
        } else {
            is_in_v4(set_place(place, false), low as u32)
        } << set;
    }
    found
}

/// Global functions, which the verifier checks once and not for each set; 1 if the address is in the set, else 0.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn is_in_v4(place: u32, address: u32) -> u32 {
    bounds_up_to(place, V4(address)) & 1
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn is_in_v6(place: u32, high: u64, low: u64) -> u32 {
    bounds_up_to(place, V6([high, low])) & 1
}

#[inline(always)]
fn bounds_up_to<A: Address>(place: u32, address: A) -> u32 {
    if !enabled(features::SETS) {
        return 0;
    }
    // A set without an address of the family has no blocks.
    let Some(blocks) = Blocks::of(place) else { return 0 };
    descend(blocks, address).unwrap_or(0)
}

/// `None` if a block points nowhere; an even number where no address nearby is in the set.
#[inline(always)]
fn descend<A: Address>(blocks: Blocks, address: A) -> Option<u32> {
    let (head, mut node) = blocks.head()?;
    let mut level = 0;
    while level < SET_DEPTH {
        if address.is_below(node.lowest) {
            return Some(node.below);
        }
        if !address.is_below(node.highest) {
            return Some(node.below + node.bounds);
        }
        if node.scale == 0 {
            return search(node.below, node.bounds, |bound| {
                address.is_at_or_above_searched(blocks, head.bounds, node.first + bound)
            });
        }
        let cell = (address.above(node) * node.scale >> 32) as u32;
        let number = node.first + cell / SET_CELLS;
        if blocks.cells(head, number)? >> (cell % SET_CELLS) & 1 == 0 {
            return Some(0);
        }
        let bucket = blocks.element(head.buckets, number)?;
        let (below, count) = A::head(bucket);
        if count != CUT_BUCKET {
            let up_to = address.up_to(bucket);
            // The last of all addresses is not below what fills free places.
            return Some(below + if up_to < count { up_to } else { count });
        }
        node = blocks.node(below)?;
        level += 1;
    }
    None
}

/// `below`, and how many of the `length` bounds behind it are at or below the address, as `is_at_or_above` says of each.
#[inline(always)]
fn search(below: u32, length: u32, is_at_or_above: impl Fn(u32) -> Option<u32>) -> Option<u32> {
    let (mut low, mut length) = (0, length);
    if length == 0 {
        return Some(below);
    }
    let mut step = 0;
    while length > 1 && step < SET_SEARCH_STEPS {
        let half = length >> 1;
        low += half * is_at_or_above(low + half)?;
        length -= half;
        step += 1;
    }
    Some(below + low + is_at_or_above(low)?)
}
