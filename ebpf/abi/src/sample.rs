//! Samples of dropped packets, for those who watch: what becomes of a packet is not known by its counter alone.
//!
//! Each counter slot has a bucket of its own, so that a flood that one rule drops does not hide what another one does.

/// Whether drops are sampled and how often, one for all programs of a node. Times are those of CLOCK_MONOTONIC in ns.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct Sampling {
    /// Nobody listens from here on; 0 where nobody does.
    pub until: u64,
    /// Time in which a slot earns a sample.
    pub interval: u64,
    /// Time in which an empty bucket becomes full.
    pub burst: u64,
}

/// Bytes of a packet that a sample holds at most.
pub const SAMPLE_BYTES: usize = 128;

/// One element of the ring.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct Sample {
    pub time: u64,
    /// Counter slot of the rule, the VIP or the backend that counted the drop.
    pub slot: u32,
    /// Index of the interface that the packet came in on.
    pub ingress: u32,
    /// Frame length.
    pub length: u32,
    /// Bytes of it that are here.
    pub captured: u32,
    /// A [`Stage`](crate::Stage) as a number.
    pub stage: u32,
    /// An XDP action.
    pub verdict: u32,
    pub bytes: [u8; SAMPLE_BYTES],
}

/// The ring's size: about 1,500 samples.
pub const SAMPLE_RING: u32 = 256 << 10;
