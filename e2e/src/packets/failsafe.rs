//! What no rule may cut, and what is almost that.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::build::{Extension, Ipv4, Ipv6, ethernet, ethernet_to, icmp, tag, tcp, udp};
use super::corpus::Corpus;
use super::place::{ADMIN_PORT, CLIENT4, NODE4, NODE6, PEER_PORT, PEER4, PEER6, VIP4, VIP6};

const SYN: u8 = 0x02;
const ACK: u8 = 0x10;

pub(super) fn add(corpus: &mut Corpus) {
    link(corpus);
    neighbours(corpus);
    routing(corpus);
    addresses(corpus);
    node_ports(corpus);
    limited_port(corpus);
    control_peers(corpus);
}

fn link(corpus: &mut Corpus) {
    let arp = [&[0, 1, 8, 0, 6, 4, 0, 1][..], &[0; 20]].concat();
    corpus.add("ARP request", ethernet(0x0806, &arp));
    corpus.add("ARP in a VLAN", tag(0x8100, 100, &ethernet(0x0806, &arp)));
    corpus.add("ARP in QinQ", tag(0x88a8, 1, &tag(0x8100, 100, &ethernet(0x0806, &arp))));
    corpus.add("ARP of four bytes", ethernet(0x0806, &arp[..4]));
    corpus.add("LLDP", ethernet_to([1, 0x80, 0xc2, 0, 0, 0x0e], 0x88cc, &[2, 7, 4]));
    corpus.add("LLDP to a host", ethernet(0x88cc, &[2, 7, 4]));
    corpus.add("LACP", ethernet_to([1, 0x80, 0xc2, 0, 0, 2], 0x8809, &[1, 1]));
    for last in [0, 1, 8, 15, 16, 0x20] {
        corpus.add(
            format!("STP to group {last}"),
            ethernet_to([1, 0x80, 0xc2, 0, 0, last], 38, &[0x42, 0x42, 3]),
        );
    }
    corpus
        .add("STP in a VLAN", tag(0x8100, 100, &ethernet_to([1, 0x80, 0xc2, 0, 0, 0], 38, &[0x42, 0x42, 3])));
    corpus.add(
        "IPv4 to a bridge group",
        ethernet_to([1, 0x80, 0xc2, 0, 0, 0], 0x0800, &Ipv4::default().packet(17, &udp(1, 53))),
    );
}

fn neighbours(corpus: &mut Corpus) {
    for icmp_type in [129, 130, 131, 132, 133, 134, 135, 136, 137, 138, 142, 143, 144] {
        for hop_limit in [255, 254, 1, 2] {
            let packet = Ipv6 {
                hop_limit,
                destination: Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1),
                ..Ipv6::default()
            };
            corpus.add(
                format!("ICMPv6 {icmp_type} with hop limit {hop_limit}"),
                packet.frame(58, &icmp(icmp_type, 0)),
            );
        }
    }
    let local = |extensions| Ipv6 { hop_limit: 255, ..Ipv6::behind(extensions) };
    corpus.add(
        "neighbour solicitation behind hop-by-hop",
        local(vec![Extension::short(0)]).frame(58, &icmp(135, 0)),
    );
    corpus.add(
        "first fragment of a neighbour solicitation",
        local(vec![Extension::fragment(0, true)]).frame(58, &icmp(135, 0)),
    );
    corpus.add(
        "later fragment of a neighbour solicitation",
        local(vec![Extension::fragment(3, false)]).frame(58, &icmp(135, 0)),
    );
    corpus.add("neighbour solicitation cut off", local(vec![]).frame(58, &[135, 0]));
    let report = Ipv6 { hop_limit: 1, ..Ipv6::behind(vec![Extension::eights(0, 0)]) };
    corpus.add("MLD report behind hop-by-hop", report.frame(58, &icmp(143, 0)));
    for ttl in [0, 1, 2, 255] {
        let group = Ipv4 { ttl, destination: Ipv4Addr::new(224, 0, 0, 22), ..Ipv4::default() };
        corpus.add(format!("IGMP with TTL {ttl}"), group.frame(2, &[0x22; 8]));
    }
    corpus.add("IGMP number in IPv6", Ipv6 { hop_limit: 1, ..Ipv6::default() }.frame(2, &[0x22; 8]));
    corpus
        .add("later fragment of IGMP", Ipv4 { ttl: 1, fragment: 4, ..Ipv4::default() }.frame(2, &[0x22; 8]));
}

fn routing(corpus: &mut Corpus) {
    for ttl in [255, 254, 1] {
        let group = Ipv4 { ttl, destination: Ipv4Addr::new(224, 0, 0, 18), ..Ipv4::default() };
        corpus.add(format!("VRRP with TTL {ttl}"), group.frame(112, &[0x31; 20]));
        corpus.add(format!("BFD with TTL {ttl}"), group.frame(17, &udp(49152, 3784)));
        let six = Ipv6 { hop_limit: ttl, ..Ipv6::default() };
        corpus.add(format!("VRRP in IPv6 with hop limit {ttl}"), six.frame(112, &[0x31; 20]));
        corpus.add(format!("BFD in IPv6 with hop limit {ttl}"), six.frame(17, &udp(49152, 3784)));
    }
    let near = Ipv4 { ttl: 255, ..Ipv4::default() };
    corpus.add("BFD from its port only", near.frame(17, &udp(3784, 49152)));
    corpus.add("BFD over TCP", near.frame(6, &tcp(49152, 3784, SYN)));
    corpus.add("BFD multihop port", near.frame(17, &udp(49152, 4784)));
    for (destination, ttl) in [
        ([224, 0, 0, 5], 1),
        ([224, 0, 0, 6], 1),
        ([224, 0, 0, 4], 1),
        ([224, 0, 0, 7], 1),
        ([224, 0, 0, 5], 2),
        ([198, 51, 100, 1], 1),
    ] {
        let packet = Ipv4 { ttl, destination: destination.into(), ..Ipv4::default() };
        corpus.add(format!("OSPF to {destination:?} with TTL {ttl}"), packet.frame(89, &[2; 24]));
    }
    for (last, hop_limit) in [(5, 1), (6, 1), (4, 1), (5, 64)] {
        let destination = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, last);
        let packet = Ipv6 { destination, hop_limit, ..Ipv6::default() };
        corpus.add(format!("OSPFv3 to ff02::{last} with hop limit {hop_limit}"), packet.frame(89, &[3; 16]));
    }
}

fn addresses(corpus: &mut Corpus) {
    for (from, to) in [(67, 68), (68, 67), (67, 67), (68, 68), (53, 68), (67, 53)] {
        corpus.add(format!("DHCP {from} to {to}"), Ipv4::default().frame(17, &udp(from, to)));
        corpus.add(format!("DHCP {from} to {to} in IPv6"), Ipv6::default().frame(17, &udp(from, to)));
        corpus.add(format!("DHCP {from} to {to} over UDP-Lite"), Ipv4::default().frame(136, &udp(from, to)));
    }
    for (from, to) in [(547, 546), (546, 547), (547, 547), (547, 53)] {
        corpus.add(format!("DHCPv6 {from} to {to}"), Ipv6::default().frame(17, &udp(from, to)));
        corpus.add(format!("DHCPv6 {from} to {to} in IPv4"), Ipv4::default().frame(17, &udp(from, to)));
    }
    corpus
        .add("first fragment of DHCP", Ipv4 { fragment: 0x2000, ..Ipv4::default() }.frame(17, &udp(67, 68)));
}

fn node_ports(corpus: &mut Corpus) {
    for port in [22, 10250, 6443, 9443, 23, 0] {
        let to = |destination| Ipv4 { destination, ..Ipv4::default() };
        corpus.add(format!("TCP {port} of the node"), to(NODE4).frame(6, &tcp(40000, port, SYN)));
        corpus.add(format!("UDP {port} of the node"), to(NODE4).frame(17, &udp(40000, port)));
        corpus.add(format!("TCP {port} of a VIP"), to(VIP4).frame(6, &tcp(40000, port, SYN)));
        corpus.add(format!("flood from port {port} to the node"), to(NODE4).frame(6, &tcp(port, 40000, ACK)));
        corpus.add(format!("flood from port {port} to a VIP"), to(VIP4).frame(6, &tcp(port, 40000, ACK)));
        let six = |destination| Ipv6 { destination, ..Ipv6::default() };
        corpus.add(format!("TCP {port} of the node, IPv6"), six(NODE6).frame(6, &tcp(40000, port, SYN)));
        corpus.add(format!("TCP {port} of a VIP, IPv6"), six(VIP6).frame(6, &tcp(40000, port, SYN)));
    }
    let node = Ipv4 { destination: NODE4, ..Ipv4::default() };
    corpus.add("SCTP 22 of the node", node.frame(132, &super::build::ported(40000, 22)));
    corpus.add(
        "first fragment to TCP 22 of the node",
        Ipv4 { fragment: 0x2000, ..node.clone() }.frame(6, &tcp(40000, 22, SYN)),
    );
    corpus.add(
        "tiny fragment to TCP 22 of the node",
        Ipv4 { fragment: 0x2000, ..node.clone() }.frame(6, &tcp(40000, 22, SYN)[..8]),
    );
    corpus.add(
        "later fragment to the node",
        Ipv4 { fragment: 30, ..node.clone() }.frame(6, &tcp(40000, 22, SYN)),
    );
    corpus.add(
        "TCP 22 of the node, malformed",
        Ipv4 { total_length: Some(2000), ..node }.frame(6, &tcp(40000, 22, SYN)),
    );
    let mapped = Ipv6 { destination: NODE4.to_ipv6_mapped(), ..Ipv6::default() };
    corpus.add("TCP 22 of the node's mapped address", mapped.frame(6, &tcp(40000, 22, SYN)));
}

/// At, within and beside the ends of each prefix.
fn limited_port(corpus: &mut Corpus) {
    for source in [
        [198, 17, 255, 255],
        [198, 18, 0, 0],
        [198, 19, 255, 255],
        [198, 20, 0, 0],
        [192, 0, 2, 129],
        [192, 0, 2, 128],
    ] {
        let packet = Ipv4 { source: source.into(), destination: NODE4, ..Ipv4::default() };
        let name = |what: &str| format!("{what} from {source:?}");
        corpus.add(name("limited port"), packet.frame(6, &tcp(40000, ADMIN_PORT, SYN)));
        corpus.add(name("UDP to the limited port"), packet.frame(17, &udp(40000, ADMIN_PORT)));
        corpus.add(name("open port"), packet.frame(6, &tcp(40000, 22, SYN)));
        let at_vip = Ipv4 { destination: VIP4, ..packet.clone() };
        corpus.add(name("limited port of a VIP"), at_vip.frame(6, &tcp(40000, ADMIN_PORT, SYN)));
        let mapped =
            Ipv6 { source: Ipv4Addr::from(source).to_ipv6_mapped(), destination: NODE6, ..Ipv6::default() };
        corpus.add(name("limited port, mapped,"), mapped.frame(6, &tcp(40000, ADMIN_PORT, SYN)));
    }
    for source in [
        "2001:db8:9:ffff::1",
        "2001:db8:a::",
        "2001:db8:b:0:8000::",
        "2001:db8:c::",
        "2001:db8::77",
        "2001:db8::76",
    ] {
        let source = source.parse().expect("an address");
        let packet = Ipv6 { source, destination: NODE6, ..Ipv6::default() };
        corpus.add(format!("limited port from {source}"), packet.frame(6, &tcp(40000, ADMIN_PORT, SYN)));
    }
}

fn control_peers(corpus: &mut Corpus) {
    for (name, source, destination, port, flags) in [
        ("reply of a control peer", PEER4, NODE4, PEER_PORT, ACK),
        ("handshake of a control peer", PEER4, NODE4, PEER_PORT, SYN | ACK),
        ("connection from a control peer", PEER4, NODE4, PEER_PORT, SYN),
        ("another port of a control peer", PEER4, NODE4, PEER_PORT + 1, ACK),
        ("the port of a control peer elsewhere", CLIENT4, NODE4, PEER_PORT, ACK),
        ("reply of a control peer to a VIP", PEER4, VIP4, PEER_PORT, ACK),
        ("reply of a control peer to a neighbour", PEER4, Ipv4Addr::new(198, 51, 100, 2), PEER_PORT, ACK),
    ] {
        let packet = Ipv4 { source, destination, ..Ipv4::default() };
        corpus.add(name, packet.frame(6, &tcp(port, 51000, flags)));
        corpus.add(
            format!("{name}, later fragment"),
            Ipv4 { fragment: 70, ..packet }.frame(6, &tcp(port, 51000, flags)),
        );
    }
    let six = Ipv6 { source: PEER6, destination: NODE6, ..Ipv6::default() };
    corpus.add("reply of an IPv6 control peer", six.frame(6, &tcp(PEER_PORT, 51000, ACK)));
    corpus.add(
        "UDP from a control peer's port",
        Ipv4 { source: PEER4, destination: NODE4, ..Ipv4::default() }.frame(17, &udp(PEER_PORT, 51000)),
    );
    let mapped = Ipv6 { source: PEER4.to_ipv6_mapped(), destination: NODE6, ..Ipv6::default() };
    corpus.add("reply from a control peer's mapped address", mapped.frame(6, &tcp(PEER_PORT, 51000, ACK)));
}
