//! Binary search of the interval that a value lies in.
//!
//! Without branches on the data: the verifier would follow both sides of each of them, 2^17 ways for the largest
//! table, and the processor would guess every second one wrong. The number of steps is a constant of the plan.

use core::arch::asm;

use aya_ebpf::btf_maps::Array;
use sluice_abi::{Bound32, Bound64, Bound128};

use crate::constants::dimension;

/// The row of the last interval that starts at or below `value`.
#[inline(always)]
pub fn search32<const DIMENSION: usize>(table: &Array<Bound32, 1>, value: u32) -> Option<u32> {
    let mut low = 0;
    let mut length = dimension::<DIMENSION>().intervals;
    while length > 1 {
        let half = length >> 1;
        let bound = table.get(low + half)?;
        low += half * starts_at_or_below(bound.start as u64, value as u64);
        length -= half;
    }
    Some(table.get(low)?.row)
}

/// As [`search32`], for numbers below 2^63.
#[inline(always)]
pub fn search64<const DIMENSION: usize>(table: &Array<Bound64, 1>, value: u64) -> Option<u32> {
    let mut low = 0;
    let mut length = dimension::<DIMENSION>().intervals;
    while length > 1 {
        let half = length >> 1;
        let bound = table.get(low + half)?;
        low += half * starts_at_or_below(bound.start, value);
        length -= half;
    }
    Some(table.get(low)?.row)
}

/// As [`search32`], for the halves of an IPv6 address.
#[inline(always)]
pub fn search128<const DIMENSION: usize>(table: &Array<Bound128, 1>, [high, low]: [u64; 2]) -> Option<u32> {
    let mut first = 0;
    let mut length = dimension::<DIMENSION>().intervals;
    while length > 1 {
        let half = length >> 1;
        let bound = table.get(first + half)?;
        let below = borrow(low, bound.low, 0);
        first += half * flag(borrow(high, bound.high, below) ^ 1);
        length -= half;
    }
    Some(table.get(first)?.row)
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
