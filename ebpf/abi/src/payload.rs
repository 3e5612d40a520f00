//! Patterns of bytes that rules look for at fixed places of a packet.
//!
//! Each distinct one of a node is evaluated once per packet and is one bit of a word; four groups of eight bits are each a
//! directly indexed dimension.

/// Most distinct patterns on one node.
pub const MAX_PATTERNS: usize = 32;
/// Most bytes of one pattern.
pub const PATTERN_BYTES: usize = 16;
/// Bits of one of the `dimension::PAYLOADS` dimensions.
pub const PATTERNS_OF_GROUP: usize = 8;

/// Holds where the packet's bytes at the place, masked, are the value. Bytes behind the packet's end hold nothing.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct Pattern {
    /// As the bytes lie in memory, none outside of the mask; those behind `length` are zero in both.
    pub value: [u64; 2],
    pub mask: [u64; 2],
    /// From the start of the layer.
    pub offset: u32,
    /// A [`PatternLayer`] as a number.
    pub layer: u32,
    /// `1..=PATTERN_BYTES`.
    pub length: u32,
    pub reserved: u32,
}

#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatternLayer {
    /// The frame.
    L2 = 0,
    /// Behind the VLAN tags.
    L3 = 1,
    /// Behind the IP header and the extension headers. Unknown in a later fragment, as is the next.
    L4 = 2,
    /// Behind the header of TCP, UDP, UDP-Lite, SCTP, DCCP or ICMP; of other protocols the same as L4.
    Payload = 3,
}
