//! Samples of dropped packets for those who watch. Where nobody does, a drop costs one load more.

use core::ptr::read_volatile;

use aya_ebpf::bindings::xdp_action::XDP_DROP;
use aya_ebpf::helpers::generated::bpf_ktime_get_ns;
use sluice_abi::{SAMPLE_BYTES, Sample, Sampling, Stat, UNITS_PER_NS, features};

use crate::classify::{limit, opaque};
use crate::constants::enabled;
use crate::count::count_stat;
use crate::frame::{Context, Frame};
use crate::maps::{ENTRIES, SAMPLE_TOKENS, SAMPLES};
use crate::packet::Packet;
#[cfg(not(feature = "tc"))]
use crate::{
    balance,
    maps::{TARGET_SLOTS, VIP_SLOTS},
};
#[cfg(not(feature = "tc"))]
use sluice_abi::NO_TARGET;

/// Shared by all programs of the node; an array of one element to the loader, an address to the program.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".data.sampling")]
static mut SAMPLING: Sampling = Sampling { until: 0, interval: 0, burst: 0 };

/// Whether somebody listens, or did until they were gone without a word.
#[inline(always)]
pub fn is_wanted() -> bool {
    until() != 0
}

#[inline(always)]
fn until() -> u64 {
    // SAFETY: an aligned word, which user space writes.
    unsafe { read_volatile(&raw const SAMPLING.until) }
}

/// The stage, its entry and its target in one word: a function that the verifier checks on its own has few arguments.
#[inline(always)]
pub fn origin(stage: u8, entry: u16, target: u32) -> u64 {
    stage as u64 | (entry as u64) << 16 | (target as u64) << 32
}

/// Puts the dropped packet's first bytes into the ring, if its slot has a token left. Returns nothing of use.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn sample(context: *mut Context, packet: *mut Packet, origin: u64) -> u64 {
    // SAFETY: the caller's packet, or null in the verifier's eyes.
    let Some(packet) = (unsafe { packet.as_ref() }) else { return 0 };
    // SAFETY: a helper without arguments.
    let now = unsafe { bpf_ktime_get_ns() };
    if packet.staged != 0 || now >= until() {
        return 0;
    }
    if let Some(slot) = slot(packet, (origin >> 16) as u16, (origin >> 32) as u32) {
        if has_token(slot, now) {
            emit(context, packet, slot, origin as u8, now);
        } else {
            count_stat(packet, Stat::SamplesSuppressed);
        }
    }
    0
}

/// That counted the drop.
#[inline(always)]
fn slot(packet: &Packet, entry: u16, target: u32) -> Option<u32> {
    if entry != u16::MAX {
        Some(ENTRIES.get(entry as u32).slot as u32)
    } else if enabled(features::BALANCER) {
        slot_of_balancer(packet, target).copied()
    } else {
        None
    }
}

#[cfg(not(feature = "tc"))]
#[inline(always)]
fn slot_of_balancer(packet: &Packet, target: u32) -> Option<&'static u32> {
    if target != NO_TARGET { TARGET_SLOTS.get(target) } else { VIP_SLOTS.get(balance::vip(packet)?.slot) }
}

/// There is no balancer.
#[cfg(feature = "tc")]
#[inline(always)]
fn slot_of_balancer(_packet: &Packet, _target: u32) -> Option<&'static u32> {
    None
}

#[inline(always)]
fn has_token(slot: u32, now: u64) -> bool {
    let Some(bucket) = SAMPLE_TOKENS.get_ptr_mut(slot) else { return false };
    // SAFETY: aligned words, which user space writes.
    let (interval, burst) =
        unsafe { (read_volatile(&raw const SAMPLING.interval), read_volatile(&raw const SAMPLING.burst)) };
    // Another CPU that takes at the same time takes for both.
    limit::take::<1>(bucket, burst * UNITS_PER_NS, interval * UNITS_PER_NS, now * UNITS_PER_NS)
}

#[inline(always)]
fn emit(context: *mut Context, packet: &Packet, slot: u32, stage: u8, now: u64) {
    let Some(mut place) = SAMPLES.reserve(0) else {
        count_stat(packet, Stat::SamplesLost);
        return;
    };
    let sample = place.as_mut_ptr();
    // Between 1 and what fits, in a way that the verifier sees too.
    let captured =
        (opaque(packet.length.min(SAMPLE_BYTES as u32) as u64 - 1) as u32 & (SAMPLE_BYTES as u32 - 1)) + 1;
    // SAFETY: the element's bytes are as many as that.
    let bytes = unsafe { (&raw mut (*sample).bytes).cast() };
    let captured = if Frame::new(context).load(0, bytes, captured) { captured } else { 0 };
    macro_rules! set {
        ($($field:ident: $value:expr),*) => {
            // SAFETY: fields of the element, which is ours until it is submitted.
            unsafe { $((&raw mut (*sample).$field).write($value);)* }
        };
    }
    set!(time: now, slot: slot, ingress: packet.ingress, length: packet.length, captured: captured);
    set!(stage: stage as u32, verdict: XDP_DROP);
    place.submit(0);
}

const _: () = assert!(size_of::<Sample>() == 32 + SAMPLE_BYTES && SAMPLE_BYTES.is_power_of_two());
