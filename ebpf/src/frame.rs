//! The frame's bytes. Every access is checked against the end right before it, as the verifier asks for.

use core::ptr::read_volatile;

use aya_ebpf::bindings::xdp_md;
use aya_ebpf::helpers::{bpf_xdp_get_buff_len, generated::bpf_xdp_load_bytes};

/// Offsets of headers stay below it: 22 bytes of Ethernet and tags, an IP header and eight extension headers.
pub const OFFSET_MASK: usize = 0x7fff;

#[derive(Clone, Copy)]
pub struct Frame {
    context: *mut xdp_md,
}

impl Frame {
    #[inline(always)]
    pub fn new(context: *mut xdp_md) -> Frame {
        Frame { context }
    }

    #[inline(always)]
    pub fn context(self) -> *mut xdp_md {
        self.context
    }

    /// Whole length, the parts behind the first buffer of a large frame included.
    #[inline(always)]
    pub fn length(self) -> u32 {
        // SAFETY: the context is the one that the kernel gave.
        (unsafe { bpf_xdp_get_buff_len(self.context) }) as u32
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
        // SAFETY: the context is the one that the kernel gave, and the caller's bytes are as many.
        unsafe { bpf_xdp_load_bytes(self.context, offset, bytes.cast(), length) == 0 }
    }
}
