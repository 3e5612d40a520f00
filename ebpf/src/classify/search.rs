//! Binary search of the interval that a value lies in.
//!
//! Without branches on the data: the verifier would follow both sides of each of them, 2^17 ways for the largest
//! table, and the processor would guess every second one wrong. The number of steps is a constant of the plan.

use core::arch::asm;

use sluice_abi::{Bound32, Bound64, Bound128, trie};

use crate::constants::dimension;
use crate::table::Table;

/// The row of the last interval that starts at or below `value`.
#[inline(always)]
pub fn search32<const DIMENSION: usize, const TABLE: usize>(
    table: &Table<Bound32, TABLE>,
    value: u32,
) -> u32 {
    let mut low = 0;
    let mut length = dimension::<DIMENSION>().intervals;
    while length > 1 {
        let half = length >> 1;
        let bound = table.get(low + half);
        low += half * starts_at_or_below(bound.start as u64, value as u64);
        length -= half;
    }
    table.get(low).row
}

/// Of an IPv4 address, by its trie if it has one.
#[inline(always)]
pub fn search_v4<const DIMENSION: usize, const TABLE: usize, const TRIE: usize>(
    table: &Table<Bound32, TABLE>,
    trie: &Table<u32, TRIE>,
    address: u32,
) -> u32 {
    if trie.is_absent() {
        return search32::<DIMENSION, TABLE>(table, address);
    }
    let mut found = *trie.get(address >> 16);
    if found & trie::BLOCK != 0 {
        found = *trie.get((found & !trie::BLOCK) + (address >> 8 & 0xff));
        if found & trie::BLOCK != 0 {
            found = *trie.get((found & !trie::BLOCK) + (address & 0xff));
        }
    }
    found
}

/// As [`search32`], for numbers below 2^63.
#[inline(always)]
pub fn search64<const DIMENSION: usize, const TABLE: usize>(
    table: &Table<Bound64, TABLE>,
    value: u64,
) -> u32 {
    let mut low = 0;
    let mut length = dimension::<DIMENSION>().intervals;
    while length > 1 {
        let half = length >> 1;
        let bound = table.get(low + half);
        low += half * starts_at_or_below(bound.start, value);
        length -= half;
    }
    table.get(low).row
}

/// As [`search32`], for the halves of an IPv6 address.
#[inline(always)]
pub fn search128<const DIMENSION: usize, const TABLE: usize>(
    table: &Table<Bound128, TABLE>,
    [high, low]: [u64; 2],
) -> u32 {
    let mut first = 0;
    let mut length = dimension::<DIMENSION>().intervals;
    while length > 1 {
        let half = length >> 1;
        let bound = table.get(first + half);
        let below = borrow(low, bound.low, 0);
        first += half * flag(borrow(high, bound.high, below) ^ 1);
        length -= half;
    }
    table.get(first).row
}

/// 1 if so, else 0; both are below 2^63.
#[inline(always)]
pub fn starts_at_or_below(start: u64, value: u64) -> u32 {
    flag(opaque(value.wrapping_sub(start)) >> 63 ^ 1)
}

/// A factor and no mask: newer verifiers follow a mask of all ones or none both ways.
#[inline(always)]
pub fn flag(bit: u64) -> u32 {
    opaque(bit) as u32
}

/// 1 if `one - other - carried` is below zero (Hacker's Delight, 2-13).
#[inline(always)]
pub fn borrow(one: u64, other: u64, carried: u64) -> u64 {
    let difference = opaque(one.wrapping_sub(other).wrapping_sub(carried));
    opaque(((!one & other) | ((!one | other) & difference)) >> 63)
}

/// Hides where a number comes from, or the compiler makes the arithmetic a branch again.
#[inline(always)]
pub fn opaque(number: u64) -> u64 {
    let mut number = number;
    // SAFETY: no instruction.
    unsafe { asm!("/* {0} */", inout(reg) number, options(pure, nomem, nostack, preserves_flags)) };
    number
}
