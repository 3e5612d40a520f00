//! Traffic that no rule can cut: what keeps the network and the node's management alive.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use sluice_policy::Hook;

use crate::outcome::Kept;
use crate::packet::{Ip, Packet, Ports, Transport, protocol};
use crate::world::{ControlPeer, Failsafe, FailsafePort, World};

const ARP: u16 = 0x0806;
/// LACP and the other slow protocols.
const SLOW: u16 = 0x8809;
const LLDP: u16 = 0x88cc;
/// Below it, the field is a length (IEEE 802.3).
const FIRST_ETHER_TYPE: u16 = 0x0600;
/// Bridge group address and its fifteen successors.
const BRIDGES: [u8; 5] = [0x01, 0x80, 0xc2, 0x00, 0x00];
const BFD: u16 = 3784;
const ACK: u8 = 0x10;
const ALL_OSPF_ROUTERS: [IpAddr; 4] = [
    IpAddr::V4(Ipv4Addr::new(224, 0, 0, 5)),
    IpAddr::V4(Ipv4Addr::new(224, 0, 0, 6)),
    IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 5)),
    IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 6)),
];

pub(crate) fn keeps(world: &World, packet: &Packet) -> Option<Kept> {
    let failsafe = world.failsafe.as_ref()?;
    if packet.malformed || packet.is_later_fragment() {
        return None;
    }
    let of_network = |ip: &Ip| network_protocol(ip, packet).or_else(|| for_node(world, failsafe, ip, packet));
    link_protocol(packet).or_else(|| packet.ip.as_ref().and_then(of_network))
}

fn link_protocol(packet: &Packet) -> Option<Kept> {
    match packet.ether_type? {
        ARP => Some(Kept::Arp),
        SLOW => Some(Kept::SlowProtocol),
        LLDP => Some(Kept::Lldp),
        length if length < FIRST_ETHER_TYPE => {
            let destination = packet.macs?.destination;
            (destination.starts_with(&BRIDGES) && destination[5] < 16).then_some(Kept::SpanningTree)
        }
        _ => None,
    }
}

fn network_protocol(ip: &Ip, packet: &Packet) -> Option<Kept> {
    let (kept, holds) = match (packet.protocol?, packet.transport) {
        (protocol::ICMPV6, Transport::Icmp { icmp_type: 133..=137, .. }) => {
            (Kept::NeighbourDiscovery, ip.hop_limit == 255)
        }
        (protocol::ICMPV6, Transport::Icmp { icmp_type: 130..=132 | 143, .. }) => {
            (Kept::MulticastListener, ip.hop_limit == 1)
        }
        (protocol::IGMP, _) => (Kept::Igmp, ip.source.is_ipv4() && ip.hop_limit == 1),
        (protocol::UDP, Transport::Ported(ports)) if is_dhcp(ip, ports) => (Kept::Dhcp, true),
        (protocol::UDP, Transport::Ported(ports)) => (Kept::Bfd, is_bfd(ip, ports)),
        (protocol::VRRP, _) => (Kept::Vrrp, ip.hop_limit == 255),
        (protocol::OSPF, _) => (Kept::Ospf, ip.hop_limit == 1 && ALL_OSPF_ROUTERS.contains(&ip.destination)),
        _ => return None,
    };
    holds.then_some(kept)
}

fn is_dhcp(ip: &Ip, ports: Ports) -> bool {
    let pair = if ip.source.is_ipv4() { [67, 68] } else { [546, 547] };
    [ports.source, ports.destination] == pair || [ports.destination, ports.source] == pair
}

fn is_bfd(ip: &Ip, ports: Ports) -> bool {
    ports.destination == BFD && ip.hop_limit == 255
}

fn opens(kept: &FailsafePort, source: IpAddr, to: (u8, u16)) -> bool {
    (kept.protocol, kept.port) == to
        && (kept.sources.is_empty() || kept.sources.iter().any(|prefix| prefix.contains(&source)))
}

/// To an address of this node that is no VIP: replies of the control plane, and the ports that stay reachable. On the way
/// out from it: what these are the other half of.
fn for_node(world: &World, failsafe: &Failsafe, ip: &Ip, packet: &Packet) -> Option<Kept> {
    let (number, ports) = (packet.protocol?, packet.ports()?);
    let leaves = world.hook == Hook::TcEgress;
    let ends = [(ip.source, ports.source), (ip.destination, ports.destination)];
    let [(address, port), (own, own_port)] = if leaves { [ends[1], ends[0]] } else { ends };
    if !world.is_own(own) {
        return None;
    }
    let is_reply = matches!(packet.transport, Transport::Tcp { flags, .. } if leaves || flags & ACK != 0)
        && failsafe.control_peers.contains(&ControlPeer { address, port });
    let to_kept_port = matches!(number, protocol::TCP | protocol::UDP)
        && failsafe.ports.iter().any(|port| opens(port, address, (number, own_port)));
    if is_reply {
        return Some(Kept::ControlReply);
    }
    (to_kept_port && (leaves || failsafe.within_rate)).then_some(Kept::Port)
}
