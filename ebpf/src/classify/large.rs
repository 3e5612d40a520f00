//! First match among more entries than a row has bits: the wide bits of the rows, and one leaf of each tree. See
//! `ebpf/abi/src/large.rs`.
//!
//! Each step is a function that the verifier checks on its own, or it would follow each record of each leaf through all
//! that comes after it.

mod descend;
mod records;

use core::mem::MaybeUninit;

use sluice_abi::{Counted, TREES, WORDS, features, kind, leaf};

use super::rows::{self, Rows};
use super::{DROP, NOBODY, PASS, continuing, decide, decision, lowest, nothing};
use crate::constants::{enabled, mask, root, wide_words, words};
use crate::count::count;
use crate::maps::{BITS, FOUND, RANKS};
use crate::packet::Packet;
use descend::descend;
use records::{first_v4, first_v6};

/// An entry that matches first, and its record if it has one.
pub mod first {
    use sluice_abi::{Record, record_flags};

    use crate::packet::Packet;

    /// No entry: behind all of them.
    pub const NONE: u64 = u16::MAX as u64;
    const RECORD: u64 = 1 << 40;

    #[inline(always)]
    pub fn by(record: &Record) -> u64 {
        record.entry as u64 | (record.slot as u64) << 16 | (record.flags as u64) << 32 | RECORD
    }

    #[inline(always)]
    pub fn entry(first: u64) -> u32 {
        (first & 0xffff) as u32
    }

    #[inline(always)]
    pub fn has_record(first: u64) -> bool {
        first & RECORD != 0
    }

    #[inline(always)]
    pub fn slot(first: u64) -> u32 {
        (first >> 16 & 0xffff) as u32
    }

    #[inline(always)]
    pub fn drops(first: u64, packet: &Packet) -> bool {
        let later = if packet.is_later() { record_flags::DROPS_LATER } else { 0 };
        first >> 32 & (record_flags::DROPS | later) as u64 != 0
    }
}

/// Bits of the rows that match, columns included.
pub type Matched = [u64; WORDS];

/// What is looked up once for a packet, wherever evaluation goes on. Each CPU has one, because the stack is short.
#[repr(C)]
pub struct Found {
    matched: Matched,
    leaves: [u32; TREES],
}

/// As [`super::classify`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn classify_among_many(packet: *mut Packet) -> u64 {
    // SAFETY: the caller's packet, or null in the verifier's eyes.
    let Some(packet) = (unsafe { packet.as_mut() }) else { return nothing() };
    if !enabled(features::LARGE) {
        return nothing();
    }
    let Some(found) = FOUND.get_ptr_mut(0) else { return nothing() };
    // SAFETY: this CPU's own while the program runs.
    let found = unsafe { &mut *found };
    found.leaves = [leaf::EMPTY; TREES];
    if match_bits(packet, &mut found.matched) == 0 {
        return nothing();
    }
    if packet.family != kind::FAMILY_NONE {
        found.descend(packet);
    }
    if enabled(features::CONTINUING) {
        return continuing::decide_among_many(packet, found);
    }
    let first = found.first(packet, 0);
    decide_first(packet, first)
}

/// As [`decide`]; a record says what to do itself.
#[inline(always)]
fn decide_first(packet: &Packet, first: u64) -> u64 {
    if !first::has_record(first) {
        return if first == first::NONE { nothing() } else { decide(packet, first::entry(first)) };
    }
    let (verdict, counted) =
        if first::drops(first, packet) { (DROP, Counted::Drop) } else { (PASS, Counted::Pass) };
    count(packet, first::slot(first), counted);
    decision(verdict, first::entry(first), NOBODY)
}

/// Sets the words in use; 0 if a table points nowhere.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn match_bits(packet: *mut Packet, matched: *mut Matched) -> u64 {
    // SAFETY: the caller's, or null in the verifier's eyes.
    let (Some(packet), Some(matched)) = (unsafe { (packet.as_ref(), matched.as_mut()) }) else { return 0 };
    if !enabled(features::LARGE) {
        return 0;
    }
    let done = match words() {
        1 => put::<1>(packet, matched),
        2 => put::<2>(packet, matched),
        3 | 4 => put::<4>(packet, matched),
        _ => put_all(packet, matched),
    };
    done.is_some() as u64
}

#[inline(always)]
fn put<const COUNT: usize>(packet: &Packet, matched: &mut Matched) -> Option<()> {
    let words = rows::and::<COUNT>(packet)?;
    matched.iter_mut().zip(words).for_each(|(word, bits)| *word = bits);
    Some(())
}

#[inline(always)]
fn put_all(packet: &Packet, matched: &mut Matched) -> Option<()> {
    let mut place = MaybeUninit::uninit();
    let rows = Rows::empty(&mut place);
    rows.fill(packet)?;
    let mut word = 0;
    while word < words() && word < WORDS as u32 {
        // SAFETY: within the array.
        unsafe { *matched.as_mut_ptr().add(word as usize) = rows.and(word, mask(word)) };
        word += 1;
    }
    Some(())
}

impl Found {
    #[inline(always)]
    fn descend(&mut self, packet: &mut Packet) {
        let mut tree = 0;
        while tree < TREES {
            let root = root(packet.family - kind::FAMILY_V4, tree);
            if root == leaf::EMPTY {
                return;
            }
            // SAFETY: within the array.
            unsafe { *self.leaves.as_mut_ptr().add(tree) = descend(packet, root) };
            tree += 1;
        }
    }

    /// The [`first`] entry from `from` on that matches.
    #[inline(always)]
    pub fn first(&mut self, packet: *mut Packet, from: u32) -> u64 {
        let mut best = self.wide(from);
        let mut tree = 0;
        while tree < TREES {
            // SAFETY: within the array.
            let leaf = unsafe { *self.leaves.as_ptr().add(tree) };
            if leaf != leaf::EMPTY {
                // SAFETY: the caller's packet.
                best = match unsafe { (*packet).family } {
                    kind::FAMILY_V4 => first_v4(packet, &mut self.matched, leaf, from, best),
                    _ => first_v6(packet, &mut self.matched, leaf, from, best),
                };
            }
            tree += 1;
        }
        best
    }

    #[inline(always)]
    fn wide(&self, from: u32) -> u64 {
        let rank = match from {
            0 => 0,
            from => *RANKS.get(from),
        };
        let mut word = 0;
        while word < wide_words() && word < WORDS as u32 {
            // SAFETY: within the array.
            let bits = unsafe { *self.matched.as_ptr().add(word as usize) } & from_rank(rank, word);
            if bits != 0 {
                return BITS.get(word * 64 + lowest(bits)).entry as u64;
            }
            word += 1;
        }
        first::NONE
    }
}

/// The bits of a word that are not below the rank.
#[inline(always)]
fn from_rank(rank: u32, word: u32) -> u64 {
    let first = word * 64;
    if rank <= first {
        u64::MAX
    } else if rank >= first + 64 {
        0
    } else {
        u64::MAX << (rank - first)
    }
}
