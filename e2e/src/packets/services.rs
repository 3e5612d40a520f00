//! Packets to virtual addresses, and past them.

use super::build::{Extension, Ipv4, Ipv6, icmp, ported, tag, tcp, udp};
use super::corpus::Corpus;
use super::place::{VIP4, VIP6};

pub(super) fn add(corpus: &mut Corpus) {
    let v4 = Ipv4 { destination: VIP4, ..Ipv4::default() };
    let v6 = Ipv6 { destination: VIP6, ..Ipv6::default() };
    for port in [80, 443, 81, 53] {
        corpus.add(format!("VIP TCP {port}"), v4.frame(6, &tcp(50000, port, 0x02)));
        corpus.add(format!("VIP UDP {port}"), v4.frame(17, &udp(50000, port)));
        corpus.add(format!("VIP TCP {port}, IPv6"), v6.frame(6, &tcp(50000, port, 0x02)));
        corpus.add(format!("VIP UDP {port}, IPv6"), v6.frame(17, &udp(50000, port)));
    }
    for client in 1..=16 {
        let from = Ipv4 { source: [192, 0, 2, client].into(), ..v4.clone() };
        corpus.add(
            format!("VIP TCP 80 from client {client}"),
            from.frame(6, &tcp(50000 + u16::from(client), 80, 0x10)),
        );
    }
    corpus.add("VIP TCP 80 in a VLAN", tag(0x8100, 100, &v4.frame(6, &tcp(50000, 80, 0x02))));
    corpus.add(
        "VIP TCP 80 with options",
        Ipv4 { options: vec![1; 8], ..v4.clone() }.frame(6, &tcp(50000, 80, 0x02)),
    );
    corpus.add("VIP SCTP 80", v4.frame(132, &ported(50000, 80)));
    corpus.add("VIP ping", v4.frame(1, &icmp(8, 0)));
    corpus.add("VIP first fragment", Ipv4 { fragment: 0x2000, ..v4.clone() }.frame(17, &udp(50000, 443)));
    corpus.add("VIP later fragment", Ipv4 { fragment: 3, ..v4.clone() }.frame(17, &udp(50000, 443)));
    corpus.add(
        "VIP tiny fragment",
        Ipv4 { fragment: 0x2000, ..v4.clone() }.frame(6, &tcp(50000, 80, 0x02)[..8]),
    );
    corpus.add("VIP cut off", v4.frame(6, &tcp(50000, 80, 0x02)[..12]));
    corpus.add(
        "VIP malformed with ports",
        Ipv4 { total_length: Some(999), ..v4.clone() }.frame(6, &tcp(50000, 80, 0x02)),
    );
    for ttl in [0, 1, 2] {
        corpus.add(format!("VIP with TTL {ttl}"), Ipv4 { ttl, ..v4.clone() }.frame(6, &tcp(50000, 80, 0x02)));
    }
    corpus.add(
        "VIP behind options",
        Ipv6 { extensions: vec![Extension::short(60)], ..v6.clone() }.frame(6, &tcp(50000, 80, 0x02)),
    );
    corpus.add(
        "VIP behind an atomic fragment header",
        Ipv6 { extensions: vec![Extension::fragment(0, false)], ..v6 }.frame(6, &tcp(50000, 80, 0x02)),
    );
    let mapped = Ipv6 { destination: VIP4.to_ipv6_mapped(), ..Ipv6::default() };
    corpus.add("VIP by its mapped address", mapped.frame(6, &tcp(50000, 80, 0x02)));
}
