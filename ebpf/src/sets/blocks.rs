//! The blocks of a set, as they were when it was first asked: whoever changes a set makes new ones.

use sluice_abi::{SetHead, SetNode, of_block};

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
        let head = self.element::<SetHead, 1>(0, 0)?;
        // SAFETY: what block 0 begins with, and nobody changes.
        Some(unsafe { (&*head, &*head.add(1).cast()) })
    }

    #[inline(always)]
    pub fn node<'a>(self, node: u32) -> Option<&'a SetNode> {
        // Behind the head. SAFETY: nobody changes it.
        self.element::<SetNode, { of_block::NODES }>(0, node + 1).map(|node| unsafe { &*node })
    }

    /// The bits of a bucket's cells.
    #[inline(always)]
    pub fn cells(self, head: &SetHead, bucket: u32) -> Option<u32> {
        // SAFETY: it is in a block.
        self.element::<u32, { of_block::CELLS }>(head.cells, bucket).map(|cells| unsafe { *cells })
    }

    /// An element of those that begin with this block; a block has `OF_BLOCK`.
    #[inline(always)]
    pub fn element<T, const OF_BLOCK: u32>(self, first: u32, number: u32) -> Option<*const T> {
        let block = self.0.get_ptr(first + number / OF_BLOCK)?.cast::<T>();
        // SAFETY: the element is within the block.
        Some(unsafe { block.add((number % OF_BLOCK) as usize) })
    }
}
