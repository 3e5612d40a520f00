//! Layer 4: ports, TCP flags, ICMP type and code.

use sluice_abi::kind;

use super::{Broken, forget};
use crate::frame::{Frame, OFFSET_MASK};
use crate::packet::{FIELD_LATER, Packet, UNKNOWN_PROTOCOL, protocol};

const UDP_HEADER: u32 = 8;

#[derive(Clone, Copy)]
#[repr(C, packed)]
pub(super) struct Ports {
    pub source: u16,
    pub destination: u16,
}

#[repr(C, packed)]
pub(super) struct Tcp {
    pub ports: Ports,
    sequence: u32,
    acknowledgement: u32,
    pub data_offset: u8,
    pub flags: u8,
    window: u16,
    checksum: u16,
    urgent: u16,
}

#[repr(C, packed)]
pub(super) struct Udp {
    pub ports: Ports,
    pub length: u16,
    checksum: u16,
}

/// The header is not whole.
struct CutOff;

#[inline(always)]
pub fn read(frame: Frame, packet: &mut Packet) -> Result<(), Broken> {
    if packet.is_later() {
        in_first_fragment(packet);
        return Ok(());
    }
    let offset = forget(&packet.transport) & OFFSET_MASK as u32;
    let available = forget(&packet.end).saturating_sub(offset);
    match fields(frame, packet, offset as usize, available) {
        Ok(()) => Ok(()),
        Err(CutOff) if packet.fragment == kind::FIRST => {
            packet.fragment = kind::FIRST_TINY;
            Ok(())
        }
        Err(CutOff) => Err(Broken),
    }
}

#[inline(always)]
fn fields(frame: Frame, packet: &mut Packet, offset: usize, available: u32) -> Result<(), CutOff> {
    match packet.protocol {
        protocol::TCP => tcp(frame, packet, offset, available),
        protocol::UDP => udp(frame, packet, offset, available),
        protocol::UDP_LITE => ports::<8>(frame, packet, offset, available),
        protocol::SCTP | protocol::DCCP => ports::<12>(frame, packet, offset, available),
        number if number == icmp_of(packet.family) => icmp(frame, packet, offset, available),
        _ => Ok(()),
    }
}

#[inline(always)]
fn tcp(frame: Frame, packet: &mut Packet, offset: usize, available: u32) -> Result<(), CutOff> {
    let header = frame.header::<Tcp>(offset).ok_or(CutOff)?;
    // SAFETY: the header lies within the frame.
    let header = unsafe { header.read_unaligned() };
    let length = (header.data_offset as u32 >> 4) * 4;
    if length < 20 || length > available {
        return Err(CutOff);
    }
    set_ports(packet, &header.ports);
    packet.tcp_flags = header.flags as u32;
    Ok(())
}

#[inline(always)]
fn udp(frame: Frame, packet: &mut Packet, offset: usize, available: u32) -> Result<(), CutOff> {
    let header = frame.header::<Udp>(offset).ok_or(CutOff)?;
    if available < UDP_HEADER {
        return Err(CutOff);
    }
    // SAFETY: the header lies within the frame.
    let header = unsafe { header.read_unaligned() };
    set_ports(packet, &header.ports);
    let length = u16::from_be(header.length) as u32;
    if packet.fragment == kind::WHOLE && (length < UDP_HEADER || length > available) {
        packet.malformed = 1;
    }
    Ok(())
}

/// Ports in front of a header of `LENGTH` bytes.
#[inline(always)]
fn ports<const LENGTH: usize>(
    frame: Frame,
    packet: &mut Packet,
    offset: usize,
    available: u32,
) -> Result<(), CutOff> {
    let header = frame.header::<[u8; LENGTH]>(offset).ok_or(CutOff)?;
    if available < LENGTH as u32 {
        return Err(CutOff);
    }
    // SAFETY: the ports are in front of the header, which lies within the frame.
    let ports = unsafe { header.cast::<Ports>().read_unaligned() };
    set_ports(packet, &ports);
    Ok(())
}

#[inline(always)]
fn set_ports(packet: &mut Packet, ports: &Ports) {
    packet.source_port = u16::from_be(ports.source) as u32;
    packet.destination_port = u16::from_be(ports.destination) as u32;
}

#[inline(always)]
fn icmp(frame: Frame, packet: &mut Packet, offset: usize, available: u32) -> Result<(), CutOff> {
    let (length, family) = if packet.family == kind::FAMILY_V6 { (4, 0x1_0000) } else { (8, 0) };
    // The shorter of the two is read; that the longer is there, too, is a matter of numbers.
    let type_code = frame.read::<u32>(offset).ok_or(CutOff)?;
    if available < length || packet.length < offset as u32 + length {
        return Err(CutOff);
    }
    packet.icmp = family | u32::from_be(type_code) >> 16;
    Ok(())
}

/// ICMP belongs to IPv4 and ICMPv6 to IPv6; in the other they are protocols without fields.
#[inline(always)]
fn icmp_of(family: u32) -> u32 {
    if family == kind::FAMILY_V6 { protocol::ICMPV6 } else { protocol::ICMP }
}

/// A later fragment: which fields could be in the first one.
#[inline(always)]
fn in_first_fragment(packet: &mut Packet) {
    let number = packet.protocol;
    let unknown = number == UNKNOWN_PROTOCOL;
    if unknown || has_ports(number) {
        packet.source_port = FIELD_LATER;
        packet.destination_port = FIELD_LATER;
    }
    if unknown || number == protocol::TCP {
        packet.tcp_flags = FIELD_LATER;
    }
    if unknown || number == icmp_of(packet.family) {
        packet.icmp = FIELD_LATER;
    }
}

#[inline(always)]
fn has_ports(number: u32) -> bool {
    matches!(number, protocol::TCP | protocol::UDP | protocol::UDP_LITE | protocol::SCTP | protocol::DCCP)
}
