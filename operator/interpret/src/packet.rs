//! A frame as the rules see it, read layer by layer.
//!
//! Fields of intact layers count even where a later layer is broken; `malformed` says that one was.

mod ethernet;
mod ipv4;
mod ipv6;
pub(crate) mod transport;

use std::net::IpAddr;

#[cfg(doc)]
use sluice_policy::NO_VLAN;

/// Upper-layer protocol numbers (IANA, Assigned Internet Protocol Numbers).
pub mod protocol {
    pub const ICMP: u8 = 1;
    pub const IGMP: u8 = 2;
    pub const TCP: u8 = 6;
    pub const UDP: u8 = 17;
    pub const DCCP: u8 = 33;
    pub const ICMPV6: u8 = 58;
    pub const OSPF: u8 = 89;
    pub const VRRP: u8 = 112;
    pub const SCTP: u8 = 132;
    pub const UDP_LITE: u8 = 136;
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet<'f> {
    pub frame: &'f [u8],
    pub layers: Layers,
    /// `None` where the frame is too short for them and an EtherType.
    pub macs: Option<Macs>,
    /// Of the outer or only tag, or [`NO_VLAN`]; `None` where the frame ends within it or before.
    pub outer_vlan: Option<u16>,
    /// Of the second tag, likewise.
    pub inner_vlan: Option<u16>,
    /// Behind the VLAN tags; `None` where the frame ends before it.
    pub ether_type: Option<u16>,
    /// `None` without an intact IP header.
    pub ip: Option<Ip>,
    /// The upper-layer protocol behind IPv6 extension headers; `None` where it cannot be known.
    pub protocol: Option<u8>,
    pub fragment: Fragment,
    /// Of an intact IPv4 header.
    pub options: Option<Options>,
    /// Numbers of the extension headers behind an intact IPv6 header, as far as they are whole.
    pub extensions: Option<Vec<u8>>,
    pub transport: Transport,
    pub malformed: bool,
    /// Bytes from the frame's start on that were read, or would have been if the frame had them. What is behind has no
    /// say.
    pub headers: usize,
}

/// Where layers begin in the frame; `None` for those that the packet does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layers {
    /// Behind the VLAN tags.
    pub network: Option<usize>,
    /// Of no later fragment, and neither is the next.
    pub transport: Option<usize>,
    /// Behind a transport header that is whole; of protocols without fields where `transport` is.
    pub payload: Option<usize>,
    /// Where the IP packet ends, or the frame that has none.
    pub end: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Macs {
    pub source: [u8; 6],
    pub destination: [u8; 6],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ip {
    pub source: IpAddr,
    pub destination: IpAddr,
    /// TTL or hop limit.
    pub hop_limit: u8,
    /// DSCP and ECN.
    pub traffic_class: u8,
    /// With the header, as that says; a jumbogram's, whose header does not say it, is what the frame holds.
    pub length: u16,
}

impl Ip {
    pub fn dscp(&self) -> u16 {
        (self.traffic_class >> 2).into()
    }

    pub fn ecn(&self) -> u16 {
        (self.traffic_class & 3).into()
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The header is longer than 20 bytes.
    pub present: bool,
    /// Types of the options but padding, up to the first one that is damaged, which counts.
    pub kinds: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fragment {
    /// Not a fragment.
    Whole,
    /// At offset 0, more to come. Tiny: without its whole layer-4 header.
    First { tiny: bool },
    /// At a higher offset. Tiny: at offset 1, from where it could overwrite the header.
    Later { tiny: bool },
}

/// Layer-4 fields of a whole packet or first fragment with an intact header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    None,
    Tcp {
        ports: Ports,
        flags: u8,
    },
    /// UDP, UDP-Lite, SCTP, DCCP.
    Ported(Ports),
    /// ICMP in IPv4, ICMPv6 in IPv6.
    Icmp {
        icmp_type: u8,
        code: u8,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    pub source: u16,
    pub destination: u16,
}

impl<'f> Packet<'f> {
    pub fn parse(frame: &'f [u8]) -> Packet<'f> {
        let mut packet = Packet {
            frame,
            layers: Layers::default(),
            macs: None,
            outer_vlan: None,
            inner_vlan: None,
            ether_type: None,
            ip: None,
            protocol: None,
            fragment: Fragment::Whole,
            options: None,
            extensions: None,
            transport: Transport::None,
            malformed: false,
            headers: 0,
        };
        ethernet::read(frame, &mut packet);
        packet
    }

    pub fn is_later_fragment(&self) -> bool {
        matches!(self.fragment, Fragment::Later { .. })
    }

    pub fn ports(&self) -> Option<Ports> {
        match self.transport {
            Transport::Tcp { ports, .. } | Transport::Ported(ports) => Some(ports),
            Transport::None | Transport::Icmp { .. } => None,
        }
    }
}

/// A big-endian 16-bit number.
fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}
