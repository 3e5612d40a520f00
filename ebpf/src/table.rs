//! A table of the plan as one value whose address the program knows. See `ebpf/abi/src/table.rs`.

use core::cell::UnsafeCell;
use core::marker::PhantomData;

use crate::classify::opaque;
use crate::constants::last;

/// In a section of its own. What lies there is as long as the loader makes it.
#[repr(transparent)]
pub struct Table<T, const NUMBER: usize> {
    first: UnsafeCell<u64>,
    of: PhantomData<T>,
}

// SAFETY: nobody writes to it while programs use it.
unsafe impl<T, const NUMBER: usize> Sync for Table<T, NUMBER> {}

impl<T: 'static, const NUMBER: usize> Table<T, NUMBER> {
    pub const fn new() -> Table<T, NUMBER> {
        Table { first: UnsafeCell::new(0), of: PhantomData }
    }

    /// The plan has no such table, or one of a single element.
    #[inline(always)]
    pub fn is_absent(&self) -> bool {
        last::<NUMBER>() == 0
    }

    /// The element at `index`, which is within the table, or some other. A mask where there could be a test: the
    /// verifier sees that it is within.
    #[inline(always)]
    pub fn get(&self, index: u32) -> &'static T {
        let place = opaque((index & last::<NUMBER>()) as u64);
        // Hidden from the compiler, which would take the table to be as long as it is here.
        let first = opaque(self.first.get() as u64);
        // SAFETY: the loader made the table as long as the mask says.
        unsafe { &*((first + place * size_of::<T>() as u64) as *const T) }
    }
}
