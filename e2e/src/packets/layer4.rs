//! Ports, TCP flags, ICMP types.

use super::build::{Ipv4, Ipv6, icmp, ported, tcp, tcp_with, udp, udp_with};
use super::corpus::Corpus;

pub(super) fn add(corpus: &mut Corpus) {
    ports(corpus);
    tcp_headers(corpus);
    icmp_messages(corpus);
    udp_lengths(corpus);
}

fn ports(corpus: &mut Corpus) {
    for port in [0, 1, 22, 52, 54, 79, 81, 7999, 8000, 8050, 8100, 8101, 6443, 65534, 65535] {
        corpus.add(format!("TCP to port {port}"), Ipv4::default().frame(6, &tcp(1000, port, 2)));
        corpus.add(format!("TCP from port {port}"), Ipv4::default().frame(6, &tcp(port, 1000, 0x10)));
        corpus.add(format!("UDP to port {port}"), Ipv6::default().frame(17, &udp(1000, port)));
        corpus.add(format!("UDP from port {port}"), Ipv6::default().frame(17, &udp(port, 1000)));
    }
    corpus.add("TCP between ports 0", Ipv4::default().frame(6, &tcp(0, 0, 2)));
    corpus.add("UDP between ports 65535", Ipv4::default().frame(17, &udp(65535, 65535)));
    for (name, number) in [("SCTP", 132), ("DCCP", 33), ("UDP-Lite", 136)] {
        for port in [0, 65535] {
            corpus.add(format!("{name} to port {port}"), Ipv4::default().frame(number, &ported(1, port)));
            corpus.add(format!("{name} from port {port}"), Ipv6::default().frame(number, &ported(port, 1)));
        }
        corpus.add(format!("{name} to port 8000"), Ipv4::default().frame(number, &ported(1, 8000)));
        corpus.add(format!("{name} to port 8101"), Ipv4::default().frame(number, &ported(1, 8101)));
    }
}

fn tcp_headers(corpus: &mut Corpus) {
    for (name, flags) in [
        ("no flag", 0x00),
        ("SYN", 0x02),
        ("SYN ACK", 0x12),
        ("FIN", 0x01),
        ("RST", 0x04),
        ("RST ACK", 0x14),
        ("PSH ACK", 0x18),
        ("Christmas tree", 0x29),
        ("SYN FIN", 0x03),
        ("SYN ECE CWR", 0xc2),
        ("all flags", 0xff),
    ] {
        corpus.add(format!("IPv4 TCP with {name}"), Ipv4::default().frame(6, &tcp(2000, 443, flags)));
        corpus.add(format!("IPv6 TCP with {name}"), Ipv6::default().frame(6, &tcp(2000, 443, flags)));
    }
    for words in 6..=15 {
        corpus.add(format!("TCP of {words} words"), Ipv4::default().frame(6, &tcp_with(2000, 443, 2, words)));
    }
    for words in 0..5 {
        corpus.add(
            format!("TCP that claims {words} words"),
            Ipv4::default().frame(6, &tcp_with(2000, 443, 2, words)),
        );
    }
    let longer = tcp_with(2000, 443, 2, 15);
    corpus.add("TCP that claims 15 words and has 14", Ipv4::default().frame(6, &longer[..56]));
}

fn icmp_messages(corpus: &mut Corpus) {
    for (icmp_type, code) in
        [(0, 0), (8, 0), (3, 0), (3, 3), (3, 4), (3, 15), (5, 1), (11, 0), (13, 0), (135, 0), (255, 255)]
    {
        corpus.add(format!("ICMP {icmp_type}/{code}"), Ipv4::default().frame(1, &icmp(icmp_type, code)));
    }
    for (icmp_type, code) in
        [(0, 0), (1, 4), (2, 0), (3, 4), (4, 1), (8, 0), (128, 0), (129, 0), (135, 0), (255, 255)]
    {
        corpus.add(format!("ICMPv6 {icmp_type}/{code}"), Ipv6::default().frame(58, &icmp(icmp_type, code)));
    }
    for length in 0..8 {
        corpus.add(format!("ICMP of {length} bytes"), Ipv4::default().frame(1, &icmp(8, 0)[..length]));
        corpus.add(format!("ICMPv6 of {length} bytes"), Ipv6::default().frame(58, &icmp(128, 0)[..length]));
    }
}

fn udp_lengths(corpus: &mut Corpus) {
    for length in [0, 1, 7, 8, 15, 17, 65535] {
        corpus.add(
            format!("IPv4 UDP of length {length}"),
            Ipv4::default().frame(17, &udp_with(2000, 53, length)),
        );
        corpus.add(
            format!("IPv6 UDP of length {length}"),
            Ipv6::default().frame(17, &udp_with(2000, 53, length)),
        );
    }
    corpus.add("UDP without data", Ipv4::default().frame(17, &udp_with(2000, 53, 8)[..8]));
    corpus
        .add("UDP-Lite with coverage 0", Ipv4::default().frame(136, &[&udp_with(2000, 53, 0)[..8]].concat()));
}
