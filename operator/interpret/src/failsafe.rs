//! Traffic that no rule can cut: what keeps the network and the node's management alive.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::packet::{Ip, Packet, Ports, Transport, protocol};
use crate::world::{ControlPeer, FailsafePort, World};

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

pub(crate) fn passes(world: &World, packet: &Packet) -> bool {
    world.failsafe.is_some()
        && !packet.malformed
        && !packet.is_later_fragment()
        && (is_link_protocol(packet)
            || packet
                .ip
                .is_some_and(|ip| is_network_protocol(&ip, packet) || is_for_node(world, &ip, packet)))
}

fn is_link_protocol(packet: &Packet) -> bool {
    match packet.ether_type {
        Some(ARP | SLOW | LLDP) => true,
        Some(length) if length < FIRST_ETHER_TYPE => {
            packet.destination_mac.starts_with(&BRIDGES) && packet.destination_mac[5] < 16
        }
        _ => false,
    }
}

fn is_network_protocol(ip: &Ip, packet: &Packet) -> bool {
    match (packet.protocol, packet.transport) {
        (Some(protocol::ICMPV6), Transport::Icmp { icmp_type: 133..=137, .. }) => ip.hop_limit == 255,
        (Some(protocol::ICMPV6), Transport::Icmp { icmp_type: 130..=132 | 143, .. }) => ip.hop_limit == 1,
        (Some(protocol::IGMP), _) => ip.source.is_ipv4() && ip.hop_limit == 1,
        (Some(protocol::UDP), Transport::Ported(ports)) => is_dhcp(ip, ports) || is_bfd(ip, ports),
        (Some(protocol::VRRP), _) => ip.hop_limit == 255,
        (Some(protocol::OSPF), _) => ip.hop_limit == 1 && ALL_OSPF_ROUTERS.contains(&ip.destination),
        _ => false,
    }
}

fn is_dhcp(ip: &Ip, ports: Ports) -> bool {
    let pair = if ip.source.is_ipv4() { [67, 68] } else { [546, 547] };
    [ports.source, ports.destination] == pair || [ports.destination, ports.source] == pair
}

fn is_bfd(ip: &Ip, ports: Ports) -> bool {
    ports.destination == BFD && ip.hop_limit == 255
}

/// To an address of this node that is no VIP: replies of the control plane, and the ports that stay reachable.
fn is_for_node(world: &World, ip: &Ip, packet: &Packet) -> bool {
    let (Some(failsafe), Some(number), Some(ports)) = (&world.failsafe, packet.protocol, packet.ports())
    else {
        return false;
    };
    if !world.is_own(ip.destination) {
        return false;
    }
    let is_reply = matches!(packet.transport, Transport::Tcp { flags, .. } if flags & ACK != 0)
        && failsafe.control_peers.contains(&ControlPeer { address: ip.source, port: ports.source });
    let to_kept_port = matches!(number, protocol::TCP | protocol::UDP)
        && failsafe.ports.contains(&FailsafePort { port: ports.destination, protocol: number });
    is_reply || to_kept_port && failsafe.within_rate
}
