//! Counters. Elements are per CPU, so plain additions do.

use sluice_abi::{Counted, STATS, Stat, VERDICTS};

use crate::constants::slots;
use crate::maps::{COUNTERS, STATISTICS};
use crate::packet::Packet;

#[inline(always)]
pub fn count(packet: &Packet, slot: u32, counted: Counted) {
    let base = if packet.staged != 0 { slots() * VERDICTS } else { 0 };
    if let Some(counter) = COUNTERS.get_ptr_mut(base + slots() * counted as u32 + slot) {
        // SAFETY: the element is this CPU's own while the program runs.
        unsafe {
            (*counter).packets += 1;
            (*counter).bytes += packet.length as u64;
        }
    }
}

/// Counts a packet that stays without its mark, and says where.
#[inline(always)]
pub fn count_unmarked(packet: &Packet) {
    count_stat(packet, Stat::Unmarked);
    if let Some(place) = STATISTICS.get_ptr_mut(packet.staged * STATS + Stat::UnmarkedAt as u32) {
        // SAFETY: the element is this CPU's own while the program runs.
        unsafe { *place = packet.ingress as u64 };
    }
}

#[inline(always)]
pub fn count_stat(packet: &Packet, stat: Stat) {
    if let Some(counter) = STATISTICS.get_ptr_mut(packet.staged * STATS + stat as u32) {
        // SAFETY: the element is this CPU's own while the program runs.
        unsafe { *counter += 1 };
    }
}
