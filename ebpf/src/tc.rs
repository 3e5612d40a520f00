//! The entry program for tcx: the same filters on packets that the network stack has taken in, or is about to send.

use core::mem::MaybeUninit;
use core::ptr::read_volatile;

use aya_ebpf::bindings::{TC_ACT_SHOT, xdp_action::XDP_DROP};
use aya_ebpf::macros::classifier;
use aya_ebpf::programs::TcContext;
use sluice_abi::features;

use crate::constants::enabled;
use crate::frame::{Context, pull};
use crate::link_header;
use crate::packet::Packet;
use crate::program::{at_once, judge, read};
use crate::sample;

/// `TCX_NEXT`: whatever else is on the interface has its turn.
const GO_ON: i32 = -1;

#[classifier]
#[inline(always)]
pub fn sluice_tc(context: TcContext) -> i32 {
    let context = context.skb.skb;
    if !enabled(features::EGRESS) {
        link_header::restore(context);
    }
    pull(context);
    if let Some(verdict) = at_once(context) {
        return if verdict == XDP_DROP { TC_ACT_SHOT } else { GO_ON };
    }
    let mut place = MaybeUninit::uninit();
    let packet = read(context, &mut place);
    let outcome = judge(context, packet);
    if outcome.verdict == XDP_DROP && sample::is_wanted() {
        sample::sample(context, packet, outcome.origin());
    }
    if packet.staged != 0 {
        outcome.trace(packet);
    }
    if outcome.verdict == XDP_DROP {
        return TC_ACT_SHOT;
    }
    if enabled(features::MARKS) && packet.mark_mask != 0 && packet.staged == 0 {
        mark(context, packet);
    }
    GO_ON
}

#[inline(always)]
fn mark(context: *mut Context, packet: &Packet) {
    // SAFETY: the context is the one that the kernel gave.
    unsafe {
        let mark = read_volatile(&raw const (*context).mark);
        (&raw mut (*context).mark).write_volatile((mark & !packet.mark_mask) | packet.mark);
    }
}
