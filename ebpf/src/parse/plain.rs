//! The packets that most packets are, in one go: IP behind an untagged Ethernet header, without options or extension
//! headers, whole, and with a TCP or UDP header in good order. Everything else is left to the layers' own readers.

use sluice_abi::kind;

use super::ipv4::Ipv4;
use super::ipv6::{Ipv6, halves};
use super::transport::{Ports, Tcp, Udp};
use crate::frame::{Context, Frame, interface};
use crate::packet::{FIELD_ABSENT, Packet, ether_type, mapped, protocol};

const VERSION_4_WITHOUT_OPTIONS: u8 = 0x45;
const VERSION_6: u32 = 6;
/// More-fragments flag and offset.
const FRAGMENT: u16 = 0x3fff;
const NETWORK: u32 = 14;
/// Length of a transport header below which there is none.
const SHORTEST: u32 = size_of::<Udp>() as u32;

#[repr(C, packed)]
struct Headers<N, T> {
    macs: [u8; 12],
    ether_type: u16,
    network: N,
    transport: T,
}

/// What the IP header says.
struct Network {
    ether_type: u32,
    family: u32,
    source: [u64; 2],
    destination: [u64; 2],
    hop_limit: u32,
    protocol: u32,
    /// Length of the header, and of what it carries.
    header: u32,
    payload: u32,
}

/// `None` if the packet is not of this kind.
#[inline(always)]
pub fn read(context: *mut Context) -> Option<Packet> {
    let frame = Frame::new(context);
    let headers = frame.header::<Headers<Ipv4, Udp>>(0)?;
    // SAFETY: the headers lie within the frame, and they are packed.
    let headers = unsafe { &*headers };
    match u16::from_be(headers.ether_type) as u32 {
        ether_type::IPV4 => packet::<Ipv4>(context, v4(&headers.network)?, &headers.transport),
        ether_type::IPV6 => {
            let headers = frame.header::<Headers<Ipv6, Udp>>(0)?;
            // SAFETY: as above.
            let headers = unsafe { &*headers };
            packet::<Ipv6>(context, v6(&headers.network)?, &headers.transport)
        }
        _ => None,
    }
}

#[inline(always)]
fn v4(header: &Ipv4) -> Option<Network> {
    const HEADER: u32 = size_of::<Ipv4>() as u32;
    let total = u16::from_be(header.total_length) as u32;
    let is_plain = header.version_length == VERSION_4_WITHOUT_OPTIONS
        && u16::from_be(header.fragment) & FRAGMENT == 0
        && total >= HEADER + SHORTEST;
    is_plain.then(|| Network {
        ether_type: ether_type::IPV4,
        family: kind::FAMILY_V4,
        source: mapped(u32::from_be(header.source)),
        destination: mapped(u32::from_be(header.destination)),
        hop_limit: header.time_to_live as u32,
        protocol: header.protocol as u32,
        header: HEADER,
        payload: total - HEADER,
    })
}

#[inline(always)]
fn v6(header: &Ipv6) -> Option<Network> {
    let payload = u16::from_be(header.payload_length) as u32;
    let is_plain = u32::from_be(header.version_class_flow) >> 28 == VERSION_6 && payload >= SHORTEST;
    is_plain.then(|| Network {
        ether_type: ether_type::IPV6,
        family: kind::FAMILY_V6,
        source: halves(header.source),
        destination: halves(header.destination),
        hop_limit: header.hop_limit as u32,
        protocol: header.next_header as u32,
        header: size_of::<Ipv6>() as u32,
        payload,
    })
}

/// The transport header begins as that of UDP does, whatever it is.
#[inline(always)]
fn packet<N>(context: *mut Context, network: Network, transport: &Udp) -> Option<Packet> {
    let frame = Frame::new(context);
    let end = NETWORK + network.header + network.payload;
    // A packet that is all in the first buffer is all of the frame, and nobody has to be asked how long that is.
    let length = frame.first_length();
    if end > length {
        return None;
    }
    let flags = match network.protocol {
        protocol::UDP if is_whole(transport, network.payload) => FIELD_ABSENT,
        protocol::TCP => flags::<N>(frame, network.payload)?,
        _ => return None,
    };
    let ingress = interface(context);
    let Ports { source, destination } = transport.ports;
    Some(Packet {
        source: network.source,
        destination: network.destination,
        length,
        ether_type: network.ether_type,
        family: network.family,
        fragment: kind::WHOLE,
        malformed: 0,
        hop_limit: network.hop_limit,
        protocol: network.protocol,
        source_port: u16::from_be(source) as u32,
        destination_port: u16::from_be(destination) as u32,
        tcp_flags: flags,
        icmp: FIELD_ABSENT,
        network: NETWORK,
        transport: NETWORK + network.header,
        end,
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
fn flags<N>(frame: Frame, available: u32) -> Option<u32> {
    let headers = frame.header::<Headers<N, Tcp>>(0)?;
    // SAFETY: the headers lie within the frame, and they are packed.
    let header = unsafe { &(*headers).transport };
    let length = (header.data_offset as u32 >> 4) * 4;
    (length >= size_of::<Tcp>() as u32 && length <= available).then_some(header.flags as u32)
}
