//! First match over the flattened entries of all filters: one row of bits per dimension, their AND, the lowest bit.

mod continuing;
mod large;
pub mod limit;
mod rows;
mod search;
pub mod straight;

use core::mem::MaybeUninit;

use sluice_abi::{Counted, Entry, EntryAction, entry_flags, features};

use crate::constants::{enabled, mask, words};
use crate::count::count;
use crate::maps::ENTRIES;
use crate::packet::Packet;
use rows::Rows;

pub use large::{Found, classify_among_many};
pub use rows::{special, used};
pub use search::{borrow, flag, opaque, search32, search64, starts_at_or_below};
pub use straight::classify_among_few;

const PASS: u64 = 1;
const DROP: u64 = 2;
const NOBODY: u64 = u16::MAX as u64;

/// Returns verdict, deciding entry and first audited entry; see [`drops`], [`decided_by`], [`audited`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn classify(packet: *mut Packet) -> u64 {
    // SAFETY: the caller's packet, or null in the verifier's eyes.
    let Some(packet) = (unsafe { packet.as_mut() }) else { return nothing() };
    // Older kernels verify this function whether it is called or not.
    if !enabled(features::ENTRIES) {
        return nothing();
    }
    let mut place = MaybeUninit::uninit();
    let rows = Rows::empty(&mut place);
    if rows.fill(packet).is_none() {
        return nothing();
    }
    if enabled(features::CONTINUING) {
        return continuing::decide(packet, rows);
    }
    match first(rows) {
        Some(index) => decide(packet, index),
        None => nothing(),
    }
}

/// As [`classify`], of few entries that decide and do not go on: what matches stays in registers.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn classify_by_words(packet: *mut Packet) -> u64 {
    // SAFETY: the caller's packet, or null in the verifier's eyes.
    let Some(packet) = (unsafe { packet.as_ref() }) else { return nothing() };
    if !enabled(features::ENTRIES) {
        return nothing();
    }
    let first = match words() {
        1 => first_of::<1>(packet),
        2 => first_of::<2>(packet),
        _ => first_of::<MOST_WORDS>(packet),
    };
    first.map_or(nothing(), |index| decide(packet, index))
}

/// Of [`classify_by_words`].
const MOST_WORDS: usize = 4;

#[inline(always)]
fn first_of<const COUNT: usize>(packet: &Packet) -> Option<u32> {
    let words = rows::and::<COUNT>(packet)?;
    let mut found = words.into_iter().enumerate().filter(|(_, bits)| *bits != 0);
    found.next().map(|(word, bits)| word as u32 * 64 + lowest(bits))
}

/// Whether [`classify_by_words`] is the one.
#[inline(always)]
pub fn has_few_words() -> bool {
    !enabled(features::CONTINUING) && words() <= MOST_WORDS as u32
}

#[inline(always)]
pub fn drops(decision: u64) -> bool {
    decision & 0xffff == DROP
}

/// Entry that decided, or `u16::MAX`.
#[inline(always)]
pub fn decided_by(decision: u64) -> u16 {
    (decision >> 16) as u16
}

/// First audited entry that would have dropped, or `u16::MAX`.
#[inline(always)]
pub fn audited(decision: u64) -> u16 {
    (decision >> 32) as u16
}

#[inline(always)]
fn nothing() -> u64 {
    NOBODY << 16 | NOBODY << 32
}

#[inline(always)]
fn decision(verdict: u64, entry: u32, audited: u64) -> u64 {
    verdict | (entry as u64) << 16 | audited << 32
}

/// The first entry that all rows have.
#[inline(always)]
fn first(rows: &Rows) -> Option<u32> {
    let words = words();
    let mut word = 0;
    while word < words {
        let bits = rows.and(word, mask(word));
        if bits != 0 {
            return Some(word * 64 + lowest(bits));
        }
        word += 1;
    }
    None
}

/// Where no entry continues, the first match decides.
#[inline(always)]
fn decide(packet: &Packet, index: u32) -> u64 {
    let entry = ENTRIES.get(index);
    let (verdict, counted) = match effective(packet, entry) {
        EntryAction::Drop => (DROP, Counted::Drop),
        _ => (PASS, Counted::Pass),
    };
    count(packet, entry.slot as u32, counted);
    decision(verdict, index, NOBODY)
}

#[inline(always)]
fn effective(packet: &Packet, entry: &Entry) -> EntryAction {
    if entry.action == EntryAction::Drop as u8
        || (entry.flags & entry_flags::DROP_LATER != 0 && packet.is_later())
    {
        EntryAction::Drop
    } else if entry.action == EntryAction::Pass as u8 {
        EntryAction::Pass
    } else if entry.action == EntryAction::Count as u8 {
        EntryAction::Count
    } else if entry.action == EntryAction::RateLimit as u8 {
        EntryAction::RateLimit
    } else if entry.action == EntryAction::Mark as u8 {
        EntryAction::Mark
    } else {
        EntryAction::Next
    }
}

/// Index of the lowest set bit, without a branch: the number of ones below it. The compiler must not see what is
/// counted, or it looks the index up in a table, and the verifier then follows every value that the bits can have.
#[inline(always)]
pub fn lowest(bits: u64) -> u32 {
    let below = opaque(!bits & bits.wrapping_sub(1));
    let pairs = below - (below >> 1 & 0x5555_5555_5555_5555);
    let nibbles = (pairs & 0x3333_3333_3333_3333) + (pairs >> 2 & 0x3333_3333_3333_3333);
    let bytes = (nibbles + (nibbles >> 4)) & 0x0f0f_0f0f_0f0f_0f0f;
    (bytes.wrapping_mul(0x0101_0101_0101_0101) >> 56) as u32 & 63
}
