//! A few comparisons, one after the other, with their values as constants.

use core::mem::offset_of;
use core::ptr::read_volatile;

use sluice_abi::{Counted, EntryAction, MAX_STRAIGHT, Straight, features, kind, tests};

use super::{DROP, NOBODY, PASS, decision, nothing};
use crate::constants::{enabled, straight};
use crate::count::count;
use crate::packet::{FIELD_LATER, Packet};

/// As `classify`, for packets that are in memory. A function of its own, so that the verifier does not walk it once for
/// every way that leads there.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn classify_among_few(packet: *mut Packet) -> u64 {
    // SAFETY: the caller's packet, or null in the verifier's eyes.
    let Some(packet) = (unsafe { packet.as_ref() }) else { return nothing() };
    if !enabled(features::STRAIGHT) {
        return nothing();
    }
    decide(packet)
}

#[inline(always)]
pub fn decide(packet: &Packet) -> u64 {
    macro_rules! first_of {
        ($($index:literal)*) => { $(
            let entry = straight::<$index>();
            if matches(packet, entry) {
                return decided(packet, entry);
            }
        )* };
    }
    const { assert!(MAX_STRAIGHT == 32) };
    first_of!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31);
    nothing()
}

/// Reads a field of the entry so that the verifier knows its value and the compiler does not.
macro_rules! constant {
    ($entry:expr, $($field:tt)+) => {
        // SAFETY: the entry is one of the constants'.
        unsafe { read_volatile(&raw const (*$entry).$($field)+) }
    };
}

#[inline(always)]
fn matches(packet: &Packet, entry: *const Straight) -> bool {
    let asks = |test: u16| constant!(entry, tests) & test != 0;
    if !asks(tests::APPLIES)
        || (asks(tests::MALFORMED) && packet.malformed == 0)
        || (asks(tests::ESTABLISHED) && packet.established == 0)
        || (asks(tests::FAMILY_V4) && packet.family != kind::FAMILY_V4)
        || (asks(tests::FAMILY_V6) && packet.family != kind::FAMILY_V6)
        || (asks(tests::PROTOCOL) && packet.protocol != constant!(entry, protocol) as u32)
    {
        return false;
    }
    // With the sets as constants: which of them is one instruction.
    if (asks(tests::SOURCE_SETS) && packet.source_sets & constant!(entry, source_sets) == 0)
        || (asks(tests::DESTINATION_SETS)
            && packet.destination_sets & constant!(entry, destination_sets) == 0)
    {
        return false;
    }
    if asks(tests::DESTINATION_PORT) {
        let (first, last) =
            (constant!(entry, destination_ports[0]) as u32, constant!(entry, destination_ports[1]) as u32);
        if !is_between(packet.destination_port, first, last, asks(tests::LATER)) {
            return false;
        }
    }
    if asks(tests::SOURCE_PORT) {
        let (first, last) =
            (constant!(entry, source_ports[0]) as u32, constant!(entry, source_ports[1]) as u32);
        if !is_between(packet.source_port, first, last, asks(tests::LATER)) {
            return false;
        }
    }
    let prefixes = |offset: usize| (entry as usize + offset) as *const Words;
    const { assert!(cfg!(target_endian = "little")) };
    (!asks(tests::SOURCE)
        || is_in(
            packet.source,
            prefixes(offset_of!(Straight, source)),
            prefixes(offset_of!(Straight, source_mask)),
        ))
        && (!asks(tests::DESTINATION)
            || is_in(
                packet.destination,
                prefixes(offset_of!(Straight, destination)),
                prefixes(offset_of!(Straight, destination_mask)),
            ))
}

/// Of an address, from the lowest bits of each half on.
type Words = [u32; 4];

/// Word by word: a number of 32 bits is part of an instruction. All of IPv4 is one word.
#[inline(always)]
fn is_in([high, low]: [u64; 2], prefix: *const Words, mask: *const Words) -> bool {
    let is_same = |word: usize, bits: u32| {
        // SAFETY: the entry is one of the constants'.
        let [prefix, mask] =
            unsafe { [prefix, mask].map(|words| read_volatile(words.cast::<u32>().add(word))) };
        mask == 0 || bits & mask == prefix
    };
    is_same(2, low as u32)
        && is_same(3, (low >> 32) as u32)
        && is_same(0, high as u32)
        && is_same(1, (high >> 32) as u32)
}

/// A port that the packet lacks is above all ports.
#[inline(always)]
fn is_between(port: u32, first: u32, last: u32, later: bool) -> bool {
    (port >= first && port <= last) || (later && port == FIELD_LATER)
}

#[inline(always)]
fn decided(packet: &Packet, entry: *const Straight) -> u64 {
    let drops = constant!(entry, action) == EntryAction::Drop as u8;
    let (verdict, counted) = if drops { (DROP, Counted::Drop) } else { (PASS, Counted::Pass) };
    count(packet, constant!(entry, slot) as u32, counted);
    decision(verdict, constant!(entry, entry) as u32, NOBODY)
}
