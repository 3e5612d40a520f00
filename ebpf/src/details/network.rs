//! The IP header's: TTL or hop limit, DSCP and ECN, length. Absent where there is no intact one.

use sluice_abi::{ABSENT, dimension::*, kind};

use super::Details;
use crate::classify::{search32, special, used};
use crate::frame::Frame;
use crate::maps::{DIRECT, LENGTH as LENGTH_BOUNDS};
use crate::packet::Packet;

const HOP_BY_HOP: u8 = 0;
const IPV6_HEADER: u32 = 40;
const LONGEST: u32 = u16::MAX as u32;

/// What both versions of the header begin with.
#[derive(Clone, Copy)]
#[repr(C, packed)]
struct Start {
    /// IPv4: version, header length, traffic class. IPv6: version, traffic class, the flow label's beginning.
    first: u16,
    /// IPv4: total length. IPv6: the flow label's rest.
    second: u16,
    /// IPv6: payload length.
    third: u16,
    /// IPv6: next header.
    next_header: u8,
}

#[inline(always)]
pub fn fill(row: &Details, frame: Frame, packet: &Packet) {
    let has_header = packet.family != kind::FAMILY_NONE;
    if used::<HOP_LIMIT>() {
        row.and(if has_header {
            *DIRECT.get(DIRECT_HOP_LIMIT + (packet.hop_limit & 0xff))
        } else {
            special::<HOP_LIMIT>(ABSENT)
        });
    }
    if used::<TRAFFIC_CLASS>() || used::<LENGTH>() {
        let start = if has_header { frame.read::<Start>(packet.network as usize & 0x1f) } else { None };
        if used::<TRAFFIC_CLASS>() {
            row.and(match &start {
                Some(start) => *DIRECT.get(DIRECT_TRAFFIC_CLASS + traffic_class(packet, start)),
                None => special::<TRAFFIC_CLASS>(ABSENT),
            });
        }
        if used::<LENGTH>() {
            row.and(match &start {
                Some(start) => search32::<LENGTH, _>(&LENGTH_BOUNDS, length(frame, packet, start)),
                None => special::<LENGTH>(ABSENT),
            });
        }
    }
}

#[inline(always)]
fn traffic_class(packet: &Packet, start: &Start) -> u32 {
    let first = u16::from_be(start.first) as u32;
    (if packet.family == kind::FAMILY_V6 { first >> 4 } else { first }) & 0xff
}

/// With the header, as it says. A jumbogram's says nothing (RFC 2675): what the frame holds of it counts.
#[inline(always)]
fn length(frame: Frame, packet: &Packet, start: &Start) -> u32 {
    let is_v6 = packet.family == kind::FAMILY_V6;
    let said = u16::from_be(if is_v6 { start.third } else { start.second }) as u32;
    let unsaid = said == 0 && ((is_v6 && start.next_header == HOP_BY_HOP) || frame.is_merged());
    let length = if unsaid {
        packet.length - packet.network
    } else if is_v6 {
        IPV6_HEADER + said
    } else {
        said
    };
    if length > LONGEST { LONGEST } else { length }
}
