//! In front of the network stack, in the driver.

use aya_ebpf::bindings::xdp_md;
use aya_ebpf::helpers::{bpf_xdp_get_buff_len, generated::bpf_xdp_load_bytes};

/// What the kernel hands the program.
pub type Context = xdp_md;

/// Whole length, the parts behind the first buffer of a large frame included.
#[inline(always)]
pub fn length(context: *mut Context) -> u32 {
    // SAFETY: the context is the one that the kernel gave.
    (unsafe { bpf_xdp_get_buff_len(context) }) as u32
}

#[inline(always)]
pub fn load(context: *mut Context, offset: u32, bytes: *mut u8, length: u32) -> bool {
    // SAFETY: the context is the one that the kernel gave, and the caller's bytes are as many.
    unsafe { bpf_xdp_load_bytes(context, offset, bytes.cast(), length) == 0 }
}

/// The interface that the frame came in by.
#[inline(always)]
pub fn interface(context: *mut Context) -> u32 {
    // SAFETY: the context is the one that the kernel gave.
    unsafe { (*context).ingress_ifindex }
}

/// Tags are in the frame, or the card took them off and nobody knows.
#[inline(always)]
pub fn outer_tag(_context: *mut Context) -> Option<u16> {
    None
}

/// One frame is one packet.
#[inline(always)]
pub fn is_merged(_context: *mut Context) -> bool {
    false
}
