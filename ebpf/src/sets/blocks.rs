//! The blocks of a set, as they were when it was first asked: whoever changes a set makes new ones.

use sluice_abi::{SET_BLOCK, SetHead, SetNode};

use crate::maps::{SETS, SetBlocks};

#[derive(Clone, Copy)]
pub struct Blocks(&'static SetBlocks);

impl Blocks {
    /// `None` where there is no such set.
    #[inline(always)]
    pub fn of(element: u32) -> Option<Blocks> {
        SETS.get(element).map(Blocks)
    }

    /// With the first node, which lies behind it.
    #[inline(always)]
    pub fn head<'a>(self) -> Option<(&'a SetHead, &'a SetNode)> {
        let head = self.element::<SetHead>(0, 0)?;
        // SAFETY: what block 0 begins with, and nobody changes.
        Some(unsafe { (&*head, &*head.add(1).cast()) })
    }

    #[inline(always)]
    pub fn node<'a>(self, node: u32) -> Option<&'a SetNode> {
        // Behind the head. SAFETY: nobody changes it.
        self.element::<SetNode>(0, node + 1).map(|node| unsafe { &*node })
    }

    /// The bits of a bucket's cells.
    #[inline(always)]
    pub fn cells(self, head: &SetHead, bucket: u32) -> Option<u32> {
        // SAFETY: it is in a block.
        self.element::<u32>(head.cells, bucket).map(|cells| unsafe { *cells })
    }

    /// An element of those that begin with this block.
    #[inline(always)]
    pub fn element<T>(self, first: u32, number: u32) -> Option<*const T> {
        let of_block = const { (SET_BLOCK / size_of::<T>()) as u32 };
        let block = self.0.get_ptr(first + number / of_block)?.cast::<T>();
        // SAFETY: the element is within the block.
        Some(unsafe { block.add((number % of_block) as usize) })
    }
}
