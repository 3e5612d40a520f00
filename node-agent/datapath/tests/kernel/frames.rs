//! Frames byte by byte: many of them are such as no library makes.

use std::net::{Ipv4Addr, Ipv6Addr};

pub const FIN: u8 = 1;
pub const SYN: u8 = 2;
pub const ACK: u8 = 16;
pub const MORE_FRAGMENTS: u16 = 0x2000;

pub const DESTINATION_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
pub const SOURCE_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];

/// `tags` are (tag protocol, VLAN id).
pub fn ethernet(tags: &[(u16, u16)], ether_type: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = [DESTINATION_MAC, SOURCE_MAC].concat();
    for (protocol, id) in tags {
        frame.extend(protocol.to_be_bytes());
        frame.extend(id.to_be_bytes());
    }
    frame.extend(ether_type.to_be_bytes());
    frame.extend(payload);
    frame
}

#[derive(Clone)]
pub struct V4 {
    pub source: &'static str,
    pub destination: &'static str,
    pub protocol: u8,
    pub fragment: u16,
    pub options: usize,
    pub ttl: u8,
    pub class: u8,
    /// Added to the right total length.
    pub excess: i32,
}

pub const V4: V4 = V4 {
    source: "198.51.100.1",
    destination: "203.0.113.1",
    protocol: 6,
    fragment: 0,
    options: 0,
    ttl: 64,
    class: 0,
    excess: 0,
};

impl V4 {
    pub fn packet(&self, payload: &[u8]) -> Vec<u8> {
        let header = 20 + self.options;
        let total = (header + payload.len()) as i32 + self.excess;
        let mut packet = vec![0x40 | (header / 4) as u8, self.class];
        packet.extend((total as u16).to_be_bytes());
        packet.extend([0x12, 0x34]);
        packet.extend(self.fragment.to_be_bytes());
        packet.extend([self.ttl, self.protocol, 0, 0]);
        packet.extend(self.source.parse::<Ipv4Addr>().expect("an address").octets());
        packet.extend(self.destination.parse::<Ipv4Addr>().expect("an address").octets());
        packet.extend(vec![1; self.options]);
        let sum = checksum(&packet);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
        packet.extend(payload);
        packet
    }

    pub fn frame(&self, payload: &[u8]) -> Vec<u8> {
        ethernet(&[], 0x0800, &self.packet(payload))
    }
}

#[derive(Clone)]
pub struct V6 {
    pub source: &'static str,
    pub destination: &'static str,
    pub next: u8,
    pub hop_limit: u8,
    pub class: u8,
}

pub const V6: V6 =
    V6 { source: "2001:db8:1::1", destination: "2001:db8:2::1", next: 6, hop_limit: 64, class: 0 };

impl V6 {
    pub fn packet(&self, payload: &[u8]) -> Vec<u8> {
        let mut packet = (6u32 << 28 | u32::from(self.class) << 20).to_be_bytes().to_vec();
        packet.extend((payload.len() as u16).to_be_bytes());
        packet.extend([self.next, self.hop_limit]);
        packet.extend(self.source.parse::<Ipv6Addr>().expect("an address").octets());
        packet.extend(self.destination.parse::<Ipv6Addr>().expect("an address").octets());
        packet.extend(payload);
        packet
    }

    pub fn frame(&self, payload: &[u8]) -> Vec<u8> {
        ethernet(&[], 0x86dd, &self.packet(payload))
    }
}

/// An extension header of 8 bytes in front of `payload`.
pub fn extension(next: u8, payload: &[u8]) -> Vec<u8> {
    [&[next, 0, 1, 4, 0, 0, 0, 0], payload].concat()
}

/// An IPv6 fragment header in front of `payload`; `offset` in units of 8 bytes.
pub fn fragment(next: u8, offset: u16, more: bool, payload: &[u8]) -> Vec<u8> {
    let field = (offset << 3 | u16::from(more)).to_be_bytes();
    [&[next, 0, field[0], field[1], 0, 0, 0, 9], payload].concat()
}

pub fn tcp(source: u16, destination: u16, flags: u8) -> Vec<u8> {
    let mut header = [source.to_be_bytes(), destination.to_be_bytes()].concat();
    header.extend([0, 0, 0, 1, 0, 0, 0, 0, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    header
}

pub fn udp(source: u16, destination: u16, payload: &[u8]) -> Vec<u8> {
    let mut header = [source.to_be_bytes(), destination.to_be_bytes()].concat();
    header.extend((8 + payload.len() as u16).to_be_bytes());
    header.extend([0, 0]);
    [&header, payload].concat()
}

pub fn icmp(kind: u8, code: u8) -> Vec<u8> {
    vec![kind, code, 0, 0, 0, 0, 0, 1]
}

/// RFC 1071; 0 over a header whose checksum is right.
pub fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 =
        bytes.chunks_exact(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]]))).sum();
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}
