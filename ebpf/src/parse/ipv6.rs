//! IPv6 (RFC 8200).

use sluice_abi::kind;

use super::extensions::{self, is_extension};
use super::{Broken, forget};
use crate::frame::{Context, Frame};
use crate::packet::{Packet, UNKNOWN_PROTOCOL};

const HEADER: u32 = size_of::<Ipv6>() as u32;
const HOP_BY_HOP: u8 = 0;

#[repr(C, packed)]
pub struct Ipv6 {
    /// Version, traffic class, flow label.
    pub version_class_flow: u32,
    pub payload_length: u16,
    pub next_header: u8,
    pub hop_limit: u8,
    pub source: [u64; 2],
    pub destination: [u64; 2],
}

#[inline(always)]
pub fn read(frame: Frame, packet: &mut Packet) -> Result<(), Broken> {
    let offset = forget(&packet.network) & 0x1f;
    let header = frame.header::<Ipv6>(offset as usize).ok_or(Broken)?;
    // SAFETY: the header lies within the frame.
    let header = unsafe { header.read_unaligned() };
    if u32::from_be(header.version_class_flow) >> 28 != 6 {
        return Err(Broken);
    }
    packet.family = kind::FAMILY_V6;
    packet.source = halves(header.source);
    packet.destination = halves(header.destination);
    packet.hop_limit = header.hop_limit as u32;
    let behind = packet.length - offset - HEADER;
    let payload = u16::from_be(header.payload_length) as u32;
    if payload > behind {
        packet.malformed = 1;
    }
    // A jumbogram (RFC 2675) has its length in the hop-by-hop header; a frame that holds it ends where it ends.
    let unsaid = header.next_header == HOP_BY_HOP || frame.is_merged();
    let whole = payload > behind || (payload == 0 && unsaid);
    packet.transport = offset + HEADER;
    packet.end = packet.transport + if whole { behind } else { payload };
    packet.protocol = header.next_header as u32;
    if is_extension(packet.protocol) { chain(frame.context(), packet) } else { Ok(()) }
}

#[inline(always)]
fn chain(context: *mut Context, packet: &mut Packet) -> Result<(), Broken> {
    let chain = extensions::walk(context, packet.transport, packet.end, packet.protocol);
    packet.fragment = extensions::fragment(chain);
    packet.protocol = extensions::protocol(chain);
    packet.transport = extensions::offset(chain);
    if extensions::is_broken(chain) {
        packet.protocol = UNKNOWN_PROTOCOL;
        return Err(Broken);
    }
    Ok(())
}

#[inline(always)]
pub(super) fn halves([high, low]: [u64; 2]) -> [u64; 2] {
    [u64::from_be(high), u64::from_be(low)]
}
