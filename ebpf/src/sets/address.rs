//! Addresses as they are compared with bounds.

use sluice_abi::{BucketV4, BucketV6, SetNode};

use super::blocks::Blocks;
use crate::classify::{borrow, flag, opaque, starts_at_or_below};

pub trait Address: Copy {
    type Bound: Copy;
    type Bucket;

    fn is_below(self, bound: [u64; 2]) -> bool;

    /// How far it is above the node's lowest bound, which it is not below, in units of the node.
    fn above(self, node: &SetNode) -> u64;

    /// 1 if it is not below the bound, else 0; no branch.
    fn is_not_below(self, bound: Self::Bound) -> u32;

    /// Bounds below the bucket, and how many are in it.
    fn head(bucket: *const Self::Bucket) -> (u32, u32);

    /// How many of the bucket's places hold a bound that it is not below. All of them are compared, which takes no branch
    /// that the processor could guess wrong: it goes on with the packets behind while the bucket is on its way.
    fn up_to(self, bucket: *const Self::Bucket) -> u32;

    /// [`Address::is_not_below`] of a bound in the blocks from `first` on.
    #[inline(always)]
    fn is_at_or_above_searched(self, blocks: Blocks, first: u32, bound: u32) -> Option<u32> {
        // SAFETY: it is in a block.
        blocks.element(first, bound).map(|bound| self.is_not_below(unsafe { *bound }))
    }
}

#[derive(Clone, Copy)]
pub struct V4(pub u32);

impl Address for V4 {
    type Bound = u32;
    type Bucket = BucketV4;

    #[inline(always)]
    fn is_below(self, bound: [u64; 2]) -> bool {
        (self.0 as u64) < bound[1]
    }

    #[inline(always)]
    fn above(self, node: &SetNode) -> u64 {
        self.0 as u64 - node.lowest[1]
    }

    #[inline(always)]
    fn is_not_below(self, bound: u32) -> u32 {
        starts_at_or_below(bound as u64, self.0 as u64)
    }

    #[inline(always)]
    fn up_to(self, bucket: *const BucketV4) -> u32 {
        // SAFETY: the bucket is in a block.
        let bounds = unsafe { &(*bucket).bounds };
        let above = |bound: &u32| opaque((self.0 as u64).wrapping_sub(*bound as u64)) >> 63;
        bounds.len() as u32 - flag(bounds.iter().map(above).sum())
    }

    #[inline(always)]
    fn head(bucket: *const BucketV4) -> (u32, u32) {
        // SAFETY: the bucket is in a block.
        unsafe { ((*bucket).below, (*bucket).count) }
    }
}

/// High and low half.
#[derive(Clone, Copy)]
pub struct V6(pub [u64; 2]);

impl Address for V6 {
    type Bound = [u64; 2];
    type Bucket = BucketV6;

    #[inline(always)]
    fn is_below(self, bound: [u64; 2]) -> bool {
        self.is_not_below(bound) == 0
    }

    #[inline(always)]
    fn above(self, node: &SetNode) -> u64 {
        let [high, low] = self.0;
        let borrowed = borrow(low, node.lowest[1], 0);
        let above =
            [high.wrapping_sub(node.lowest[0]).wrapping_sub(borrowed), low.wrapping_sub(node.lowest[1])];
        // A shift by 64 is none, so the high half goes left in two steps.
        let last = node.shift & 63;
        if node.shift >= u64::BITS {
            above[0] >> last
        } else {
            above[0] << 1 << (63 - last) | above[1] >> last
        }
    }

    #[inline(always)]
    fn is_not_below(self, [high, low]: [u64; 2]) -> u32 {
        let borrowed = borrow(self.0[1], low, 0);
        flag(borrow(self.0[0], high, borrowed) ^ 1)
    }

    #[inline(always)]
    fn up_to(self, bucket: *const BucketV6) -> u32 {
        // SAFETY: the bucket is in a block.
        let bounds = unsafe { &(*bucket).bounds };
        let above = |[high, low]: &[u64; 2]| borrow(self.0[0], *high, borrow(self.0[1], *low, 0));
        bounds.len() as u32 - flag(bounds.iter().map(above).sum())
    }

    #[inline(always)]
    fn head(bucket: *const BucketV6) -> (u32, u32) {
        // SAFETY: the bucket is in a block.
        unsafe { ((*bucket).below, (*bucket).count) }
    }
}
