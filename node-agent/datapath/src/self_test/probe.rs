//! A frame that satisfies an entry, found by looking for a value of each dimension whose row has the entry's bit.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use sluice_abi::{dimension, kind};

use super::classify::{Tables, bit};
use super::payload;
use super::sets;

const TCP: u8 = 6;
const UDP: u8 = 17;
const UDP_LITE: u8 = 136;
const SCTP: u8 = 132;
const DCCP: u8 = 33;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;
/// In IPv6 these are headers on the way to the protocol.
const EXTENSIONS: [u8; 8] = [0, 43, 44, 51, 60, 135, 139, 140];
const SYN: u8 = 2;
/// Source and destination where no rule asks for others.
const PORTS: (u16, u16) = (40_000, 40_001);
/// Ethernet addresses as numbers, likewise.
const MACS: (u64, u64) = (0x0200_0000_0002, 0x0200_0000_0001);
const HOP_LIMIT: u8 = 64;
/// Echo requests: neighbour discovery would be failsafe's.
const ECHO: u32 = 8 << 8;
const ECHO_V6: u32 = 0x1_8000;

/// A whole, sound packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    pub source: IpAddr,
    pub destination: IpAddr,
    pub protocol: u8,
    /// Source and destination port.
    pub ports: Option<(u16, u16)>,
    pub flags: Option<u8>,
    /// `type << 8 | code`, plus 0x1_0000 for ICMPv6.
    pub icmp: Option<u32>,
    /// Ethernet addresses of source and destination as numbers.
    pub macs: (u64, u64),
    pub hop_limit: u8,
    pub traffic_class: u8,
}

/// `None` for entries that want a fragment, a malformed packet, or what no packet has.
pub fn packet_for(tables: &Tables, entry: usize) -> Option<Packet> {
    let at = tables.bit_of(entry)?;
    let narrow = tables.trees.as_ref().filter(|trees| !trees.is_wide(entry));
    let families = [(kind::FAMILY_V4, true), (kind::FAMILY_V6, false)];
    families.into_iter().find_map(|(family, v4)| {
        let kind = dimension::DIRECT_KIND + kind::of(family, kind::WHOLE, false);
        if tables.uses(dimension::KIND) && !bit(&tables.direct_row(kind), at) {
            return None;
        }
        if let Some(trees) = narrow {
            let wanted = trees.wanted(entry, v4)?;
            let mut protocols = protocols(v4).filter(|protocol| wanted.takes_protocol(*protocol));
            let (source, destination) = (wanted.source, wanted.destination);
            return protocols.find_map(|protocol| {
                with_protocol(tables, at, source, destination, protocol, wanted.ports())
            });
        }
        let (source, destination) = if v4 {
            (dimension::SOURCE_V4, dimension::DESTINATION_V4)
        } else {
            (dimension::SOURCE_V6, dimension::DESTINATION_V6)
        };
        let sides = [
            (source, dimension::SOURCE_SETS, dimension::DIRECT_SOURCE_SETS),
            (destination, dimension::DESTINATION_SETS, dimension::DIRECT_DESTINATION_SETS),
        ];
        let source = address(tables, at, sides[0], default_address(v4, 1))?;
        let destination = address(tables, at, sides[1], default_address(v4, 2))?;
        protocols(v4).find_map(|protocol| with_protocol(tables, at, source, destination, protocol, [None; 2]))
    })
}

/// A packet of a protocol, TCP unless said, that has all the fields of its kind.
pub fn with_defaults(v4: bool, protocol: Option<u8>) -> Packet {
    let protocol = protocol.unwrap_or(TCP);
    Packet {
        source: default_address(v4, 1),
        destination: default_address(v4, 2),
        protocol,
        ports: has_ports(protocol).then_some(PORTS),
        flags: (protocol == TCP).then_some(SYN),
        icmp: match (protocol, v4) {
            (ICMP, true) => Some(ECHO),
            (ICMPV6, false) => Some(ECHO_V6),
            _ => None,
        },
        macs: MACS,
        hop_limit: HOP_LIMIT,
        traffic_class: 0,
    }
}

pub fn has_ports(protocol: u8) -> bool {
    matches!(protocol, TCP | UDP | UDP_LITE | SCTP | DCCP)
}

/// Plain packets between addresses that are set aside for documentation, TCP and UDP over either family.
pub fn strangers() -> Vec<Vec<u8>> {
    let between = [true, false].map(|v4| (default_address(v4, 1), default_address(v4, 2)));
    let packets = between.into_iter().flat_map(|(source, destination)| {
        [TCP, UDP].map(|protocol| Packet {
            source,
            destination,
            protocol,
            ports: Some(PORTS),
            flags: (protocol == TCP).then_some(SYN),
            icmp: None,
            macs: MACS,
            hop_limit: HOP_LIMIT,
            traffic_class: 0,
        })
    });
    packets.map(|packet| packet.frame()).collect()
}

/// An ARP request, which nothing may cut.
pub fn arp() -> Vec<u8> {
    let mut frame = vec![0xff; 6];
    frame.extend([2, 0, 0, 0, 0, 2, 0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 1]);
    frame.resize(60, 0);
    frame
}

/// Those with layer-4 fields first: they can satisfy most rules.
fn protocols(v4: bool) -> impl Iterator<Item = u8> {
    let first = [TCP, UDP, if v4 { ICMP } else { ICMPV6 }, UDP_LITE, SCTP, DCCP];
    let others = (0..=u8::MAX).filter(move |protocol| !first.contains(protocol));
    first.into_iter().chain(others).filter(move |protocol| v4 || !EXTENSIONS.contains(protocol))
}

fn with_protocol(
    tables: &Tables,
    entry: usize,
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    wanted: [Option<u16>; 2],
) -> Option<Packet> {
    let row = tables.direct_row(dimension::DIRECT_PROTOCOL + u32::from(protocol));
    if tables.uses(dimension::PROTOCOL) && !bit(&row, entry) {
        return None;
    }
    let ports = if has_ports(protocol) {
        let port = |dimension, default: u16| {
            let found = interval(tables, entry, dimension, default.into(), 0..0x1_0000)?;
            u16::try_from(found).ok()
        };
        let source = wanted[0].or_else(|| port(dimension::SOURCE_PORT, PORTS.0))?;
        Some((source, wanted[1].or_else(|| port(dimension::DESTINATION_PORT, PORTS.1))?))
    } else if wanted != [None; 2] {
        return None;
    } else {
        absent(tables, entry, dimension::SOURCE_PORT)?;
        absent(tables, entry, dimension::DESTINATION_PORT)?;
        None
    };
    let flags = if protocol == TCP {
        Some(byte(tables, entry, dimension::TCP_FLAGS, dimension::DIRECT_TCP_FLAGS, SYN)?)
    } else {
        absent(tables, entry, dimension::TCP_FLAGS)?;
        None
    };
    let icmp = match (protocol, source) {
        (ICMP, IpAddr::V4(_)) => Some(interval(tables, entry, dimension::ICMP, ECHO, 0..0x1_0000)?),
        (ICMPV6, IpAddr::V6(_)) => {
            Some(interval(tables, entry, dimension::ICMP, ECHO_V6, 0x1_0000..0x2_0000)?)
        }
        _ => {
            absent(tables, entry, dimension::ICMP)?;
            None
        }
    };
    let hop_limit = byte(tables, entry, dimension::HOP_LIMIT, dimension::DIRECT_HOP_LIMIT, HOP_LIMIT)?;
    let traffic_class = byte(tables, entry, dimension::TRAFFIC_CLASS, dimension::DIRECT_TRAFFIC_CLASS, 0)?;
    let source_mac = mac(tables, entry, dimension::SOURCE_MAC, MACS.0)?;
    let macs = (source_mac, mac(tables, entry, dimension::DESTINATION_MAC, MACS.1)?);
    let packet = Packet { source, destination, protocol, ports, flags, icmp, macs, hop_limit, traffic_class };
    let fixed = [
        (dimension::LENGTH, packet.length()),
        (dimension::OUTER_VLAN, dimension::NO_VLAN),
        (dimension::INNER_VLAN, dimension::NO_VLAN),
        (dimension::ETHER_TYPE, packet.ether_type().into()),
    ];
    let fits = |(dimension, value)| !tables.uses(dimension) || bit(&tables.searched(dimension, value), entry);
    // It has neither options nor extension headers.
    let without = if source.is_ipv4() {
        [(dimension::IP_OPTIONS, Some(dimension::DIRECT_IP_OPTIONS)), (dimension::EXTENSION_HEADERS, None)]
    } else {
        [
            (dimension::IP_OPTIONS, None),
            (dimension::EXTENSION_HEADERS, Some(dimension::DIRECT_EXTENSION_HEADERS)),
        ]
    };
    let fits_without = |(dimension, element): (usize, Option<u32>)| {
        let row = element.map_or_else(|| tables.absent(dimension), |element| tables.direct_row(element));
        !tables.uses(dimension) || bit(&row, entry)
    };
    let has_bytes = payload::rows(tables, &packet).all(|row| bit(&row, entry));
    let in_sets = sets::rows(tables, source, destination).all(|row| bit(&row, entry));
    (fixed.into_iter().all(fits) && without.into_iter().all(fits_without) && has_bytes && in_sets)
        .then_some(packet)
}

/// The start of an interval of prefixes or an address of a set, whichever has the entry's bit among prefixes and sets.
fn address(
    tables: &Tables,
    entry: usize,
    (prefixes, sets, first): (usize, usize, u32),
    default: IpAddr,
) -> Option<IpAddr> {
    let starts: Vec<IpAddr> = match (tables.uses(prefixes), default) {
        (false, _) => vec![default],
        (true, IpAddr::V4(_)) => {
            tables.intervals(prefixes).into_iter().map(|(start, _)| IpAddr::V4(start.into())).collect()
        }
        (true, IpAddr::V6(_)) => {
            tables.intervals_v6(prefixes).into_iter().map(|(start, _)| IpAddr::V6(start.into())).collect()
        }
    };
    let wanted = if tables.uses(sets) { tables.config.dimensions[sets].intervals } else { 0 };
    starts.into_iter().chain(tables.sets.members(wanted, default.is_ipv4())).find(|address| {
        (!tables.uses(prefixes) || bit(&tables.address_row(prefixes, *address), entry))
            && (!tables.uses(sets) || bit(&sets::row(tables, sets, first, *address), entry))
    })
}

fn default_address(v4: bool, host: u8) -> IpAddr {
    if v4 {
        IpAddr::V4(Ipv4Addr::new(192, 0, 2, host))
    } else {
        IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(host)))
    }
}

fn mac(tables: &Tables, entry: usize, dimension: usize, default: u64) -> Option<u64> {
    if !tables.uses(dimension) {
        return Some(default);
    }
    tables.intervals_mac(dimension).into_iter().find(|(_, row)| bit(row, entry)).map(|(start, _)| start)
}

/// The start of an interval in `range` with the entry's bit, or the range's own start if it lies in one.
fn interval(
    tables: &Tables,
    entry: usize,
    dimension: usize,
    default: u32,
    range: std::ops::Range<u32>,
) -> Option<u32> {
    if !tables.uses(dimension) {
        return Some(default);
    }
    let intervals = tables.intervals(dimension);
    let ends = intervals.iter().skip(1).map(|(start, _)| *start).chain([u32::MAX]);
    let with_bit = intervals.iter().zip(ends).filter(|((_, row), _)| bit(row, entry));
    let inside = with_bit.map(|((start, _), end)| (*start).max(range.start)..end.min(range.end));
    inside.filter(|found| !found.is_empty()).map(|found| found.start).next()
}

/// A value of a dimension that a byte indexes.
fn byte(tables: &Tables, entry: usize, dimension: usize, first: u32, default: u8) -> Option<u8> {
    if !tables.uses(dimension) {
        return Some(default);
    }
    (0..=u8::MAX).find(|value| bit(&tables.direct_row(first + u32::from(*value)), entry))
}

fn absent(tables: &Tables, entry: usize, dimension: usize) -> Option<()> {
    (!tables.uses(dimension) || bit(&tables.absent(dimension), entry)).then_some(())
}

impl Packet {
    pub fn ether_type(&self) -> u16 {
        if self.source.is_ipv4() { 0x0800 } else { 0x86dd }
    }

    /// Of the IP packet.
    pub fn length(&self) -> u32 {
        (self.network_header() + self.layer4().len()) as u32
    }

    pub fn network_header(&self) -> usize {
        if self.source.is_ipv4() { 20 } else { 40 }
    }

    /// `None` for the header of DCCP, which does not say how long it is.
    pub fn transport_header(&self) -> Option<usize> {
        match self.protocol {
            TCP => Some(20),
            UDP | UDP_LITE => Some(8),
            SCTP => Some(12),
            DCCP => None,
            _ if self.icmp.is_some() => Some(8),
            _ => Some(0),
        }
    }

    pub fn frame(&self) -> Vec<u8> {
        let payload = self.layer4();
        let (source, destination) = self.macs;
        let mut frame = [&destination.to_be_bytes()[2..], &source.to_be_bytes()[2..]].concat();
        frame.extend(self.ether_type().to_be_bytes());
        match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let length = (20 + payload.len()) as u16;
                frame.extend([0x45, self.traffic_class]);
                frame.extend(length.to_be_bytes());
                frame.extend([0, 0, 0x40, 0, self.hop_limit, self.protocol, 0, 0]);
                frame.extend(source.octets());
                frame.extend(destination.octets());
            }
            (source, destination) => {
                frame.extend((6 << 28 | u32::from(self.traffic_class) << 20).to_be_bytes());
                frame.extend((payload.len() as u16).to_be_bytes());
                frame.extend([self.protocol, self.hop_limit]);
                frame.extend(crate::local::address_bytes(source));
                frame.extend(crate::local::address_bytes(destination));
            }
        }
        frame.extend(payload);
        frame
    }

    fn layer4(&self) -> Vec<u8> {
        let mut header = Vec::new();
        if let Some((source, destination)) = self.ports {
            header.extend(source.to_be_bytes());
            header.extend(destination.to_be_bytes());
        }
        match self.protocol {
            TCP => header.extend([
                0,
                0,
                0,
                1,
                0,
                0,
                0,
                0,
                0x50,
                self.flags.unwrap_or(SYN),
                0xff,
                0xff,
                0,
                0,
                0,
                0,
            ]),
            UDP | UDP_LITE => header.extend([0, 8, 0, 0]),
            SCTP | DCCP => header.extend([0; 8]),
            _ => {}
        }
        if let Some(value) = self.icmp {
            header.extend([(value >> 8) as u8, value as u8, 0, 0, 0, 0, 0, 0]);
        }
        header
    }
}
