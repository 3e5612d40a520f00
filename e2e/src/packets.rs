//! Frames that say what the API says of packets: a corpus made by hand, where each has a name, and a generator.

mod build;
mod corpus;
mod failsafe;
mod fragments;
mod ipv4;
mod ipv6;
mod layer4;
mod link;
mod malformed;
mod network;
mod random;
mod services;

pub use build::{Ipv4, Ipv6, ethernet, icmp, tcp, udp};
pub use corpus::{Named, corpus};
pub use random::{Generator, MACS, VLANS, addresses, ports};

/// Addresses that the corpus, the policies and the node of the differential test agree on.
pub mod place {
    use std::net::{Ipv4Addr, Ipv6Addr};

    pub const CLIENT4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
    pub const CLIENT6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 1);
    /// The node's own addresses.
    pub const NODE4: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
    pub const NODE6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
    pub const VIP4: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 10);
    pub const VIP6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xf, 0, 0, 0, 0, 0x10);
    /// A remote endpoint of the control plane.
    pub const PEER4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 250);
    pub const PEER6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 0, 0xfa);
    pub const PEER_PORT: u16 = 6443;
    /// A failsafe port of the node that is not open to everybody, and to whom it is.
    pub const ADMIN_PORT: u16 = 2222;
    pub const ADMINS: [&str; 5] =
        ["198.18.0.0/15", "192.0.2.129/32", "2001:db8:a::/47", "2001:db8:b:0:8000::/65", "2001:db8::77/128"];
}
