//! In the network stack: what came in, behind the driver, or what is about to go out.

use core::ptr::read_volatile;

use aya_ebpf::bindings::__sk_buff;
use aya_ebpf::helpers::generated::{bpf_skb_load_bytes, bpf_skb_pull_data};

/// What the kernel hands the program.
pub type Context = __sk_buff;

/// Bytes that headers are looked for in: they must lie in the first buffer.
const HEADERS: u32 = 512;

/// Without a tag that lies beside it.
#[inline(always)]
pub fn length(context: *mut Context) -> u32 {
    // SAFETY: the context is the one that the kernel gave.
    unsafe { read_volatile(&raw const (*context).len) }
}

#[inline(always)]
pub fn load(context: *mut Context, offset: u32, bytes: *mut u8, length: u32) -> bool {
    // SAFETY: the context is the one that the kernel gave, and the caller's bytes are as many.
    unsafe { bpf_skb_load_bytes(context.cast(), offset, bytes.cast(), length) == 0 }
}

/// The interface that the frame comes in or goes out by.
#[inline(always)]
pub fn interface(context: *mut Context) -> u32 {
    // SAFETY: the context is the one that the kernel gave.
    unsafe { read_volatile(&raw const (*context).ifindex) }
}

/// The tag that was taken from the frame, or that the card is to put into it.
#[inline(always)]
pub fn outer_tag(context: *mut Context) -> Option<u16> {
    // SAFETY: the context is the one that the kernel gave.
    unsafe {
        (read_volatile(&raw const (*context).vlan_present) != 0)
            .then(|| read_volatile(&raw const (*context).vlan_tci) as u16)
    }
}

/// Several segments with one header, which may not say how long they are together (BIG TCP).
#[inline(always)]
pub fn is_merged(context: *mut Context) -> bool {
    // SAFETY: the context is the one that the kernel gave.
    unsafe { read_volatile(&raw const (*context).gso_size) != 0 }
}

/// Puts the headers of a packet in several buffers into the first. Where there is no memory for that, they count as cut
/// off.
#[inline(always)]
pub fn pull(context: *mut Context) {
    let length = length(context);
    let wanted = if length < HEADERS { length } else { HEADERS };
    // SAFETY: the context is the one that the kernel gave; its pointers are read anew wherever they are used.
    unsafe {
        let (start, end) =
            (read_volatile(&raw const (*context).data), read_volatile(&raw const (*context).data_end));
        if end - start < wanted {
            bpf_skb_pull_data(context, wanted);
        }
    }
}
