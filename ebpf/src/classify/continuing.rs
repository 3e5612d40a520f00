//! Evaluation where a match may not decide: Next leaves the filter, Audit goes on.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::bpf_loop;
use sluice_abi::{Counted, Entry, EntryAction, WORDS, entry_flags};

use super::rows::Rows;
use super::{DROP, NOBODY, PASS, count_entry, decision, effective, lowest, opaque};
use crate::constants::{mask, words};
use crate::maps::ENTRIES;
use crate::packet::Packet;

/// At most 64 filters are left early, 64 rules are in Audit, each of the 16 words ends once, and one entry decides.
const MOST_STEPS: u32 = 64 + 64 + WORDS as u32 + 1;

const GO_ON: i64 = 0;
const STOP: i64 = 1;

#[repr(C)]
struct Walk<'p> {
    rows: &'p Rows,
    packet: &'p Packet,
    /// Entries of this word that match and are still to be looked at.
    bits: u64,
    /// Zero, which the verifier does not know. What begins as a known number it would follow through every value.
    zero: u64,
    word: u64,
    audited: u64,
    verdict: u64,
    entry: u64,
}

#[inline(always)]
pub fn decide(packet: &Packet, rows: &Rows) -> u64 {
    let address = packet.destination[0];
    let zero = opaque(address) ^ address;
    let mut walk = Walk {
        rows,
        packet,
        bits: rows.and(0, mask(0) & !zero),
        zero,
        word: zero & (WORDS as u64 - 1),
        audited: NOBODY | zero,
        verdict: 0,
        entry: NOBODY,
    };
    // SAFETY: the callback's argument is the walk.
    unsafe { bpf_loop(MOST_STEPS, step as *mut c_void, (&raw mut walk).cast(), 0) };
    decision(walk.verdict, walk.entry as u32, walk.audited)
}

/// Looks at one entry, or goes on to the next word.
unsafe extern "C" fn step(_number: u64, walk: *mut Walk<'_>) -> i64 {
    // SAFETY: `decide` passes its walk.
    let walk = unsafe { &mut *walk };
    if walk.bits == 0 {
        return walk.go_to(walk.word as u32 + 1, u64::MAX);
    }
    let index = (walk.word as u32 * 64 + lowest(walk.bits)) & (WORDS as u32 * 64 - 1);
    walk.bits &= walk.bits - 1;
    match ENTRIES.get(index) {
        Some(entry) => walk.look_at(index, entry),
        None => STOP,
    }
}

impl Walk<'_> {
    #[inline(always)]
    fn look_at(&mut self, index: u32, entry: &Entry) -> i64 {
        let action = effective(self.packet, entry);
        let drops = matches!(action, EntryAction::Drop);
        if entry.flags & (entry_flags::AUDIT_RULE | entry_flags::AUDIT_FILTER) != 0 {
            count_entry(self.packet, index, Counted::Audited);
            if drops && self.audited == NOBODY {
                self.audited = index as u64 | self.zero;
            }
            if entry.flags & entry_flags::AUDIT_RULE != 0 { GO_ON } else { self.leave_filter(entry) }
        } else if matches!(action, EntryAction::Next) {
            count_entry(self.packet, index, Counted::Next);
            self.leave_filter(entry)
        } else {
            let (verdict, counted) = if drops { (DROP, Counted::Drop) } else { (PASS, Counted::Pass) };
            count_entry(self.packet, index, counted);
            self.verdict = verdict;
            self.entry = index as u64;
            STOP
        }
    }

    #[inline(always)]
    fn leave_filter(&mut self, entry: &Entry) -> i64 {
        let next = entry.next_filter as u32;
        self.go_to(next / 64, u64::MAX << (next % 64))
    }

    #[inline(always)]
    fn go_to(&mut self, word: u32, remaining: u64) -> i64 {
        if word >= words() || word >= WORDS as u32 {
            return STOP;
        }
        // Says it again: the verifier does not carry a comparison over to every copy of the number.
        let word = opaque(word as u64) as u32 & (WORDS as u32 - 1);
        self.word = word as u64;
        self.bits = self.rows.and(word, mask(word) & remaining & !self.zero);
        GO_ON
    }
}
