//! Fields that few policies ask for. They are read here, where they are looked up, and only those that the plan uses:
//! the parser leaves them alone and no packet pays for them otherwise.
//!
//! A stage of its own, so that the verifier does not walk it once for every way through the parser or the classifier.
//! What it finds is one row, the AND of its dimensions'.

mod link;
mod network;
mod options;
mod payload;
mod sets;

use sluice_abi::{Row, WORDS, dimension::*, features};

use crate::classify::used;
use crate::constants::{enabled, words};
use crate::frame::{Context, Frame};
use crate::maps::{DETAILS, DIRECT, ROWS};
use crate::packet::Packet;

/// Leaves the row in `DETAILS`.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn look_up(context: *mut Context, packet: *mut Packet) -> u32 {
    // SAFETY: the caller's packet, or null in the verifier's eyes.
    let Some(packet) = (unsafe { packet.as_ref() }) else { return 0 };
    // Older kernels verify this function whether it is called or not.
    if !enabled(features::DETAILS) {
        return 0;
    }
    let Some(row) = Details::all() else { return 0 };
    // A table that points nowhere matches nothing.
    if row.fill(Frame::new(context), packet).is_none() {
        row.none();
        return 0;
    }
    1
}

/// This CPU's row while the program runs.
struct Details(*mut Row);

impl Details {
    /// Every entry still matches.
    #[inline(always)]
    fn all() -> Option<Details> {
        let details = Details(DETAILS.get_ptr_mut(0)?);
        details.each(|_, _| u64::MAX);
        Some(details)
    }

    #[inline(always)]
    fn none(&self) {
        self.each(|_, _| 0);
    }

    #[inline(always)]
    fn fill(&self, frame: Frame, packet: &Packet) -> Option<()> {
        link::fill(self, frame, packet);
        network::fill(self, frame, packet);
        options::fill(self, frame, packet);
        payload::fill(self, frame, packet);
        sets::fill(self, packet)?;
        if used::<ESTABLISHED>() {
            self.and(*DIRECT.get(DIRECT_ESTABLISHED + (packet.established & 1)));
        }
        Some(())
    }

    #[inline(always)]
    fn and(&self, index: u32) {
        let row: *const Row = ROWS.get(index);
        // SAFETY: the word is within the row.
        self.each(|word, bits| bits & unsafe { *row.cast::<u64>().add(word) });
    }

    #[inline(always)]
    fn each(&self, change: impl Fn(usize, u64) -> u64) {
        let words = words() as usize;
        let mut word = 0;
        while word < words && word < WORDS {
            // SAFETY: the word is within the row, which is this CPU's own while the program runs.
            unsafe {
                let place = self.0.cast::<u64>().add(word);
                *place = change(word, *place);
            }
            word += 1;
        }
    }
}
