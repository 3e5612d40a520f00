//! The stages in order, and the entry program of XDP; that of tcx is in `tc.rs`.

use core::mem::MaybeUninit;

use aya_ebpf::bindings::xdp_action::{XDP_DROP, XDP_PASS};
#[cfg(not(feature = "tc"))]
use aya_ebpf::{macros::xdp, programs::XdpContext};
use sluice_abi::{Stage, Stat, dimension::ESTABLISHED, features};

use crate::classify::{
    self, classify, classify_among_few, classify_among_many, classify_by_words, limit, straight,
};
use crate::constants::{enabled, enabled_any};
use crate::count::count_stat;
use crate::details::look_up;
use crate::established::look_up_connection;
use crate::failsafe::{failsafe, may_be_kept};
use crate::frame::Context;
use crate::packet::Packet;
use crate::parse::{parse, plain};
use crate::sample;
use crate::sets::{look_up_sets, put_sets};
use crate::trace::Outcome;
#[cfg(not(feature = "tc"))]
use crate::{
    balance::{self, balance},
    decap::decapsulate,
    mark,
};

#[cfg(not(feature = "tc"))]
#[xdp(frags)]
#[inline(always)]
pub fn sluice_xdp(context: XdpContext) -> u32 {
    let context = context.ctx;
    if let Some(verdict) = at_once(context) {
        return verdict;
    }
    let mut place = MaybeUninit::uninit();
    let packet = read(context, &mut place);
    let outcome = judge(context, packet);
    if enabled(features::MARKS) && outcome.verdict == XDP_PASS {
        mark::leave(context, packet);
    }
    if outcome.verdict == XDP_DROP && sample::is_wanted() {
        sample::sample(context, packet, outcome.origin());
    }
    if packet.staged != 0 {
        outcome.trace(packet);
    }
    outcome.verdict
}

/// The verdict of a few rules on a packet that never leaves the registers: what most packets of most programs need.
/// `None` where more is asked for; nothing has been counted then.
#[inline(always)]
pub fn at_once(context: *mut Context) -> Option<u32> {
    const MORE: u64 = features::dimension(ESTABLISHED)
        | features::LIMITS
        | features::MARKS
        | features::BALANCER
        | features::DECAP;
    let few = !enabled(features::ENTRIES) || enabled(features::STRAIGHT);
    if enabled_any(MORE) || !few || sample::is_wanted() {
        return None;
    }
    let mut packet = plain(context)?;
    if packet.staged != 0 || (enabled(features::FAILSAFE) && may_be_kept(&packet)) {
        return None;
    }
    count_stat(&packet, Stat::Packets);
    if enabled(features::SETS) {
        put_sets(&mut packet);
    }
    let drops = enabled(features::ENTRIES) && classify::drops(straight::decide(&packet));
    Some(if drops { XDP_DROP } else { XDP_PASS })
}

#[inline(always)]
pub fn read(context: *mut Context, place: &mut MaybeUninit<Packet>) -> &mut Packet {
    if let Some(packet) = plain(context) {
        Packet::set(place, packet);
    } else {
        Packet::unread(place, context);
        parse(context, place.as_mut_ptr());
    }
    #[cfg(not(feature = "tc"))]
    if enabled(features::DECAP) && decapsulate(context, place.as_mut_ptr()) != 0 {
        Packet::unread(place, context);
        // SAFETY: it was just set.
        unsafe { place.assume_init_mut() }.decapsulated = 1;
        parse(context, place.as_mut_ptr());
    }
    // SAFETY: as above.
    let packet = unsafe { place.assume_init_mut() };
    count_stat(packet, Stat::Packets);
    if packet.malformed != 0 {
        count_stat(packet, Stat::Malformed);
    }
    packet
}

#[inline(always)]
pub fn judge(context: *mut Context, packet: &mut Packet) -> Outcome {
    if enabled(features::FAILSAFE) && may_be_kept(packet) && failsafe(context, packet) != 0 {
        count_stat(packet, Stat::FailsafePassed);
        return Outcome::of(XDP_PASS, Stage::Failsafe);
    }
    let mut outcome = Outcome::of(XDP_PASS, Stage::None);
    if enabled(features::ENTRIES) {
        if enabled(features::SETS) {
            look_up_sets(packet);
        }
        if enabled(features::dimension(ESTABLISHED)) {
            look_up_connection(context, packet);
        }
        if enabled(features::DETAILS) && !enabled(features::STRAIGHT) {
            look_up(context, packet);
        }
        if enabled(features::LIMITS) {
            limit::read_key(context, packet);
        }
        let decision = if enabled(features::STRAIGHT) {
            classify_among_few(packet)
        } else if enabled(features::LARGE) {
            classify_among_many(packet)
        } else if classify::has_few_words() {
            classify_by_words(packet)
        } else {
            classify(packet)
        };
        outcome = outcome.by_filters(decision);
        if classify::drops(decision) {
            outcome.verdict = XDP_DROP;
            return outcome;
        }
    }
    // What came out of a tunnel has been balanced already.
    #[cfg(not(feature = "tc"))]
    if enabled(features::BALANCER) && packet.decapsulated == 0 {
        let choice = balance(context, packet);
        if balance::is_for_vip(choice) {
            outcome = outcome.by_balancer(choice);
        }
    }
    outcome
}

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! {
    // Never linked: the verifier refuses a program that could get here.
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
