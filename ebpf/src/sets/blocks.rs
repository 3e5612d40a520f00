//! The blocks of a set, as they were when it was first asked: whoever changes a set makes new ones.

use sluice_abi::{SLICES_OF_BLOCK, SetHead};

use crate::maps::{SETS, SetBlocks};

#[derive(Clone, Copy)]
pub struct Blocks(&'static SetBlocks);

impl Blocks {
    /// `None` where there is no such set.
    #[inline(always)]
    pub fn of(element: u32) -> Option<Blocks> {
        SETS.get(element).map(Blocks)
    }

    #[inline(always)]
    pub fn get(self, block: u32) -> Option<*const u64> {
        self.0.get_ptr(block).map(<*const _>::cast)
    }

    #[inline(always)]
    pub fn head<'a>(self) -> Option<&'a SetHead> {
        // SAFETY: what block 0 begins with, and nobody changes.
        self.get(0).map(|block| unsafe { &*block.cast() })
    }

    /// How many bounds are below a slice, and below the one behind it.
    #[inline(always)]
    pub fn slice(self, slice: u32) -> Option<(u32, u32)> {
        let (block, place) = (self.get(1 + slice / SLICES_OF_BLOCK)?, slice % SLICES_OF_BLOCK);
        let next = slice + 1;
        // Mostly in the same block.
        let (behind, next_place) = match next % SLICES_OF_BLOCK {
            0 => (self.get(1 + next / SLICES_OF_BLOCK)?, 0),
            place => (block, place),
        };
        // SAFETY: the places are within the blocks.
        unsafe {
            Some((*block.cast::<u32>().add(place as usize), *behind.cast::<u32>().add(next_place as usize)))
        }
    }
}
