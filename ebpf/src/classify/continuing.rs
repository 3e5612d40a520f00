//! Evaluation where a match may not decide: Next leaves the filter, the others and Audit go on.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::bpf_loop;
use sluice_abi::{Counted, Entry, EntryAction, Mark, WORDS, entry_flags, features};

use super::large::{Found, first};
use super::limit;
use super::rows::Rows;
use super::{DROP, NOBODY, PASS, decision, effective, lowest, opaque};
use crate::constants::{enabled, mask, words};
use crate::count::count;
use crate::maps::{ENTRIES, MARKS};
use crate::packet::Packet;

/// At most 64 filters are left early, 64 rules go on, each of the 16 words ends once, and one entry decides.
const MOST_STEPS: u32 = 64 + 64 + WORDS as u32 + 1;

const GO_ON: i64 = 0;
const STOP: i64 = 1;

/// What has come of the packet so far. In few words: the stack is short.
#[repr(C)]
struct Fate {
    packet: *mut Packet,
    /// The first audited entry that would have dropped.
    audited: u64,
    /// Verdict and entry, as [`decision`] has them.
    decided: u64,
}

#[repr(C)]
struct Walk<'p> {
    fate: Fate,
    rows: &'p Rows,
    /// Entries of this word that match and are still to be looked at.
    bits: u64,
    word: u64,
}

#[repr(C)]
struct Search<'p> {
    fate: Fate,
    found: &'p mut Found,
    from: u64,
}

#[inline(always)]
pub fn decide(packet: *mut Packet, rows: &Rows) -> u64 {
    let fate = Fate::open(packet);
    let zero = fate.zero();
    let mut walk = Walk { fate, rows, bits: rows.and(0, mask(0) & !zero), word: zero & (WORDS as u64 - 1) };
    // SAFETY: the callback's argument is the walk.
    unsafe { bpf_loop(MOST_STEPS, step as *mut c_void, (&raw mut walk).cast(), 0) };
    walk.fate.decision()
}

#[inline(always)]
pub fn decide_among_many(packet: *mut Packet, found: &mut Found) -> u64 {
    let fate = Fate::open(packet);
    let from = fate.zero();
    let mut search = Search { fate, found, from };
    // SAFETY: the callback's argument is the search.
    unsafe { bpf_loop(MOST_STEPS, step_among_many as *mut c_void, (&raw mut search).cast(), 0) };
    search.fate.decision()
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
    let entry = ENTRIES.get(index);
    match walk.fate.look_at(index, entry) {
        Then::NextEntry => GO_ON,
        Then::NextFilter => {
            let next = entry.next_filter as u32;
            walk.go_to(next / 64, u64::MAX << (next % 64))
        }
        Then::Nothing => STOP,
    }
}

/// Looks at one entry.
unsafe extern "C" fn step_among_many(_number: u64, search: *mut Search<'_>) -> i64 {
    // SAFETY: `decide_among_many` passes its search.
    let search = unsafe { &mut *search };
    let index = first::entry(search.found.first(search.fate.packet, search.from as u32));
    if index == first::NONE as u32 {
        return STOP;
    }
    let entry = ENTRIES.get(index);
    search.from = match search.fate.look_at(index, entry) {
        Then::NextEntry => index as u64 + 1,
        Then::NextFilter => entry.next_filter as u64,
        Then::Nothing => return STOP,
    };
    GO_ON
}

/// Where evaluation goes on.
enum Then {
    NextEntry,
    NextFilter,
    Nothing,
}

impl Fate {
    #[inline(always)]
    fn open(packet: *mut Packet) -> Fate {
        let mut fate = Fate { packet, audited: NOBODY, decided: decision(0, NOBODY as u32, 0) };
        fate.audited |= fate.zero();
        fate
    }

    #[inline(always)]
    fn packet(&self) -> &Packet {
        // SAFETY: the caller's packet.
        unsafe { &*self.packet }
    }

    /// Zero, which the verifier does not know. What begins as a known number it would follow through every value.
    #[inline(always)]
    fn zero(&self) -> u64 {
        let address = self.packet().destination[0];
        opaque(address) ^ address
    }

    #[inline(always)]
    fn decision(&self) -> u64 {
        self.decided | self.audited << 32
    }

    #[inline(always)]
    fn look_at(&mut self, index: u32, entry: &Entry) -> Then {
        let action = effective(self.packet(), entry);
        let limits = matches!(action, EntryAction::RateLimit);
        let is_above = limits && limit::is_above(self.packet(), entry.setting);
        let drops = is_above || matches!(action, EntryAction::Drop);
        let marks = matches!(action, EntryAction::Mark);
        let goes_on = marks || matches!(action, EntryAction::Count) || (limits && !is_above);
        if entry.flags & (entry_flags::AUDIT_RULE | entry_flags::AUDIT_FILTER) != 0 {
            // Within the rate it does in Audit what it does otherwise.
            let counted = if limits && !is_above { Counted::Continue } else { Counted::Audited };
            count(self.packet(), entry.slot as u32, counted);
            if drops && self.audited == NOBODY {
                self.audited = index as u64 | self.zero();
            }
            let stays = goes_on || entry.flags & entry_flags::AUDIT_RULE != 0;
            if stays { Then::NextEntry } else { Then::NextFilter }
        } else if goes_on {
            if marks {
                self.mark(entry.setting);
            }
            count(self.packet(), entry.slot as u32, Counted::Continue);
            Then::NextEntry
        } else if matches!(action, EntryAction::Next) {
            count(self.packet(), entry.slot as u32, Counted::Next);
            Then::NextFilter
        } else {
            let (verdict, counted) = if drops { (DROP, Counted::Drop) } else { (PASS, Counted::Pass) };
            count(self.packet(), entry.slot as u32, counted);
            self.decided = decision(verdict, index, 0);
            Then::Nothing
        }
    }

    #[inline(always)]
    fn mark(&mut self, setting: u16) {
        if enabled(features::MARKS)
            && let Some(Mark { value, mask }) = MARKS.get(setting as u32)
        {
            // SAFETY: the caller's packet.
            let packet = unsafe { &mut *self.packet };
            packet.mark = (packet.mark & !mask) | value;
            packet.mark_mask |= mask;
        }
    }
}

impl Walk<'_> {
    #[inline(always)]
    fn go_to(&mut self, word: u32, remaining: u64) -> i64 {
        if word >= words() || word >= WORDS as u32 {
            return STOP;
        }
        // Says it again: the verifier does not carry a comparison over to every copy of the number.
        let word = opaque(word as u64) as u32 & (WORDS as u32 - 1);
        self.word = word as u64;
        self.bits = self.rows.and(word, mask(word) & remaining & !self.fate.zero());
        GO_ON
    }
}
