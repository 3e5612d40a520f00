//! Rate limits: a token bucket for each hash of a packet's key, shared by all CPUs.

use core::intrinsics::{AtomicOrdering, atomic_cxchg};

use aya_ebpf::helpers::generated::{bpf_ktime_get_coarse_ns, bpf_ktime_get_ns};
use sluice_abi::{COST_DIGITS, FullAt, LIMIT_BUCKETS, Limit, LimitKey, UNITS_PER_NS, features, kind};

use crate::constants::{enabled, limit_seed};
use crate::frame::{Context, Frame};
use crate::maps::{LIMITS, REGIONS, TOKENS, TRACE};
use crate::mix::mix;
use crate::packet::Packet;

/// Its offset in the Ethernet header.
const SOURCE_MAC: usize = 6;

const MILLISECOND: u64 = 1_000_000 * UNITS_PER_NS;
/// A bucket that is full within less wants the exact time. The coarse one is cheaper and moves by up to 10 ms, which
/// only a bucket that holds more than that can bear.
const FINE_BELOW: u64 = 50 * MILLISECOND;
/// A bucket that needs longer than its whole burst, and this, was left by another rate: it begins anew. CPUs whose clocks
/// were read in another order than they met here are apart by far less.
const LEFT_OVER: u64 = 1000 * MILLISECOND;
/// Another CPU that was faster has taken from the same bucket; that this happens so often in a row, with a rate that
/// allows it, is beyond chance.
const TRIES: u32 = 4;

/// Reads what the parser leaves alone and a bucket may be of.
#[inline(always)]
pub fn read_key(context: *mut Context, packet: &mut Packet) {
    let Some(mac) = Frame::new(context).read::<[u16; 3]>(SOURCE_MAC) else { return };
    packet.source_mac = (mac[0] as u64) << 32 | (mac[1] as u64) << 16 | mac[2] as u64;
}

/// Takes what the packet costs from its bucket; true if there is too little.
#[inline(always)]
pub fn is_above(packet: &Packet, setting: u16) -> bool {
    if !enabled(features::LIMITS) {
        return false;
    }
    let (Some(limit), Some(region)) = (LIMITS.get(setting as u32), REGIONS.get(setting as u32)) else {
        return false;
    };
    let Some(now) = now(packet, limit) else { return false };
    let index = *region * LIMIT_BUCKETS + bucket(packet, limit);
    match TOKENS.get_ptr_mut(index) {
        Some(bucket) => !take::<TRIES>(bucket, limit.burst, cost(packet, limit), now),
        None => false,
    }
}

/// Takes the cost from a bucket that holds `burst`, all in units; false if there is too little.
#[inline(always)]
pub fn take<const TRIES: u32>(bucket: *mut FullAt, burst: u64, cost: u64, now: u64) -> bool {
    let mut tries = 0;
    while tries < TRIES {
        // SAFETY: an aligned word of the map.
        let full_at = unsafe { bucket.read_volatile() };
        let missing = if full_at > now { full_at - now } else { 0 };
        let missing = if missing > burst + LEFT_OVER { 0 } else { missing };
        if missing + cost > burst {
            return false;
        }
        let next = now + missing + cost;
        // SAFETY: as above.
        let (_, taken) = unsafe {
            atomic_cxchg::<_, { AtomicOrdering::SeqCst }, { AtomicOrdering::SeqCst }>(bucket, full_at, next)
        };
        if taken {
            return true;
        }
        tries += 1;
    }
    false
}

#[inline(always)]
fn cost(packet: &Packet, limit: &Limit) -> u64 {
    let amount = if limit.bytes != 0 { packet.length as u64 } else { 1 };
    amount.wrapping_mul(limit.cost) >> COST_DIGITS
}

/// In units. A test run has the time that it was given, or none.
#[inline(always)]
fn now(packet: &Packet, limit: &Limit) -> Option<u64> {
    let ns = if packet.staged != 0 {
        TRACE.get(0).map(|trace| trace.now).filter(|now| *now != 0)?
    } else if limit.burst < FINE_BELOW {
        // SAFETY: a helper without arguments.
        unsafe { bpf_ktime_get_ns() }
    } else {
        // SAFETY: as above.
        unsafe { bpf_ktime_get_coarse_ns() }
    };
    Some(ns * UNITS_PER_NS)
}

#[inline(always)]
fn bucket(packet: &Packet, limit: &Limit) -> u32 {
    let [high, low] = if limit.key == LimitKey::SourceMac as u32 {
        [0, packet.source_mac]
    } else if limit.key == LimitKey::Destination as u32 {
        packet.destination
    } else {
        packet.source
    };
    let is_v4 = packet.family == kind::FAMILY_V4 && limit.key != LimitKey::SourceMac as u32;
    let [high, low] =
        if is_v4 { [0, low & limit.mask_v4] } else { [high & limit.mask[0], low & limit.mask[1]] };
    (mix(mix(limit_seed(), high), low) >> 32) as u32 % LIMIT_BUCKETS
}
