//! The balancer's tables: VIP -> ring slot -> target -> next hop.

use crate::Address;

/// Key of the VIP table.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct VipKey {
    pub address: Address,
    /// Host byte order.
    pub port: u16,
    /// 6 TCP, 17 UDP.
    pub protocol: u8,
    pub reserved: u8,
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct Vip {
    /// First slot of this VIP's ring in the ring table.
    pub ring: u32,
    /// Slots - 1; the number of slots is a power of two.
    pub mask: u32,
    /// Position of the balancer in the plan.
    pub balancer: u32,
    /// Counter-slot index of this VIP (packets without a backend, or too long for it) in the balancer's slot table.
    pub slot: u32,
}

/// 64-bit words of the set of balancers that apply on an interface.
pub const BALANCER_WORDS: usize = 4;
/// Most balancers in one plan.
pub const MAX_BALANCERS: usize = BALANCER_WORDS * 64;

/// Ring slot of a VIP without any healthy backend.
pub const NO_TARGET: u32 = u32::MAX;

/// One backend of one VIP: ring slots hold its index; so do the next-hop and the counter-slot tables.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct Target {
    /// The backend's address: destination of the outer header.
    pub address: Address,
}

/// How this node reaches a target; filled in by the agent from netlink and updated in place.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct NextHop {
    /// Source of the outer header: this node's address towards the backend.
    pub source: Address,
    pub destination_mac: [u8; 6],
    pub source_mac: [u8; 6],
    pub ifindex: u32,
    /// Largest IP packet in bytes that fits the next hop, outer header included.
    pub mtu: u16,
    /// A [`HopState`] as a number.
    pub state: u8,
    pub reserved: u8,
}

#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HopState {
    Unresolved = 0,
    Resolved = 1,
    /// The backend is this node: packets go up its own stack, not into a tunnel.
    Local = 2,
}

/// Key of the set of tunnels that this node opens as a backend. With an all-zero `balancer` it says that this node is
/// a backend of the VIP at all: a tunnel to it from elsewhere is then refused and counted.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct DecapPeer {
    /// Outer source: a balancer of the plan.
    pub balancer: Address,
    /// Outer destination: this node's address as a backend.
    pub backend: Address,
    /// Inner destination: a VIP that this backend serves.
    pub vip: Address,
}
