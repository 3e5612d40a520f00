//! IP in IP: IPv4 in IPv4 (RFC 2003), IPv6 in IPv6 (RFC 2473).

use aya_ebpf::bindings::xdp_action::XDP_TX;
use aya_ebpf::bindings::xdp_md;
use aya_ebpf::helpers::{bpf_redirect, bpf_xdp_adjust_head};
use sluice_abi::{Address, NextHop, kind};

use crate::frame::Frame;
use crate::maps::TARGETS;
use crate::packet::{Packet, protocol};
use crate::parse::{Ipv4, Ipv6};

const MACS: usize = 12;
const ETHERNET: usize = 14;
const HOP_LIMIT: u8 = 64;
const DONT_FRAGMENT: u16 = 0x4000;
const FLOW_LABEL: u32 = 0x000f_ffff;

/// Bytes in front of the packet.
#[inline(always)]
pub fn overhead(family: u32) -> u32 {
    if family == kind::FAMILY_V6 { size_of::<Ipv6>() as u32 } else { size_of::<Ipv4>() as u32 }
}

/// EtherType and VLAN tags: `network - 12` bytes of them count.
struct Tags {
    first: u16,
    second: u32,
    third: u32,
}

/// Puts the packet into a tunnel to the target and sends it where it came from, or to the next hop's interface.
/// `None` if the frame has no room, or not the bytes that the parser saw.
#[inline(always)]
pub fn into_tunnel(
    context: *mut xdp_md,
    packet: &Packet,
    target: u32,
    hop: &NextHop,
    hash: u64,
) -> Option<u32> {
    let backend = &TARGETS.get(target)?.address;
    // A test run has no neighbours to speak of.
    let here = packet.staged != 0 || hop.ifindex == packet.ingress;
    let network = packet.network as usize & 0x1f;
    let frame = Frame::new(context);
    let tags = read_tags(frame, network)?;
    let class =
        if packet.family == kind::FAMILY_V6 { enter_v6(frame, network)? } else { enter_v4(frame, network)? };
    // Tags are those of the link that the packet came from; another link has none.
    let outer = if here { network } else { ETHERNET };
    let room = outer as i32 + overhead(packet.family) as i32 - network as i32;
    // SAFETY: the context is the one that the kernel gave.
    if unsafe { bpf_xdp_adjust_head(context, -room) } != 0 {
        return None;
    }
    let size = packet.end - packet.network;
    write_ethernet(frame, hop)?;
    if here {
        write_tags(frame, network, &tags)?
    } else {
        write_ether_type(frame, packet)?
    }
    if packet.family == kind::FAMILY_V6 {
        write_v6(frame, outer, class, size, hash, &hop.source, backend)?;
    } else {
        write_v4(frame, outer, class, size, &hop.source, backend)?;
    }
    Some(if here {
        XDP_TX
    } else {
        // SAFETY: a helper on a number.
        (unsafe { bpf_redirect(hop.ifindex, 0) }) as u32
    })
}

#[inline(always)]
fn read_tags(frame: Frame, network: usize) -> Option<Tags> {
    let first = frame.read::<u16>(MACS)?;
    let second = if network > 14 { frame.read::<u32>(14)? } else { 0 };
    let third = if network > 18 { frame.read::<u32>(18)? } else { 0 };
    Some(Tags { first, second, third })
}

#[inline(always)]
fn write_ethernet(frame: Frame, hop: &NextHop) -> Option<()> {
    // SAFETY: the next hop has both addresses one behind the other, as the header has them. Two numbers, because the
    // compiler would copy an array by a loop over its bytes.
    let (first, second) = unsafe {
        let macs = (&raw const hop.destination_mac).cast::<u8>();
        (macs.cast::<u64>().read_unaligned(), macs.add(8).cast::<u32>().read_unaligned())
    };
    write(frame, 0, first)?;
    write(frame, 8, second)
}

#[inline(always)]
fn write_tags(frame: Frame, network: usize, tags: &Tags) -> Option<()> {
    write(frame, MACS, tags.first)?;
    if network > 14 {
        write(frame, 14, tags.second)?;
    }
    if network > 18 {
        write(frame, 18, tags.third)?;
    }
    Some(())
}

#[inline(always)]
fn write_ether_type(frame: Frame, packet: &Packet) -> Option<()> {
    write(frame, MACS, (packet.ether_type as u16).to_be())
}

#[inline(always)]
fn write<T>(frame: Frame, offset: usize, value: T) -> Option<()> {
    let place = frame.header::<T>(offset)?;
    // SAFETY: the place lies within the frame.
    unsafe { place.write_unaligned(value) };
    Some(())
}

/// Forwards the inner packet by one hop and returns its traffic class: DSCP is copied to the outer header, and so is
/// ECN, congestion marks included (RFC 6040, normal mode).
#[inline(always)]
fn enter_v4(frame: Frame, network: usize) -> Option<u8> {
    let inner = frame.header::<Ipv4>(network)?;
    // SAFETY: the header lies within the frame.
    unsafe {
        (*inner).time_to_live = (*inner).time_to_live.wrapping_sub(1);
        // RFC 1624: one less in the high byte of a word is one more there in the checksum, carry around.
        let sum = u16::from_be((*inner).checksum) as u32 + 0x0100;
        (*inner).checksum = ((sum + (sum >= 0xffff) as u32) as u16).to_be();
        Some((*inner).traffic_class)
    }
}

#[inline(always)]
fn enter_v6(frame: Frame, network: usize) -> Option<u8> {
    let inner = frame.header::<Ipv6>(network)?;
    // SAFETY: the header lies within the frame.
    unsafe {
        (*inner).hop_limit = (*inner).hop_limit.wrapping_sub(1);
        Some((u32::from_be((*inner).version_class_flow) >> 20) as u8)
    }
}

#[inline(always)]
fn write_v4(
    frame: Frame,
    at: usize,
    class: u8,
    size: u32,
    source: &Address,
    backend: &Address,
) -> Option<()> {
    let mut header = Ipv4 {
        version_length: 0x45,
        traffic_class: class,
        total_length: ((size + size_of::<Ipv4>() as u32) as u16).to_be(),
        // Never fragmented, so it needs no identification (RFC 6864).
        identification: 0,
        fragment: DONT_FRAGMENT.to_be(),
        time_to_live: HOP_LIMIT,
        protocol: protocol::IPIP as u8,
        checksum: 0,
        source: mapped_bytes(source),
        destination: mapped_bytes(backend),
    };
    header.checksum = checksum(&header);
    write(frame, at, header)
}

#[inline(always)]
fn write_v6(
    frame: Frame,
    at: usize,
    class: u8,
    size: u32,
    hash: u64,
    source: &Address,
    backend: &Address,
) -> Option<()> {
    // The flow label lets routers spread flows that they cannot look into (RFC 6438).
    let version_class_flow = 6 << 28 | (class as u32) << 20 | hash as u32 & FLOW_LABEL;
    let header = Ipv6 {
        version_class_flow: version_class_flow.to_be(),
        payload_length: (size as u16).to_be(),
        next_header: protocol::IPV6 as u8,
        hop_limit: HOP_LIMIT,
        source: halves(source),
        destination: halves(backend),
    };
    write(frame, at, header)
}

/// The last four bytes of an IPv4-mapped address, in network order.
#[inline(always)]
fn mapped_bytes(address: &Address) -> u32 {
    // SAFETY: within the address.
    unsafe { address.as_ptr().add(12).cast::<u32>().read_unaligned() }
}

/// In network order.
#[inline(always)]
fn halves(address: &Address) -> [u64; 2] {
    // SAFETY: 16 plain bytes both.
    unsafe { address.as_ptr().cast::<[u64; 2]>().read_unaligned() }
}

/// RFC 1071, over the header without options. The byte order does not matter to the sum.
#[inline(always)]
fn checksum(header: &Ipv4) -> u16 {
    // SAFETY: 20 plain bytes both.
    let words = unsafe { (&raw const *header).cast::<[u32; 5]>().read_unaligned() };
    let mut sum = 0u64;
    for word in words {
        sum += word as u64;
    }
    sum = (sum & 0xffff_ffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    !(sum as u16)
}
