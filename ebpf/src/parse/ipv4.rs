//! IPv4 (RFC 791) with options.

use sluice_abi::kind;

use super::{Broken, forget};
use crate::frame::Frame;
use crate::packet::{Packet, mapped};

const MORE_FRAGMENTS: u16 = 0x2000;
const OFFSET: u16 = 0x1fff;

#[repr(C, packed)]
pub struct Ipv4 {
    pub version_length: u8,
    pub traffic_class: u8,
    pub total_length: u16,
    pub identification: u16,
    pub fragment: u16,
    pub time_to_live: u8,
    pub protocol: u8,
    pub checksum: u16,
    pub source: u32,
    pub destination: u32,
}

#[inline(always)]
pub fn read(frame: Frame, packet: &mut Packet) -> Result<(), Broken> {
    let offset = forget(&packet.network) & 0x1f;
    let header = frame.header::<Ipv4>(offset as usize).ok_or(Broken)?;
    // SAFETY: the header lies within the frame.
    let header = unsafe { header.read_unaligned() };
    let length = (header.version_length as u32 & 0x0f) * 4;
    let present = packet.length - offset;
    if header.version_length >> 4 != 4 || length < 20 || length > present {
        return Err(Broken);
    }
    packet.family = kind::FAMILY_V4;
    packet.source = mapped(u32::from_be(header.source));
    packet.destination = mapped(u32::from_be(header.destination));
    packet.hop_limit = header.time_to_live as u32;
    packet.protocol = header.protocol as u32;
    packet.fragment = fragment(u16::from_be(header.fragment));
    packet.transport = offset + length;
    let total = match u16::from_be(header.total_length) as u32 {
        0 if frame.is_merged() => present,
        total => total,
    };
    packet.end = offset + if total > present { present } else { total };
    if total < length || total > present {
        packet.malformed = 1;
    }
    Ok(())
}

#[inline(always)]
fn fragment(field: u16) -> u32 {
    match field & OFFSET {
        0 if field & MORE_FRAGMENTS == 0 => kind::WHOLE,
        0 => kind::FIRST,
        1 => kind::LATER_TINY,
        _ => kind::LATER,
    }
}
