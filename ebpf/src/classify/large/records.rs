//! The records of a leaf, in the order of their entries. Each is compared without branches: which field of which
//! record differs, no processor can guess.

use sluice_abi::{MAX_LEAF, Record, RecordV4, RecordV6, WORDS, features, leaf, record_flags};

use super::{Matched, first};
use crate::classify::search::{borrow, opaque};
use crate::constants::enabled;
use crate::maps::{RECORDS4, RECORDS6};
use crate::packet::{FIELD_LATER, Packet};
use crate::table::Table;

/// The first entry from `from` on, before `best`, with a record in the leaf that matches; or `best`.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn first_v4(packet: *mut Packet, matched: *mut Matched, of: u32, from: u32, best: u64) -> u64 {
    let addresses = |packet: &Packet, found: &RecordV4| {
        outside(packet.source[1] as u32, found.first_source, found.last_source)
            | outside(packet.destination[1] as u32, found.first_destination, found.last_destination)
    };
    first_in(&RECORDS4, |found| &found.record, addresses, packet, matched, Among { of, from, best })
}

/// As [`first_v4`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn first_v6(packet: *mut Packet, matched: *mut Matched, of: u32, from: u32, best: u64) -> u64 {
    let addresses = |packet: &Packet, found: &RecordV6| {
        outside_halves(packet.source, &found.first_source, &found.last_source)
            | outside_halves(packet.destination, &found.first_destination, &found.last_destination)
    };
    first_in(&RECORDS6, |found| &found.record, addresses, packet, matched, Among { of, from, best })
}

/// The leaf, the first entry that counts, and what was found before.
struct Among {
    of: u32,
    from: u32,
    best: u64,
}

/// `addresses` is 1 if those of the packet are not as a record asks.
#[inline(always)]
fn first_in<T: 'static, const TABLE: usize>(
    records: &'static Table<T, TABLE>,
    record: impl Fn(&'static T) -> &'static Record,
    addresses: impl Fn(&Packet, &T) -> u64,
    packet: *mut Packet,
    matched: *mut Matched,
    Among { of, from, best }: Among,
) -> u64 {
    // SAFETY: the caller's, or null in the verifier's eyes.
    let (Some(packet), Some(matched)) = (unsafe { (packet.as_ref(), matched.as_ref()) }) else { return best };
    if !enabled(features::LARGE) {
        return best;
    }
    let (start, count) = (leaf::start(of), leaf::count(of));
    let mut at = 0;
    while at < count && at < MAX_LEAF {
        let found = records.get(start + at);
        let record = record(found);
        let entry = record.entry as u32;
        if entry >= first::entry(best) {
            return best;
        }
        let misses = addresses(packet, found) | others(packet, record);
        if misses == 0 && entry >= from && has_column(matched, record.column as u32) {
            return first::by(record);
        }
        at += 1;
    }
    best
}

/// Whether the packet is as a record's column asks.
#[inline(always)]
fn has_column(matched: &Matched, column: u32) -> bool {
    // SAFETY: within the array.
    let word = unsafe { *matched.as_ptr().add((column / 64) as usize & (WORDS - 1)) };
    word >> (column % 64) & 1 != 0
}

/// 1 if protocol or ports are not as asked for, and nothing excuses that; else 0.
#[inline(always)]
fn others(packet: &Packet, record: &Record) -> u64 {
    const { assert!(record_flags::ANY_PROTOCOL == 1 && record_flags::ANY_SOURCE_PORT == 2) };
    const { assert!(record_flags::ANY_DESTINATION_PORT == 4 && record_flags::LATER == 8) };
    let flags = record.flags as u64;
    let later = (packet.source_port == FIELD_LATER) as u64 & (flags >> 3);
    let protocol = outside(packet.protocol, record.protocol as u32, record.protocol as u32) & !flags;
    let from = outside(packet.source_port, record.first_source_port as u32, record.last_source_port as u32);
    let to = outside(
        packet.destination_port,
        record.first_destination_port as u32,
        record.last_destination_port as u32,
    );
    (protocol | (from & !(flags >> 1 | later)) | (to & !(flags >> 2 | later))) & 1
}

/// 1 if the value is below `first` or above `last`, else 0.
#[inline(always)]
fn outside(value: u32, first: u32, last: u32) -> u64 {
    let (value, first, last) = (value as u64, first as u64, last as u64);
    opaque(value.wrapping_sub(first) | last.wrapping_sub(value)) >> 63
}

#[inline(always)]
fn outside_halves(value: [u64; 2], first: &[u64; 2], last: &[u64; 2]) -> u64 {
    let half = |half: usize| borrow(value[half], first[half], 0) | borrow(last[half], value[half], 0);
    half(0) | half(1)
}
