//! Failsafe: traffic that no rule can cut, known by this node's addresses and by exact remote endpoints.

use crate::Address;

pub const MAX_FAILSAFE_PORTS: usize = 8;
/// Of all ports together.
pub const MAX_FAILSAFE_SOURCES: usize = 32;
/// Hashed token buckets, one per source. The map has twice as many: the second half is for test runs.
pub const FAILSAFE_BUCKETS: u32 = 4096;

/// The token buckets of the sources that share a hash value.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct Bucket {
    /// When the bucket will be full again, in ns of CLOCK_MONOTONIC (the "theoretical arrival time" of the
    /// generic cell rate algorithm, ITU-T I.371): one word, so that CPUs can share it by compare-and-swap.
    pub full_at: u64,
}

/// A local port that stays reachable at this node's own addresses.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct FailsafePort {
    /// Host byte order; 0 = unused.
    pub port: u16,
    /// 6 TCP, 17 UDP.
    pub protocol: u8,
    pub reserved: u8,
}

/// Sources from which a port stays reachable, where not all of them do.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct FailsafeSource {
    /// High and low half in host order; IPv4 as `::ffff:a.b.c.d`.
    pub address: [u64; 2],
    pub mask: [u64; 2],
    /// One of `kind::FAMILY_*`.
    pub family: u32,
    /// The bit of one of the failsafe ports, by its index; 0 = unused.
    pub ports: u32,
}

/// Ports that failsafe looks at whatever the fleet's configuration: DHCP, DHCPv6 (RFC 8415), BFD (RFC 5881).
pub const PROTOCOL_PORTS: [u16; 5] = [67, 68, 546, 547, 3784];

/// The bit of a port in [`crate::Config::failsafe_filter`] (destination ports) and in the map `PEER_PORTS` (source ports of
/// control peers): a port whose bit is clear is none that failsafe looks at.
#[inline(always)]
pub const fn failsafe_bit(port: u32) -> u64 {
    1 << (port & 63)
}

/// Most elements of the set of node addresses, and of that of control peers.
pub const MAX_NODE_SET: u32 = 1024;

/// Key of the set of this node's own addresses that are no VIP.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct NodeAddress {
    pub address: Address,
}

/// Key of the set of remote control-plane endpoints (operator, API server, configured BGP peers).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct ControlPeer {
    pub address: Address,
    /// The remote's TCP port, host byte order.
    pub port: u16,
    pub reserved: [u8; 2],
}
