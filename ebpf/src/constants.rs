//! Access to the constants that the loader sets. Each read is volatile, or the compiler would fold the placeholder in;
//! to the verifier the values are known, so it removes the code behind a test that fails.

use core::ptr::read_volatile;

use sluice_abi::{
    BALANCER_WORDS, Config, Dimension, FailsafePort, FailsafeSource, MAX_FAILSAFE_PORTS,
    MAX_FAILSAFE_SOURCES, MAX_SETS, MAX_STRAIGHT, Straight, TREES, WORDS, dimension, failsafe_bit, family,
    table,
};

use crate::classify::opaque;
use crate::maps::CONFIG;

/// Where the constants lie, hidden from the compiler.
#[inline(always)]
fn config() -> *const Config {
    (&raw const CONFIG).cast()
}

/// Of a constant: the compiler then reads the half that its bit is in, and one instruction tests it.
#[inline(always)]
pub fn enabled(feature: u64) -> bool {
    const { assert!(cfg!(target_endian = "little")) };
    let (half, bit) = if feature >> 32 == 0 { (0, feature as u32) } else { (1, (feature >> 32) as u32) };
    // SAFETY: `CONFIG` holds a `Config`, whose features are two halves.
    (unsafe { read_volatile((&raw const (*config()).features).cast::<u32>().add(half)) }) & bit != 0
}

/// As [`enabled`], of any of these constants.
#[inline(always)]
pub fn enabled_any(wanted: u64) -> bool {
    // SAFETY: as above.
    (unsafe { read_volatile(&raw const (*config()).features) }) & wanted != 0
}

#[inline(always)]
pub fn words() -> u32 {
    // SAFETY: as above.
    unsafe { read_volatile(&raw const (*config()).words) }
}

/// Words of a row whose bits are entries.
#[inline(always)]
pub fn wide_words() -> u32 {
    // SAFETY: as above.
    unsafe { read_volatile(&raw const (*config()).wide_words) }
}

/// Root of a tree of a family.
#[inline(always)]
pub fn root(family: u32, tree: usize) -> u32 {
    const ROOTS: usize = family::COUNT * TREES;
    const { assert!(ROOTS.is_power_of_two()) };
    // A mask where there could be a test: the verifier does not carry it over to every copy of the number.
    let index = opaque(family as u64 * TREES as u64 + tree as u64) as usize & (ROOTS - 1);
    // SAFETY: the index is within the array.
    unsafe { read_volatile((&raw const (*config()).roots).cast::<u32>().add(index)) }
}

#[inline(always)]
pub fn dimension<const INDEX: usize>() -> Dimension {
    const { assert!(INDEX < dimension::COUNT) };
    // SAFETY: the index is within the array.
    unsafe { read_volatile((&raw const (*config()).dimensions).cast::<Dimension>().add(INDEX)) }
}

/// Entries of this interface; all zero behind the last word.
#[inline(always)]
pub fn mask(word: u32) -> u64 {
    if word as usize >= WORDS {
        return 0;
    }
    // SAFETY: the index is within the array.
    unsafe { read_volatile((&raw const (*config()).mask).cast::<u64>().add(word as usize)) }
}

/// Whether a balancer of the plan balances on this interface.
#[inline(always)]
pub fn balances(balancer: u32) -> bool {
    let word = balancer as usize / 64;
    if word >= BALANCER_WORDS {
        return false;
    }
    // SAFETY: the index is within the array.
    let bits = unsafe { read_volatile((&raw const (*config()).balancers).cast::<u64>().add(word)) };
    bits >> (balancer % 64) & 1 != 0
}

#[inline(always)]
pub fn failsafe_port(index: usize) -> FailsafePort {
    if index >= MAX_FAILSAFE_PORTS {
        return FailsafePort { port: 0, protocol: 0, reserved: 0 };
    }
    // SAFETY: the index is within the array.
    unsafe { read_volatile((&raw const (*config()).failsafe_ports).cast::<FailsafePort>().add(index)) }
}

#[inline(always)]
pub fn failsafe_source(index: usize) -> FailsafeSource {
    if index >= MAX_FAILSAFE_SOURCES {
        return FailsafeSource { address: [0; 2], mask: [0; 2], family: 0, ports: 0 };
    }
    // SAFETY: the index is within the array.
    unsafe { read_volatile((&raw const (*config()).failsafe_sources).cast::<FailsafeSource>().add(index)) }
}

/// Bits of the ports that are reached from everywhere.
#[inline(always)]
pub fn failsafe_open() -> u32 {
    // SAFETY: `CONFIG` holds a `Config`.
    unsafe { read_volatile(&raw const (*config()).failsafe_open) }
}

/// Whether failsafe looks at packets to this port at all.
#[inline(always)]
pub fn may_be_kept(port: u32) -> bool {
    // SAFETY: `CONFIG` holds a `Config`.
    (unsafe { read_volatile(&raw const (*config()).failsafe_filter) }) & failsafe_bit(port) != 0
}

#[inline(always)]
pub fn straight<const INDEX: usize>() -> *const Straight {
    const { assert!(INDEX < MAX_STRAIGHT) };
    // SAFETY: the index is within the array.
    unsafe { (&raw const (*config()).straight).cast::<Straight>().add(INDEX) }
}

/// Packets per second and burst.
#[inline(always)]
pub fn failsafe_rate() -> (u32, u32) {
    // SAFETY: `CONFIG` holds a `Config`.
    unsafe {
        (
            read_volatile(&raw const (*config()).failsafe_rate),
            read_volatile(&raw const (*config()).failsafe_burst),
        )
    }
}

#[inline(always)]
pub fn limit_seed() -> u64 {
    // SAFETY: `CONFIG` holds a `Config`.
    unsafe { read_volatile(&raw const (*config()).limit_seed) }
}

/// Place of a set of the plan.
#[inline(always)]
pub fn set_place(set: u32) -> u32 {
    const { assert!(MAX_SETS.is_power_of_two()) };
    let index = set as usize & (MAX_SETS - 1);
    // SAFETY: the index is within the array.
    unsafe { read_volatile((&raw const (*config()).set_places).cast::<u32>().add(index)) }
}

/// Last index of a table.
#[inline(always)]
pub fn last<const TABLE: usize>() -> u32 {
    const { assert!(TABLE < table::COUNT) };
    // SAFETY: the index is within the array.
    unsafe { read_volatile((&raw const (*config()).last).cast::<u32>().add(TABLE)) }
}

/// Slots of the counters.
#[inline(always)]
pub fn slots() -> u32 {
    // SAFETY: `CONFIG` holds a `Config`.
    unsafe { read_volatile(&raw const (*config()).slots) }
}
