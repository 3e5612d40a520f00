//! Headers in a few words. Every length and number can be set to a wrong one.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::place;

pub const HOST: [u8; 6] = [2, 0, 0, 0, 0, 2];
const SENDER: [u8; 6] = [2, 0, 0, 0, 0, 1];

pub fn ethernet(ether_type: u16, payload: &[u8]) -> Vec<u8> {
    ethernet_to(HOST, ether_type, payload)
}

pub fn ethernet_to(destination: [u8; 6], ether_type: u16, payload: &[u8]) -> Vec<u8> {
    [&destination[..], &SENDER, &ether_type.to_be_bytes(), payload].concat()
}

/// Puts a VLAN tag in front of what the frame has.
pub fn tag(tpid: u16, control: u16, frame: &[u8]) -> Vec<u8> {
    [&frame[..12], &tpid.to_be_bytes(), &control.to_be_bytes(), &frame[12..]].concat()
}

/// The frame with other bytes at an offset.
pub fn patched(mut frame: Vec<u8>, at: usize, bytes: &[u8]) -> Vec<u8> {
    frame[at..at + bytes.len()].copy_from_slice(bytes);
    frame
}

#[derive(Clone, Debug)]
pub struct Ipv4 {
    pub source: Ipv4Addr,
    pub destination: Ipv4Addr,
    pub ttl: u8,
    pub tos: u8,
    /// Flags and offset.
    pub fragment: u16,
    /// A multiple of four bytes.
    pub options: Vec<u8>,
    /// Version and IHL, if not the right ones.
    pub first_byte: Option<u8>,
    pub total_length: Option<u16>,
}

impl Default for Ipv4 {
    fn default() -> Self {
        Ipv4 {
            source: place::CLIENT4,
            destination: Ipv4Addr::new(198, 51, 100, 77),
            ttl: 64,
            tos: 0,
            fragment: 0,
            options: Vec::new(),
            first_byte: None,
            total_length: None,
        }
    }
}

impl Ipv4 {
    pub fn packet(&self, protocol: u8, payload: &[u8]) -> Vec<u8> {
        let length = 20 + self.options.len();
        let total = self.total_length.unwrap_or((length + payload.len()) as u16);
        let mut header = vec![self.first_byte.unwrap_or(0x40 | (length / 4) as u8), self.tos];
        header.extend(total.to_be_bytes());
        header.extend([0x12, 0x34]);
        header.extend(self.fragment.to_be_bytes());
        header.extend([self.ttl, protocol, 0, 0]);
        header.extend(self.source.octets());
        header.extend(self.destination.octets());
        header.extend(&self.options);
        let checksum = checksum(&header);
        header[10..12].copy_from_slice(&checksum);
        header.extend(payload);
        header
    }

    pub fn frame(&self, protocol: u8, payload: &[u8]) -> Vec<u8> {
        ethernet(0x0800, &self.packet(protocol, payload))
    }
}

/// RFC 1071.
fn checksum(header: &[u8]) -> [u8; 2] {
    let words = header.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    let sum: u32 = words.sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    (!(folded as u16 + (folded >> 16) as u16)).to_be_bytes()
}

#[derive(Clone, Debug)]
pub struct Ipv6 {
    pub source: Ipv6Addr,
    pub destination: Ipv6Addr,
    pub hop_limit: u8,
    pub traffic_class: u8,
    pub extensions: Vec<Extension>,
    pub first_byte: u8,
    pub payload_length: Option<u16>,
}

/// An extension header; its first byte, the next header, is filled in by the chain.
#[derive(Clone, Debug)]
pub struct Extension {
    pub number: u8,
    pub rest: Vec<u8>,
}

impl Default for Ipv6 {
    fn default() -> Self {
        Ipv6 {
            source: place::CLIENT6,
            destination: Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x77),
            hop_limit: 64,
            traffic_class: 0,
            extensions: Vec::new(),
            first_byte: 0x60,
            payload_length: None,
        }
    }
}

impl Ipv6 {
    pub fn behind(extensions: Vec<Extension>) -> Ipv6 {
        Ipv6 { extensions, ..Ipv6::default() }
    }

    pub fn packet(&self, protocol: u8, payload: &[u8]) -> Vec<u8> {
        let mut numbers = self.extensions.iter().map(|extension| extension.number).chain([protocol]);
        let first = numbers.next().unwrap_or(protocol);
        let mut behind = Vec::new();
        for (extension, next) in self.extensions.iter().zip(numbers) {
            behind.push(next);
            behind.extend(&extension.rest);
        }
        behind.extend(payload);
        let length = self.payload_length.unwrap_or(behind.len() as u16);
        let mut packet = vec![self.first_byte | self.traffic_class >> 4, self.traffic_class << 4, 0, 0];
        packet.extend(length.to_be_bytes());
        packet.extend([first, self.hop_limit]);
        packet.extend(self.source.octets());
        packet.extend(self.destination.octets());
        packet.extend(behind);
        packet
    }

    pub fn frame(&self, protocol: u8, payload: &[u8]) -> Vec<u8> {
        ethernet(0x86dd, &self.packet(protocol, payload))
    }
}

impl Extension {
    /// One whose length field counts 8 bytes beyond the first 8: hop-by-hop, routing, options, mobility, HIP, Shim6.
    pub fn eights(number: u8, more: u8) -> Extension {
        let mut rest = vec![0; usize::from(more) * 8 + 7];
        rest[0] = more;
        Extension { number, rest }
    }

    /// An authentication header, whose length field counts 4 bytes beyond the first 8.
    pub fn authentication(fours: u8) -> Extension {
        let mut rest = vec![0; (usize::from(fours) + 2) * 4 - 1];
        rest[0] = fours;
        Extension { number: 51, rest }
    }

    /// The offset counts 8 bytes.
    pub fn fragment(offset: u16, more: bool) -> Extension {
        let [high, low] = (offset << 3 | u16::from(more)).to_be_bytes();
        Extension { number: 44, rest: vec![0, high, low, 0xab, 0xcd, 0xef, 0x01] }
    }

    /// A short one of this number.
    pub fn short(number: u8) -> Extension {
        match number {
            44 => Extension::fragment(0, false),
            51 => Extension::authentication(4),
            number => Extension::eights(number, 0),
        }
    }
}

pub fn tcp(source: u16, destination: u16, flags: u8) -> Vec<u8> {
    tcp_with(source, destination, flags, 5)
}

/// With as many 32-bit words of header, filled with NOPs.
pub fn tcp_with(source: u16, destination: u16, flags: u8, words: u8) -> Vec<u8> {
    let mut segment = [source.to_be_bytes(), destination.to_be_bytes()].concat();
    segment.extend([0, 0, 0, 1, 0, 0, 0, 0, words << 4, flags, 0xff, 0xff, 0, 0, 0, 0]);
    segment.resize(segment.len().max(usize::from(words) * 4), 1);
    segment
}

pub fn udp(source: u16, destination: u16) -> Vec<u8> {
    udp_with(source, destination, 16)
}

/// With this many bytes of data.
pub fn udp_of(source: u16, destination: u16, data: usize) -> Vec<u8> {
    let length = 8 + data as u16;
    let mut datagram = [source.to_be_bytes(), destination.to_be_bytes(), length.to_be_bytes()].concat();
    datagram.extend([0, 0]);
    datagram.resize(length.into(), 0x5a);
    datagram
}

/// With this length field and eight bytes of data.
pub fn udp_with(source: u16, destination: u16, length: u16) -> Vec<u8> {
    let mut datagram = [source.to_be_bytes(), destination.to_be_bytes(), length.to_be_bytes()].concat();
    datagram.extend(*b"\0\0datadata");
    datagram
}

/// Ports and what follows, for SCTP, DCCP and UDP-Lite.
pub fn ported(source: u16, destination: u16) -> Vec<u8> {
    [&source.to_be_bytes()[..], &destination.to_be_bytes(), &[0, 8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]].concat()
}

pub fn icmp(icmp_type: u8, code: u8) -> Vec<u8> {
    vec![icmp_type, code, 0, 0, 0, 1, 0, 1]
}
