//! The address sets that the packet is in: the entries that ask for any of them, and those that ask for none.

use sluice_abi::{Row, dimension::*};

use super::Details;
use crate::classify::{lowest, used};
use crate::constants::dimension;
use crate::maps::{DETAILS, DIRECT, ROWS};
use crate::packet::Packet;

#[inline(always)]
pub fn fill(row: &Details, packet: &Packet) -> Option<()> {
    side::<SOURCE_SETS>(row, packet.source_sets, DIRECT_SOURCE_SETS)?;
    side::<DESTINATION_SETS>(row, packet.destination_sets, DIRECT_DESTINATION_SETS)
}

#[inline(always)]
fn side<const DIMENSION: usize>(row: &Details, sets: u32, first: u32) -> Option<()> {
    if !used::<DIMENSION>() {
        return Some(());
    }
    let constants = dimension::<DIMENSION>();
    if sets == 0 {
        row.and(constants.special);
        return Some(());
    }
    let any = Details(DETAILS.get_ptr_mut(1)?);
    let none: *const Row = ROWS.get(constants.special);
    // SAFETY: the word is within the row.
    any.each(|word, _| unsafe { *none.cast::<u64>().add(word) });
    let mut left = constants.intervals;
    while left != 0 {
        let set = lowest(left as u64);
        left &= left - 1;
        if sets >> set & 1 != 0 {
            let asking: *const Row = ROWS.get(*DIRECT.get(first + set));
            // SAFETY: as above.
            any.each(|word, bits| bits | unsafe { *asking.cast::<u64>().add(word) });
        }
    }
    // SAFETY: as above.
    row.each(|word, bits| bits & unsafe { *any.0.cast::<u64>().add(word) });
    Some(())
}
