//! A packet as its parsed features.

use std::net::IpAddr;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Packet {
    /// Source and destination; `None` without an intact IP header.
    pub addresses: Option<(IpAddr, IpAddr)>,
    pub link: Link,
    /// Of the IP header; means nothing without one.
    pub network: Network,
    pub fragment: Fragment,
    pub malformed: bool,
    /// `None` where it is unknown.
    pub protocol: Option<u8>,
    pub layer4: Layer4,
    /// Of the pattern with offset `n`, whether it holds, in bit `n`; means nothing of layer 4 in a later fragment.
    pub held: u32,
    /// A connection of the node's own takes it.
    pub established: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Source and destination; `None` in a frame without a whole header.
    pub macs: Option<([u8; 6], [u8; 6])>,
    /// 4096 where there is no such tag; `None` where it is cut off.
    pub outer: Option<u16>,
    pub inner: Option<u16>,
    pub ether_type: Option<u16>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Network {
    pub hop_limit: u8,
    pub class: u8,
    pub length: u16,
    /// IPv4: 0 without options, else 1 + bits of RecordRoute, Timestamp, Security, LSRR, StreamId, SSRR, RouterAlert,
    /// Other. IPv6: bits of HopByHop, Routing, Fragment, Authentication, DestinationOptions, Mobility, HIP, Shim6.
    pub parts: u16,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fragment {
    #[default]
    Whole,
    First,
    FirstTiny,
    Later,
    LaterTiny,
}

/// Fields of an intact layer-4 header in this packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layer4 {
    #[default]
    Nothing,
    Ports(u16, u16),
    Tcp {
        ports: (u16, u16),
        flags: u8,
    },
    Icmp {
        icmp_type: u8,
        code: u8,
    },
}

impl Packet {
    pub fn is_later(&self) -> bool {
        matches!(self.fragment, Fragment::Later | Fragment::LaterTiny)
    }

    pub fn is_v6(&self) -> bool {
        self.addresses.is_some_and(|(source, _)| source.is_ipv6())
    }

    pub fn ports(&self) -> Option<(u16, u16)> {
        match self.layer4 {
            Layer4::Ports(source, destination) => Some((source, destination)),
            Layer4::Tcp { ports, .. } => Some(ports),
            Layer4::Nothing | Layer4::Icmp { .. } => None,
        }
    }
}

/// What became of a packet: names are (filter, rule).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    pub dropped: bool,
    pub decided: Option<(String, String)>,
    pub audited: Option<(String, String)>,
}
