//! The backend's end of the tunnel: opened only for a balancer of the plan, to this node, for a VIP that it serves.

use aya_ebpf::bindings::xdp_md;
use aya_ebpf::helpers::bpf_xdp_adjust_head;
use sluice_abi::{Address, DecapPeer, Stat, features, kind};

use crate::classify::opaque;
use crate::constants::enabled;
use crate::count::count_stat;
use crate::frame::{Frame, OFFSET_MASK};
use crate::maps::DECAP;
use crate::packet::{Packet, address, mapped, protocol};
use crate::parse::{Ipv4, Ipv6};

/// Explicit Congestion Notification (RFC 3168): the field's bits, and "congestion experienced".
const ECN: u8 = 3;
/// The same bits in the first 16 bits of an IPv6 header.
const ECN_V6: u32 = 3 << 20;

/// Takes the outer header off; 0 if the packet is no tunnel of ours.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn decapsulate(context: *mut xdp_md, packet: *mut Packet) -> u32 {
    // SAFETY: the caller's packet, or null in the verifier's eyes.
    let Some(packet) = (unsafe { packet.as_ref() }) else { return 0 };
    // Older kernels verify this function whether it is called or not.
    if !enabled(features::DECAP) || !is_tunnel(packet) {
        return 0;
    }
    open(context, packet).is_some() as u32
}

#[inline(always)]
fn is_tunnel(packet: &Packet) -> bool {
    let carrier = if packet.family == kind::FAMILY_V6 { protocol::IPV6 } else { protocol::IPIP };
    packet.protocol == carrier && packet.fragment == kind::WHOLE && packet.malformed == 0
}

#[inline(always)]
fn open(context: *mut xdp_md, packet: &Packet) -> Option<()> {
    let frame = Frame::new(context);
    let network = packet.network as usize & 0x1f;
    let inner = packet.transport as usize & OFFSET_MASK;
    let is_v6 = packet.family == kind::FAMILY_V6;
    let vip = if is_v6 { destination_v6(frame, inner)? } else { destination_v4(frame, inner)? };
    let backend = packet.key(packet.destination)?;
    if !is_peer(packet.key(packet.source)?, backend, vip) {
        if is_peer(address([opaque(0); 2]), backend, vip) {
            count_stat(packet, Stat::DecapRefused);
        }
        return None;
    }
    if is_v6 {
        mark_v6(frame, network, inner)?
    } else {
        mark_v4(frame, network, inner)?
    }
    strip(context, frame, network, inner as u32 - network as u32)?;
    count_stat(packet, Stat::Decapsulated);
    Some(())
}

#[inline(always)]
fn is_peer(balancer: Address, backend: Address, vip: Address) -> bool {
    let key = DecapPeer { balancer, backend, vip };
    // SAFETY: the value is not looked at.
    unsafe { DECAP.get(&key) }.is_some()
}

#[inline(always)]
fn destination_v4(frame: Frame, inner: usize) -> Option<Address> {
    let header = frame.header::<Ipv4>(inner)?;
    // SAFETY: the header lies within the frame.
    let (version, destination) = unsafe { ((*header).version_length >> 4, (*header).destination) };
    (version == 4).then(|| address(mapped(u32::from_be(destination))))
}

#[inline(always)]
fn destination_v6(frame: Frame, inner: usize) -> Option<Address> {
    let header = frame.header::<Ipv6>(inner)?;
    // SAFETY: the header lies within the frame.
    let (word, [high, low]) = unsafe { ((*header).version_class_flow, (*header).destination) };
    (u32::from_be(word) >> 28 == 6).then(|| address([u64::from_be(high), u64::from_be(low)]))
}

/// Congestion that the tunnel met is passed on to a sender that understands it (RFC 6040). Where it does not, the
/// packet should be dropped; a balancer's outer header is a copy of the inner one, so that does not come from us.
#[inline(always)]
fn mark_v4(frame: Frame, network: usize, inner: usize) -> Option<()> {
    let outer = frame.header::<Ipv4>(network)?;
    // SAFETY: the header lies within the frame; so does the inner one.
    let experienced = unsafe { (*outer).traffic_class } & ECN == ECN;
    let header = frame.header::<Ipv4>(inner)?;
    unsafe {
        let old = (*header).traffic_class;
        if experienced && old & ECN != 0 {
            (*header).traffic_class = old | ECN;
            // RFC 1624: what is added to a word is taken from the checksum.
            let sum = u16::from_be((*header).checksum) as u32 + 0xffff - ((old | ECN) - old) as u32;
            (*header).checksum = (((sum & 0xffff) + (sum >> 16)) as u16).to_be();
        }
    }
    Some(())
}

#[inline(always)]
fn mark_v6(frame: Frame, network: usize, inner: usize) -> Option<()> {
    let outer = frame.header::<Ipv6>(network)?;
    // SAFETY: the header lies within the frame; so does the inner one.
    let experienced = u32::from_be(unsafe { (*outer).version_class_flow }) & ECN_V6 == ECN_V6;
    let header = frame.header::<Ipv6>(inner)?;
    unsafe {
        let old = u32::from_be((*header).version_class_flow);
        if experienced && old & ECN_V6 != 0 {
            (*header).version_class_flow = (old | ECN_V6).to_be();
        }
    }
    Some(())
}

/// Moves the Ethernet header and its tags in front of the inner packet, which has the outer one's family.
#[inline(always)]
fn strip(context: *mut xdp_md, frame: Frame, network: usize, outer: u32) -> Option<()> {
    let ethernet = frame.read::<[u8; 14]>(0)?;
    let second = if network > 14 { frame.read::<u32>(14)? } else { 0 };
    let third = if network > 18 { frame.read::<u32>(18)? } else { 0 };
    // SAFETY: the context is the one that the kernel gave.
    if unsafe { bpf_xdp_adjust_head(context, outer as i32) } != 0 {
        return None;
    }
    write(frame, 0, ethernet)?;
    if network > 14 {
        write(frame, 14, second)?;
    }
    if network > 18 {
        write(frame, 18, third)?;
    }
    Some(())
}

#[inline(always)]
fn write<T>(frame: Frame, offset: usize, value: T) -> Option<()> {
    let place = frame.header::<T>(offset)?;
    // SAFETY: the place lies within the frame.
    unsafe { place.write_unaligned(value) };
    Some(())
}
