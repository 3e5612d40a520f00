//! Rate limits: what a rule of action RateLimit lets through, and the state that is kept of it.
//!
//! A rule has a region of buckets; a packet takes from the bucket that the hash of its key (source, destination …) names.
//! The number of buckets never changes, so a flood with forged sources costs no memory and evicts nobody: keys that share
//! a bucket share its rate.

/// Buckets of one rule, a power of two.
pub const LIMIT_BUCKETS: u32 = 4096;
/// Rules that have a region: twice what a node enforces, because a plan's rules and the next one's take at the same time.
pub const LIMIT_REGIONS: u32 = 128;

/// Time is counted in sixteenths of a nanosecond: one of 100 Gbit/s is 12.8 to the byte, and 64 bits hold 36 years.
pub const UNITS_PER_NS: u64 = 16;
/// Binary digits of [`Limit::cost`] below that unit.
pub const COST_DIGITS: u32 = 12;

/// A bucket: when it will be full again, in units of CLOCK_MONOTONIC (the "theoretical arrival time" of the generic cell
/// rate algorithm, ITU-T I.371). One word, so that CPUs share it by compare-and-swap.
pub type FullAt = u64;

#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct Limit {
    /// Time in which a packet or a byte is earned, in units with [`COST_DIGITS`] more.
    pub cost: u64,
    /// Time in which an empty bucket becomes full, in units.
    pub burst: u64,
    /// Bits of an IPv4 key (the low half of its IPv6-mapped form) that tell one bucket from another.
    pub mask_v4: u64,
    /// Bits of any other key. All zero, and so is `mask_v4`: the rule has one bucket.
    pub mask: [u64; 2],
    /// A [`LimitKey`] as a number.
    pub key: u32,
    /// 1: bytes of the frame are counted, as counters do; 0: packets.
    pub bytes: u32,
}

/// What a bucket is of.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitKey {
    Source = 0,
    Destination = 1,
    SourceMac = 2,
}
