//! The way of a mark from the rule to the packet: XDP leaves it in front of the frame, `sluice_mark` takes it from there.

use core::ptr::read_volatile;

use aya_ebpf::bindings::xdp_md;
use aya_ebpf::helpers::generated::bpf_xdp_adjust_meta;
use aya_ebpf::macros::classifier;
use aya_ebpf::programs::TcContext;
use sluice_abi::{MARK_TAG, Mark, MarkMetadata};

use crate::count::count_unmarked;
use crate::link_header;
use crate::packet::Packet;

/// `TCX_NEXT`: whatever else is on the interface has its turn.
const GO_ON: i32 = -1;

/// For a packet that passes. Nothing may look at the frame behind it.
#[inline(always)]
pub fn leave(context: *mut xdp_md, packet: &Packet) {
    // Test runs are asked by their trace; metadata would be part of the frame that comes back.
    if packet.mark_mask == 0 || packet.staged != 0 {
        return;
    }
    // SAFETY: the context is the one that the kernel gave; the pointers into the frame are read anew below.
    let (start, end) = unsafe {
        if bpf_xdp_adjust_meta(context, -(size_of::<MarkMetadata>() as i32)) != 0 {
            count_unmarked(packet);
            return;
        }
        (
            read_volatile(&raw const (*context).data_meta) as usize,
            read_volatile(&raw const (*context).data) as usize,
        )
    };
    if start + size_of::<MarkMetadata>() > end {
        return;
    }
    let mark = Mark { value: packet.mark, mask: packet.mark_mask };
    // SAFETY: the metadata lies before the frame.
    unsafe { (start as *mut MarkMetadata).write(MarkMetadata { tag: MARK_TAG, mark }) };
}

/// On tcx ingress of an interface with rules that mark.
#[classifier]
pub fn sluice_mark(context: TcContext) -> i32 {
    let buffer = context.skb.skb;
    link_header::restore(buffer);
    // SAFETY: the context is the one that the kernel gave.
    let (start, end) = unsafe {
        (
            read_volatile(&raw const (*buffer).data_meta) as usize,
            read_volatile(&raw const (*buffer).data) as usize,
        )
    };
    if start + size_of::<MarkMetadata>() > end {
        return GO_ON;
    }
    // SAFETY: the metadata is there, and aligned to four bytes, as the kernel demands of it.
    let MarkMetadata { tag, mark: Mark { value, mask } } = unsafe { *(start as *const MarkMetadata) };
    if tag == MARK_TAG {
        // SAFETY: as above.
        unsafe { (*buffer).mark = ((*buffer).mark & !mask) | value };
    }
    GO_ON
}
