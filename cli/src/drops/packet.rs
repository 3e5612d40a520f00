//! A packet's headers in tcpdump's manner, as far as they were captured.

use std::net::IpAddr;

use etherparse::{LaxNetSlice, LaxSlicedPacket, LinkSlice, TcpSlice, TransportSlice};

/// `IP 192.0.2.1.4000 > 198.51.100.1.53: UDP`; for what is no IP its EtherType.
pub fn summary(packet: &[u8], length: u32) -> String {
    let Ok(sliced) = LaxSlicedPacket::from_ethernet(packet) else {
        return format!("no Ethernet header in {length} bytes");
    };
    let tags: String = sliced.vlan_ids().iter().map(|id| format!("vlan {}, ", id.value())).collect();
    let rest = match &sliced.net {
        Some(LaxNetSlice::Ipv4(ip)) => {
            let header = ip.header();
            let ends = (header.source_addr().into(), header.destination_addr().into());
            let offset = header.fragments_offset().byte_offset();
            let more = header.more_fragments();
            between("IP", ends, sliced.transport.as_ref(), ip.payload_ip_number().0, fragment(offset, more))
        }
        Some(LaxNetSlice::Ipv6(ip)) => {
            let header = ip.header();
            let ends = (header.source_addr().into(), header.destination_addr().into());
            let fragment = if ip.is_payload_fragmented() { " fragment".to_owned() } else { String::new() };
            between("IP6", ends, sliced.transport.as_ref(), ip.payload().ip_number.0, fragment)
        }
        Some(LaxNetSlice::Arp(_)) => "ARP".to_owned(),
        None => other(&sliced),
    };
    format!("{tags}{rest}")
}

fn between(
    family: &str,
    (source, destination): (IpAddr, IpAddr),
    transport: Option<&TransportSlice<'_>>,
    protocol: u8,
    fragment: String,
) -> String {
    let ports = match transport {
        Some(TransportSlice::Tcp(tcp)) => Some((tcp.source_port(), tcp.destination_port())),
        Some(TransportSlice::Udp(udp)) => Some((udp.source_port(), udp.destination_port())),
        _ => None,
    };
    let what = match transport {
        Some(TransportSlice::Tcp(tcp)) => format!("TCP [{}]", flags(tcp)),
        Some(TransportSlice::Udp(_)) => "UDP".to_owned(),
        Some(TransportSlice::Icmpv4(icmp)) => {
            format!("ICMP type {} code {}", icmp.type_u8(), icmp.code_u8())
        }
        Some(TransportSlice::Icmpv6(icmp)) => {
            format!("ICMP6 type {} code {}", icmp.type_u8(), icmp.code_u8())
        }
        _ => match protocol {
            6 => "TCP".to_owned(),
            17 => "UDP".to_owned(),
            other => format!("protocol {other}"),
        },
    };
    match ports {
        Some((from, to)) => format!("{family} {source}.{from} > {destination}.{to}: {what}{fragment}"),
        None => format!("{family} {source} > {destination}: {what}{fragment}"),
    }
}

fn fragment(offset: u16, more: bool) -> String {
    if offset == 0 && !more {
        return String::new();
    }
    format!(" fragment at {offset}")
}

/// In tcpdump's letters and order.
fn flags(tcp: &TcpSlice<'_>) -> String {
    let flags = [
        (tcp.fin(), 'F'),
        (tcp.syn(), 'S'),
        (tcp.rst(), 'R'),
        (tcp.psh(), 'P'),
        (tcp.ack(), '.'),
        (tcp.urg(), 'U'),
        (tcp.ece(), 'E'),
        (tcp.cwr(), 'W'),
    ];
    let set: String = flags.into_iter().filter(|(is_set, _)| *is_set).map(|(_, letter)| letter).collect();
    if set.is_empty() { "none".to_owned() } else { set }
}

fn other(sliced: &LaxSlicedPacket<'_>) -> String {
    match (&sliced.link, sliced.ether_payload()) {
        (Some(LinkSlice::Ethernet2(_)), Some(payload)) => match payload.ether_type.0 {
            0x0800 => "IP, broken header".to_owned(),
            0x86dd => "IP6, broken header".to_owned(),
            number => format!("ethertype {number:#06x}"),
        },
        _ => "no IP".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use crate::packet::frame;

    use super::*;

    fn said(description: &str) -> String {
        let frame = frame(description).unwrap();
        summary(&frame[..frame.len().min(128)], frame.len() as u32)
    }

    #[test]
    fn what_a_packet_is_reads_as_in_tcpdump() {
        let ends = "ip src=192.0.2.1 dst=198.51.100.7";
        assert_eq!(
            said(&format!("{ends} / tcp sport=4000 dport=443 flags=SYN")),
            "IP 192.0.2.1.4000 > 198.51.100.7.443: TCP [S]"
        );
        assert_eq!(
            said(&format!("{ends} / udp sport=1 dport=53 / payload {}", "ab".repeat(1000))),
            "IP 192.0.2.1.1 > 198.51.100.7.53: UDP"
        );
        assert_eq!(said(&format!("{ends} / gre")), "IP 192.0.2.1 > 198.51.100.7: protocol 47");
        assert_eq!(
            said("eth / vlan id=7 / ip6 src=2001:db8::1 dst=2001:db8::2 / tcp sport=1 dport=2 flags=SYN,ACK"),
            "vlan 7, IP6 2001:db8::1.1 > 2001:db8::2.2: TCP [S.]"
        );
        assert_eq!(said("ip6 / icmp6 type=128"), "IP6 2001:db8:1::1 > 2001:db8:2::1: ICMP6 type 128 code 0");
    }

    #[test]
    fn every_length_of_every_packet_has_a_line() {
        for description in [
            "arp",
            "eth type=0x88cc / payload 0000",
            "ip / tcp",
            "ip6 / frag more=1 / udp",
            "eth / vlan id=1 / ip",
        ] {
            let frame = frame(description).unwrap();
            for length in 0..=frame.len() {
                assert!(!summary(&frame[..length], length as u32).is_empty());
            }
        }
        assert_eq!(summary(&[0; 9], 9), "no Ethernet header in 9 bytes");
        assert_eq!(said("eth type=0x88cc / payload 0000"), "ethertype 0x88cc");
    }
}
