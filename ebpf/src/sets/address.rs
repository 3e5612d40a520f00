//! Addresses as they are compared with bounds.

use sluice_abi::{BOUNDS_V4_OF_BLOCK, BOUNDS_V6_OF_BLOCK, SetHead};

use super::blocks::Blocks;
use crate::classify::{borrow, flag, starts_at_or_below};

pub trait Address: Copy {
    fn is_below(self, bound: [u64; 2]) -> bool;

    /// The slice of an address that is not below the lowest bound.
    fn slice(self, head: &SetHead) -> u32;

    /// 1 if it is not below this bound, else 0; no branch.
    fn is_at_or_above(self, blocks: Blocks, first_bounds: u32, bound: u32) -> Option<u32>;
}

#[derive(Clone, Copy)]
pub struct V4(pub u32);

impl Address for V4 {
    #[inline(always)]
    fn is_below(self, bound: [u64; 2]) -> bool {
        (self.0 as u64) < bound[1]
    }

    #[inline(always)]
    fn slice(self, head: &SetHead) -> u32 {
        ((self.0 as u64 - head.lowest[1]) >> (head.shift & 63)) as u32
    }

    #[inline(always)]
    fn is_at_or_above(self, blocks: Blocks, first_bounds: u32, bound: u32) -> Option<u32> {
        let block = blocks.get(first_bounds + bound / BOUNDS_V4_OF_BLOCK)?;
        let place = (bound % BOUNDS_V4_OF_BLOCK) as usize;
        // SAFETY: the place is within the block.
        let bound = unsafe { *block.cast::<u32>().add(place) };
        Some(starts_at_or_below(bound as u64, self.0 as u64))
    }
}

/// High and low half.
#[derive(Clone, Copy)]
pub struct V6(pub [u64; 2]);

impl Address for V6 {
    #[inline(always)]
    fn is_below(self, [high, low]: [u64; 2]) -> bool {
        let borrowed = borrow(self.0[1], low, 0);
        borrow(self.0[0], high, borrowed) != 0
    }

    #[inline(always)]
    fn slice(self, head: &SetHead) -> u32 {
        let [high, low] = self.0;
        let borrowed = borrow(low, head.lowest[1], 0);
        let above =
            [high.wrapping_sub(head.lowest[0]).wrapping_sub(borrowed), low.wrapping_sub(head.lowest[1])];
        // A shift by 64 is none, so the high half goes left in two steps.
        let last = head.shift & 63;
        (if head.shift >= u64::BITS {
            above[0] >> last
        } else {
            above[0] << 1 << (63 - last) | above[1] >> last
        }) as u32
    }

    #[inline(always)]
    fn is_at_or_above(self, blocks: Blocks, first_bounds: u32, bound: u32) -> Option<u32> {
        let block = blocks.get(first_bounds + bound / BOUNDS_V6_OF_BLOCK)?;
        let place = (bound % BOUNDS_V6_OF_BLOCK) as usize;
        // SAFETY: the place is within the block.
        let [high, low] = unsafe { *block.cast::<[u64; 2]>().add(place) };
        let borrowed = borrow(self.0[1], low, 0);
        Some(flag(borrow(self.0[0], high, borrowed) ^ 1))
    }
}
