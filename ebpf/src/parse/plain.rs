//! The packet that most packets are, in one go: IPv4 behind an untagged Ethernet header, without options, whole, and
//! with a TCP or UDP header in good order. Everything else is left to the layers' own readers.

use sluice_abi::kind;

use super::ipv4::Ipv4;
use super::transport::{Tcp, Udp};
use crate::frame::{Context, Frame, interface};
use crate::packet::{FIELD_ABSENT, Packet, ether_type, mapped, protocol};

const VERSION_4_WITHOUT_OPTIONS: u8 = 0x45;
/// More-fragments flag and offset.
const FRAGMENT: u16 = 0x3fff;
const NETWORK: u32 = 14;
const TRANSPORT: u32 = NETWORK + size_of::<Ipv4>() as u32;
/// IP length below which no transport header has room.
const SHORTEST: u32 = (size_of::<Ipv4>() + size_of::<Udp>()) as u32;

#[repr(C, packed)]
struct Headers<T> {
    macs: [u8; 12],
    ether_type: u16,
    network: Ipv4,
    transport: T,
}

/// `None` if the packet is not of this kind.
#[inline(always)]
pub fn read(context: *mut Context) -> Option<Packet> {
    let frame = Frame::new(context);
    let headers = frame.header::<Headers<Udp>>(0)?;
    // SAFETY: the headers lie within the frame, and they are packed.
    let headers = unsafe { &*headers };
    let network = &headers.network;
    if u16::from_be(headers.ether_type) as u32 != ether_type::IPV4
        || network.version_length != VERSION_4_WITHOUT_OPTIONS
        || u16::from_be(network.fragment) & FRAGMENT != 0
    {
        return None;
    }
    let total = u16::from_be(network.total_length) as u32;
    // A packet that is all in the first buffer is all of the frame, and nobody has to be asked how long that is.
    let length = frame.first_length();
    if total < SHORTEST || NETWORK + total > length {
        return None;
    }
    let available = total - size_of::<Ipv4>() as u32;
    let flags = match network.protocol as u32 {
        protocol::UDP if is_whole(&headers.transport, available) => FIELD_ABSENT,
        protocol::TCP => flags(frame, available)?,
        _ => return None,
    };
    let ingress = interface(context);
    Some(Packet {
        source: mapped(u32::from_be(network.source)),
        destination: mapped(u32::from_be(network.destination)),
        length,
        ether_type: ether_type::IPV4,
        family: kind::FAMILY_V4,
        fragment: kind::WHOLE,
        malformed: 0,
        hop_limit: network.time_to_live as u32,
        protocol: network.protocol as u32,
        source_port: u16::from_be(headers.transport.ports.source) as u32,
        destination_port: u16::from_be(headers.transport.ports.destination) as u32,
        tcp_flags: flags,
        icmp: FIELD_ABSENT,
        network: NETWORK,
        transport: TRANSPORT,
        end: NETWORK + total,
        ingress,
        staged: (ingress == 1) as u32,
        decapsulated: 0,
        source_sets: 0,
        destination_sets: 0,
        established: 0,
        source_mac: 0,
        mark: 0,
        mark_mask: 0,
    })
}

#[inline(always)]
fn is_whole(header: &Udp, available: u32) -> bool {
    let length = u16::from_be(header.length) as u32;
    length >= size_of::<Udp>() as u32 && length <= available
}

/// The flags of a TCP header that is whole.
#[inline(always)]
fn flags(frame: Frame, available: u32) -> Option<u32> {
    let headers = frame.header::<Headers<Tcp>>(0)?;
    // SAFETY: the headers lie within the frame, and they are packed.
    let header = unsafe { &(*headers).transport };
    let length = (header.data_offset as u32 >> 4) * 4;
    (length >= size_of::<Tcp>() as u32 && length <= available).then_some(header.flags as u32)
}
