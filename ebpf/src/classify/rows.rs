//! The row of each dimension that the plan uses.

use core::mem::MaybeUninit;

use sluice_abi::{ABSENT, Row, dimension::*, features, kind};

use super::search::{search32, search128};
use crate::constants::{dimension as constants, enabled};
use crate::maps::{DETAILS, DIRECT, DPORT, DST4, DST6, ICMP as ICMP_BOUNDS, ROWS, SPORT, SRC4, SRC6};
use crate::packet::{Packet, SPECIAL};

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

    /// `None` if a table points nowhere. In place: the verifier loses what it knows of a copied pointer.
    #[inline(always)]
    pub fn fill(&mut self, packet: &Packet) -> Option<()> {
        if used::<KIND>() {
            let kind = (packet.family * 5 + packet.fragment) * 2 + packet.malformed;
            self.add(*DIRECT.get(DIRECT_KIND + kind)?)?;
        }
        if used::<PROTOCOL>() {
            self.add(*DIRECT.get(DIRECT_PROTOCOL + packet.protocol)?)?;
        }
        if used::<SOURCE_V4>() {
            self.add(match packet.family {
                kind::FAMILY_V4 => search32::<SOURCE_V4>(&SRC4, packet.source[1] as u32)?,
                kind::FAMILY_V6 => search128::<SOURCE_V6>(&SRC6, packet.source)?,
                _ => special::<SOURCE_V4>(ABSENT),
            })?;
        }
        if used::<DESTINATION_V4>() {
            self.add(match packet.family {
                kind::FAMILY_V4 => search32::<DESTINATION_V4>(&DST4, packet.destination[1] as u32)?,
                kind::FAMILY_V6 => search128::<DESTINATION_V6>(&DST6, packet.destination)?,
                _ => special::<DESTINATION_V4>(ABSENT),
            })?;
        }
        if used::<SOURCE_PORT>() {
            self.add(match packet.source_port {
                field if field & SPECIAL != 0 => special::<SOURCE_PORT>(field & 1),
                port => search32::<SOURCE_PORT>(&SPORT, port)?,
            })?;
        }
        if used::<DESTINATION_PORT>() {
            self.add(match packet.destination_port {
                field if field & SPECIAL != 0 => special::<DESTINATION_PORT>(field & 1),
                port => search32::<DESTINATION_PORT>(&DPORT, port)?,
            })?;
        }
        if used::<TCP_FLAGS>() {
            self.add(match packet.tcp_flags {
                field if field & SPECIAL != 0 => special::<TCP_FLAGS>(field & 1),
                flags => *DIRECT.get(DIRECT_TCP_FLAGS + flags)?,
            })?;
        }
        if used::<ICMP>() {
            self.add(match packet.icmp {
                field if field & SPECIAL != 0 => special::<ICMP>(field & 1),
                icmp => search32::<ICMP>(&ICMP_BOUNDS, icmp)?,
            })?;
        }
        if enabled(features::DETAILS) {
            self.add_row(DETAILS.get_ptr(0)?);
        }
        Some(())
    }

    #[inline(always)]
    fn add(&mut self, index: u32) -> Option<()> {
        self.add_row(ROWS.get(index)?);
        Some(())
    }

    #[inline(always)]
    fn add_row(&mut self, row: *const Row) {
        // SAFETY: at most `MOST` dimensions are looked up.
        unsafe { *(&raw mut self.rows).cast::<*const Row>().add(self.used) = row };
        self.used += 1;
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
