//! The frame's bytes. Every access is checked against the end right before it, as the verifier asks for.

#[cfg(feature = "tc")]
#[path = "frame/tc.rs"]
mod hook;
#[cfg(not(feature = "tc"))]
#[path = "frame/xdp.rs"]
mod hook;

use core::ptr::read_volatile;

#[cfg(feature = "tc")]
pub use hook::pull;
pub use hook::{Context, interface};

/// Offsets of headers stay below it: 22 bytes of Ethernet and tags, an IP header and eight extension headers.
pub const OFFSET_MASK: usize = 0x7fff;

#[derive(Clone, Copy)]
pub struct Frame {
    context: *mut Context,
}

impl Frame {
    #[inline(always)]
    pub fn new(context: *mut Context) -> Frame {
        Frame { context }
    }

    #[inline(always)]
    pub fn context(self) -> *mut Context {
        self.context
    }

    /// Whole length, the parts behind the first buffer included.
    #[inline(always)]
    pub fn length(self) -> u32 {
        hook::length(self.context)
    }

    /// Of the first buffer.
    #[inline(always)]
    pub fn first_length(self) -> u32 {
        // SAFETY: the context is the one that the kernel gave.
        unsafe {
            let data = read_volatile(&raw const (*self.context).data);
            read_volatile(&raw const (*self.context).data_end) - data
        }
    }

    /// The tag in front of all that are in the frame, if the kernel has it beside it.
    #[inline(always)]
    pub fn outer_tag(self) -> Option<u16> {
        hook::outer_tag(self.context)
    }

    /// It is several packets with one header.
    #[inline(always)]
    pub fn is_merged(self) -> bool {
        hook::is_merged(self.context)
    }

    /// A header, if it lies wholly in the first buffer. `T` is packed, or a number read unaligned.
    #[inline(always)]
    pub fn header<T>(self, offset: usize) -> Option<*mut T> {
        // SAFETY: the context is the one that the kernel gave. Volatile, so that each check is of pointers that the
        // verifier knows to be the frame's.
        let (start, end) = unsafe {
            (
                read_volatile(&raw const (*self.context).data) as usize,
                read_volatile(&raw const (*self.context).data_end) as usize,
            )
        };
        let header = start + offset;
        if header + size_of::<T>() > end { None } else { Some(header as *mut T) }
    }

    #[inline(always)]
    pub fn read<T: Copy>(self, offset: usize) -> Option<T> {
        // SAFETY: the header lies within the frame.
        self.header::<T>(offset).map(|header| unsafe { header.read_unaligned() })
    }

    /// Copies bytes from wherever in the frame they lie, behind the first buffer too; false where it ends before.
    #[inline(always)]
    pub fn load(self, offset: u32, bytes: *mut u8, length: u32) -> bool {
        hook::load(self.context, offset, bytes, length)
    }
}
