//! A hash of words.

/// The first multiplier of MurmurHash3's 64-bit finaliser (Appleby, public domain).
const FIRST: u64 = 0xff51_afd7_ed55_8ccd;

/// Adds a word: every bit of it changes about half of the bits of the high half.
#[inline(always)]
pub fn mix(hash: u64, word: u64) -> u64 {
    let mixed = (hash ^ word).wrapping_mul(FIRST);
    mixed ^ mixed >> 32
}
