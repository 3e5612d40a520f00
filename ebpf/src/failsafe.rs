//! Traffic that no rule can cut: what keeps the network and the node's management alive.

mod rate;

use sluice_abi::{
    ControlPeer, MAX_FAILSAFE_PORTS, MAX_FAILSAFE_SOURCES, NodeAddress, Stat, failsafe_bit, features, kind,
};

use crate::classify::opaque;
use crate::constants::{self, enabled, failsafe_open, failsafe_port, failsafe_source};
use crate::count::count_stat;
use crate::frame::{Context, Frame};
use crate::maps::{NODE_ADDRS, PEER_PORTS, PEERS};
use crate::packet::{Packet, SPECIAL, ether_type, protocol};

const ACK: u32 = 0x10;
const BFD: u32 = 3784;
/// `01:80:c2:00:00:0x`, the bridge group addresses, without their last four bits.
const BRIDGES: u64 = 0x0180_c200_0000;

/// False for most TCP and UDP packets: by their port and flags failsafe would not look at them.
#[inline(always)]
pub fn may_be_kept(packet: &Packet) -> bool {
    match packet.protocol {
        protocol::TCP | protocol::UDP => {
            constants::may_be_kept(packet.destination_port)
                || (enabled(features::EGRESS) && constants::may_be_kept(packet.source_port))
                || may_be_from_peer(packet)
        }
        _ => true,
    }
}

/// False for most replies: no peer of this node has that port.
#[inline(always)]
fn may_be_from_peer(packet: &Packet) -> bool {
    packet.protocol == protocol::TCP
        && (enabled(features::EGRESS) || packet.tcp_flags & ACK != 0)
        && PEER_PORTS.get(0).is_some_and(|ports| *ports & failsafe_bit(remote(packet).1) != 0)
}

/// Address and port of this node's end, if it is one.
#[inline(always)]
fn local(packet: &Packet) -> ([u64; 2], u32) {
    if enabled(features::EGRESS) {
        (packet.source, packet.source_port)
    } else {
        (packet.destination, packet.destination_port)
    }
}

/// Address and port of the other end.
#[inline(always)]
fn remote(packet: &Packet) -> ([u64; 2], u32) {
    if enabled(features::EGRESS) {
        (packet.destination, packet.destination_port)
    } else {
        (packet.source, packet.source_port)
    }
}

/// Whether the packet passes at once.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn failsafe(context: *mut Context, packet: *mut Packet) -> u32 {
    // SAFETY: the caller's packet, or null in the verifier's eyes.
    let Some(packet) = (unsafe { packet.as_ref() }) else { return 0 };
    // Older kernels verify this function whether it is called or not.
    if !enabled(features::FAILSAFE) || packet.malformed != 0 || packet.is_later() {
        return 0;
    }
    let passes = match packet.ether_type {
        ether_type::ARP | ether_type::SLOW | ether_type::LLDP => true,
        ether_type::IPV4 | ether_type::IPV6 => is_kept(packet),
        length if length < ether_type::FIRST => is_to_bridges(Frame::new(context)),
        _ => false,
    };
    passes as u32
}

#[inline(always)]
fn is_to_bridges(frame: Frame) -> bool {
    let destination = frame.read::<u64>(0).map_or(0, |bytes| u64::from_be(bytes) >> 16);
    destination & !0xf == BRIDGES
}

#[inline(always)]
fn is_kept(packet: &Packet) -> bool {
    match packet.protocol {
        protocol::TCP | protocol::UDP if packet.destination_port & SPECIAL != 0 => false,
        protocol::TCP => is_for_node(packet),
        protocol::UDP => is_dhcp(packet) || is_bfd(packet) || is_for_node(packet),
        protocol::ICMPV6 => is_neighbour_discovery(packet),
        protocol::IGMP => packet.family == kind::FAMILY_V4 && packet.hop_limit == 1,
        protocol::VRRP => packet.hop_limit == 255,
        protocol::OSPF => packet.hop_limit == 1 && is_to_ospf_routers(packet),
        _ => false,
    }
}

/// Neighbour and router discovery come from the link itself (hop limit 255, RFC 4861); so does multicast listener
/// discovery (hop limit 1, RFC 3810).
#[inline(always)]
fn is_neighbour_discovery(packet: &Packet) -> bool {
    if packet.icmp & SPECIAL != 0 {
        return false;
    }
    match packet.icmp >> 8 & 0xff {
        133..=137 => packet.hop_limit == 255,
        130..=132 | 143 => packet.hop_limit == 1,
        _ => false,
    }
}

#[inline(always)]
fn is_dhcp(packet: &Packet) -> bool {
    let (server, client) = if packet.family == kind::FAMILY_V4 { (67, 68) } else { (547, 546) };
    let ports = (packet.source_port, packet.destination_port);
    ports == (server, client) || ports == (client, server)
}

#[inline(always)]
fn is_bfd(packet: &Packet) -> bool {
    packet.destination_port == BFD && packet.hop_limit == 255
}

/// 224.0.0.5, 224.0.0.6, ff02::5, ff02::6.
#[inline(always)]
fn is_to_ospf_routers(packet: &Packet) -> bool {
    let [high, low] = packet.destination;
    let group = match high {
        0 if packet.family == kind::FAMILY_V4 => low.wrapping_sub(0xffff_e000_0000),
        0xff02_0000_0000_0000 => low,
        _ => 0,
    };
    group == 5 || group == 6
}

/// To an address of this node that is no VIP (or from it, on the way out): replies to its own control connections, and the ports that stay
/// reachable.
#[inline(always)]
fn is_for_node(packet: &Packet) -> bool {
    let kept = kept_ports(packet);
    let reply = may_be_from_peer(packet);
    if (kept == 0 && !reply) || !is_to_node(packet) {
        return false;
    }
    if reply && is_from_peer(packet) {
        return true;
    }
    if !is_reached(packet, kept) {
        return false;
    }
    if enabled(features::EGRESS) {
        return true;
    }
    let within = rate::take(packet);
    if !within {
        count_stat(packet, Stat::FailsafeLimited);
    }
    within
}

/// Bits of the failsafe ports that the packet is to, by index. Without branches: eight ports would be up to 2^8 ways to
/// the verifier.
#[inline(always)]
fn kept_ports(packet: &Packet) -> u64 {
    let wanted = local(packet).1 | packet.protocol << 16;
    let mut kept = 0;
    for index in 0..MAX_FAILSAFE_PORTS {
        let port = failsafe_port(index);
        if port.port == 0 {
            break;
        }
        let difference = (port.port as u32 | (port.protocol as u32) << 16) ^ wanted;
        kept |= is_zero(difference as u64) << index;
    }
    kept
}

/// Whether one of these ports is open to the packet's source.
#[inline(always)]
fn is_reached(packet: &Packet, ports: u64) -> bool {
    let ([address_high, address_low], _) = remote(packet);
    let mut open = failsafe_open() as u64;
    for index in 0..MAX_FAILSAFE_SOURCES {
        let from = failsafe_source(index);
        if from.ports == 0 {
            break;
        }
        let high = (address_high ^ from.address[0]) & from.mask[0];
        let low = (address_low ^ from.address[1]) & from.mask[1];
        let family = (packet.family ^ from.family) as u64;
        open |= opaque(is_zero(high | low | family).wrapping_neg()) & from.ports as u64;
    }
    ports & open != 0
}

/// 1 for 0, else 0.
#[inline(always)]
fn is_zero(number: u64) -> u64 {
    let number = opaque(number);
    opaque(!(number | number.wrapping_neg()) >> 63)
}

#[inline(always)]
fn is_to_node(packet: &Packet) -> bool {
    let Some(address) = packet.key(local(packet).0) else { return false };
    let key = NodeAddress { address };
    // SAFETY: the value is not looked at.
    unsafe { NODE_ADDRS.get(&key) }.is_some()
}

#[inline(always)]
fn is_from_peer(packet: &Packet) -> bool {
    let (address, port) = remote(packet);
    let Some(address) = packet.key(address) else { return false };
    let key = ControlPeer { address, port: port as u16, reserved: [0; 2] };
    // SAFETY: the value is not looked at.
    unsafe { PEERS.get(&key) }.is_some()
}
