//! The row of each dimension that the plan uses.

use core::mem::MaybeUninit;

use sluice_abi::{ABSENT, Row, dimension::*, features, kind};

use super::search::{search_v4, search32, search128};
use crate::constants::{dimension as constants, enabled, mask};
use crate::maps::{
    DESTINATION_TRIE, DETAILS, DIRECT, DPORT, DST4, DST6, ICMP as ICMP_BOUNDS, ROWS, SOURCE_TRIE, SPORT,
    SRC4, SRC6,
};
use crate::packet::{Packet, SPECIAL};

/// Hands on the row of each dimension that the plan uses. `None` if a map is not there.
#[inline(always)]
pub fn each(packet: &Packet, mut add: impl FnMut(*const Row)) -> Option<()> {
    let mut row = |index| add(ROWS.get(index));
    if used::<KIND>() {
        let kind = (packet.family * 5 + packet.fragment) * 2 + packet.malformed;
        row(*DIRECT.get(DIRECT_KIND + kind));
    }
    if used::<PROTOCOL>() {
        row(*DIRECT.get(DIRECT_PROTOCOL + packet.protocol));
    }
    if used::<SOURCE_V4>() {
        row(match packet.family {
            kind::FAMILY_V4 => search_v4::<SOURCE_V4, _, _>(&SRC4, &SOURCE_TRIE, packet.source[1] as u32),
            kind::FAMILY_V6 => search128::<SOURCE_V6, _>(&SRC6, packet.source),
            _ => special::<SOURCE_V4>(ABSENT),
        });
    }
    if used::<DESTINATION_V4>() {
        let address = packet.destination[1] as u32;
        row(match packet.family {
            kind::FAMILY_V4 => search_v4::<DESTINATION_V4, _, _>(&DST4, &DESTINATION_TRIE, address),
            kind::FAMILY_V6 => search128::<DESTINATION_V6, _>(&DST6, packet.destination),
            _ => special::<DESTINATION_V4>(ABSENT),
        });
    }
    if used::<SOURCE_PORT>() {
        row(match packet.source_port {
            field if field & SPECIAL != 0 => special::<SOURCE_PORT>(field & 1),
            port => *SPORT.get(port),
        });
    }
    if used::<DESTINATION_PORT>() {
        row(match packet.destination_port {
            field if field & SPECIAL != 0 => special::<DESTINATION_PORT>(field & 1),
            port => *DPORT.get(port),
        });
    }
    if used::<TCP_FLAGS>() {
        row(match packet.tcp_flags {
            field if field & SPECIAL != 0 => special::<TCP_FLAGS>(field & 1),
            flags => *DIRECT.get(DIRECT_TCP_FLAGS + flags),
        });
    }
    if used::<ICMP>() {
        row(match packet.icmp {
            field if field & SPECIAL != 0 => special::<ICMP>(field & 1),
            icmp => search32::<ICMP, _>(&ICMP_BOUNDS, icmp),
        });
    }
    if enabled(features::DETAILS) {
        add(DETAILS.get_ptr(0)?);
    }
    Some(())
}

/// The AND of the first words of all rows, in registers.
#[inline(always)]
pub fn and<const WORDS: usize>(packet: &Packet) -> Option<[u64; WORDS]> {
    let mut bits = core::array::from_fn(|word| mask(word as u32));
    each(packet, |row| {
        for (word, bits) in bits.iter_mut().enumerate() {
            // SAFETY: the word is within the row.
            *bits &= unsafe { *row.cast::<u64>().add(word) };
        }
    })?;
    Some(bits)
}

/// Dimensions that one packet is looked up in: an address has one family, and the details are one row.
const MOST: usize = FIRST_DETAIL - 2 + 1;

#[repr(C)]
pub struct Rows {
    rows: [MaybeUninit<*const Row>; MOST],
    used: usize,
}

impl Rows {
    /// Sets no more than the number: the rest would be cleared by a loop over its bytes, after which the verifier no
    /// longer knows the number either.
    #[inline(always)]
    pub fn empty(place: &mut MaybeUninit<Rows>) -> &mut Rows {
        let rows = place.as_mut_ptr();
        // SAFETY: the other field may hold anything.
        unsafe {
            (&raw mut (*rows).used).write(0);
            &mut *rows
        }
    }

    /// In place: the verifier loses what it knows of a copied pointer.
    #[inline(always)]
    pub fn fill(&mut self, packet: &Packet) -> Option<()> {
        each(packet, |row| {
            // SAFETY: at most `MOST` dimensions are looked up.
            unsafe { *(&raw mut self.rows).cast::<*const Row>().add(self.used) = row };
            self.used += 1;
        })
    }

    /// The AND of one word of all rows and of `bits`. `word` is below `WORDS`.
    #[inline(always)]
    pub fn and(&self, word: u32, bits: u64) -> u64 {
        let mut bits = bits;
        let mut index = 0;
        while index < self.used {
            // SAFETY: the first `used` rows are set, and the word is within the row.
            bits &= unsafe {
                let row = *(&raw const self.rows).cast::<*const Row>().add(index);
                *row.cast::<u64>().add(word as usize)
            };
            index += 1;
        }
        bits
    }
}

#[inline(always)]
pub fn used<const DIMENSION: usize>() -> bool {
    enabled(features::dimension(DIMENSION))
}

#[inline(always)]
pub fn special<const DIMENSION: usize>(offset: u32) -> u32 {
    constants::<DIMENSION>().special + offset
}
