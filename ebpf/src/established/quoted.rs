//! The connection that an ICMP error is about: it quotes the beginning of a packet that the node has sent (RFC 792, RFC
//! 4443). Behind extension headers nobody looks.

use sluice_abi::kind;

use super::Connection;
use crate::frame::{Frame, OFFSET_MASK};
use crate::packet::{Packet, mapped};

/// Of ICMP and ICMPv6 errors, in front of what they quote.
const HEADER: u32 = 8;
const PORTS: u32 = 4;
const IPV6_HEADER: u32 = 40;

#[derive(Clone, Copy)]
#[repr(C, packed)]
struct V4 {
    /// And the header's length in words of four bytes.
    version: u8,
    class: u8,
    length: u16,
    identification: u16,
    fragment: u16,
    ttl: u8,
    protocol: u8,
    checksum: u16,
    source: u32,
    destination: u32,
}

#[derive(Clone, Copy)]
#[repr(C, packed)]
struct V6 {
    version: u8,
    rest: [u8; 3],
    length: u16,
    next_header: u8,
    hop_limit: u8,
    source: [u64; 2],
    destination: [u64; 2],
}

/// What the quoted header says.
struct Quoted {
    protocol: u32,
    source: [u64; 2],
    destination: [u64; 2],
    length: u32,
}

#[inline(always)]
pub fn connection(frame: Frame, packet: &Packet) -> Option<Connection> {
    if !is_error(packet.icmp) {
        return None;
    }
    let at = packet.transport + HEADER;
    let quoted = if packet.family == kind::FAMILY_V6 { v6(frame, at)? } else { v4(frame, at)? };
    let ports_at = at + quoted.length;
    if quoted.source != packet.destination || ports_at + PORTS > packet.end {
        return None;
    }
    let [local, remote] = frame.read::<[u16; 2]>(ports_at as usize & OFFSET_MASK)?;
    Some(Connection {
        family: packet.family,
        protocol: quoted.protocol,
        remote: quoted.destination,
        local: packet.destination,
        remote_port: u16::from_be(remote),
        local_port: u16::from_be(local),
    })
}

/// Destination unreachable, time exceeded, parameter problem; in IPv6 packet too big, which IPv4 has among the first.
#[inline(always)]
fn is_error(icmp: u32) -> bool {
    matches!(icmp >> 8, 3 | 11 | 12 | 0x101..=0x104)
}

#[inline(always)]
fn v4(frame: Frame, at: u32) -> Option<Quoted> {
    let header = frame.read::<V4>(at as usize & OFFSET_MASK)?;
    let length = (header.version & 0x0f) as u32 * 4;
    let is_later = u16::from_be(header.fragment) & 0x1fff != 0;
    (header.version >> 4 == 4 && length >= size_of::<V4>() as u32 && !is_later).then(|| Quoted {
        protocol: header.protocol as u32,
        source: mapped(u32::from_be(header.source)),
        destination: mapped(u32::from_be(header.destination)),
        length,
    })
}

#[inline(always)]
fn v6(frame: Frame, at: u32) -> Option<Quoted> {
    const { assert!(size_of::<V6>() == IPV6_HEADER as usize) };
    let header = frame.read::<V6>(at as usize & OFFSET_MASK)?;
    let halves = |[high, low]: [u64; 2]| [u64::from_be(high), u64::from_be(low)];
    (header.version >> 4 == 6).then(|| Quoted {
        protocol: header.next_header as u32,
        source: halves(header.source),
        destination: halves(header.destination),
        length: IPV6_HEADER,
    })
}
