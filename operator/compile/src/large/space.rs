//! Boxes of intervals, one for each word of a packet.

use sluice_abi::{family, word};

use crate::sweep::Span;

/// What ports that a packet lacks are: beyond every port.
const BEYOND: u64 = u32::MAX as u64;
/// The space of a port outside every slice of a node: of the regions that ask for ports, none but those that take later
/// fragments can match here.
pub const OUTSIDE: Span<u64> = Span { first: BEYOND, last: BEYOND };
/// What such a region has of that space.
const ONLY_LATER: Span<u64> = Span { first: 0, last: 0 };
/// The number of an unknown protocol.
const UNKNOWN_PROTOCOL: u64 = 256;
/// The high half of what an IPv4 address is mapped to is zero; this stands before the address in the low one.
pub const MAPPED: u64 = 0xffff_0000_0000;

pub const ANY_PROTOCOL: Span<u64> = Span { first: 0, last: UNKNOWN_PROTOCOL };
pub const ANY_PORT: Span<u64> = Span { first: 0, last: BEYOND };
const ANY_HALF: Span<u64> = Span { first: 0, last: u64::MAX };

pub type Words = [Span<u64>; word::COUNT];

/// What some records of an entry match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    pub entry: u16,
    /// Bit of its column.
    pub column: u16,
    pub words: Words,
    /// A later fragment, whose ports are in the first one, will do.
    pub later: bool,
    /// Having matched, evaluation does not go on in the filter.
    pub ends: bool,
}

impl Region {
    pub fn covers(&self, word: usize, space: &Words) -> bool {
        self.words[word].first <= space[word].first && self.words[word].last >= space[word].last
    }

    /// Whether packets outside every interval of the word can match.
    pub fn reaches_beyond(&self, word: usize) -> bool {
        self.later && matches!(word, word::SOURCE_PORT | word::DESTINATION_PORT)
    }

    /// The part in `space`. In a space with regions that overlap it, equal parts match the same packets there.
    pub fn part(&self, space: &Words) -> (Words, bool) {
        let mut part = *space;
        for (word, part) in part.iter_mut().enumerate().filter(|(word, _)| !self.covers(*word, space)) {
            let own = self.words[word];
            *part = match *part {
                OUTSIDE => ONLY_LATER,
                whole => Span { first: own.first.max(whole.first), last: own.last.min(whole.last) },
            };
        }
        (part, self.later)
    }

    pub fn fills(&self, space: &Words) -> bool {
        (0..word::COUNT).all(|word| self.covers(word, space))
    }
}

/// Every packet of a family.
pub fn everything(of: usize) -> Words {
    let (high, low) = match of {
        family::V4 => {
            (Span { first: 0, last: 0 }, Span { first: MAPPED, last: MAPPED | u64::from(u32::MAX) })
        }
        _ => (ANY_HALF, ANY_HALF),
    };
    [high, low, high, low, ANY_PROTOCOL, ANY_PORT, ANY_PORT]
}
