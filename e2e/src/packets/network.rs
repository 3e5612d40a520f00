//! TTL or hop limit, DSCP and ECN, packet length.

use super::build::{Extension, Ipv4, Ipv6, udp, udp_of};
use super::corpus::Corpus;

pub(super) fn add(corpus: &mut Corpus) {
    for limit in [2, 31, 32, 63, 65, 127, 128, 129, 254] {
        hop_limit(corpus, limit);
    }
    for class in [1, 2, 3, 4, 0x27, 0x28, 0x2b, 0x2c, 0xb7, 0xb8, 0xba, 0xbb, 0xbc, 0xc0, 0xe0, 0xfc, 0xff] {
        traffic_class(corpus, class);
    }
    for data in [0, 3, 4, 7, 8, 9, 35, 36, 37, 52, 56, 60, 547, 548, 549, 1452, 1453, 1472, 1473] {
        length(corpus, data);
    }
    odd_lengths(corpus);
}

fn hop_limit(corpus: &mut Corpus, limit: u8) {
    let v4 = Ipv4 { ttl: limit, ..Ipv4::default() };
    corpus.add(format!("IPv4 with TTL {limit}"), v4.frame(17, &udp(4000, 53)));
    let v6 = Ipv6 { hop_limit: limit, ..Ipv6::default() };
    corpus.add(format!("IPv6 with hop limit {limit}"), v6.frame(17, &udp(4000, 53)));
}

fn traffic_class(corpus: &mut Corpus, class: u8) {
    let v4 = Ipv4 { tos: class, ..Ipv4::default() };
    corpus.add(format!("IPv4 of class {class:#04x}"), v4.frame(17, &udp(4001, 53)));
    let later = Ipv4 { fragment: 30, ..v4 };
    corpus.add(format!("IPv4 later fragment of class {class:#04x}"), later.frame(17, &[0x5a; 8]));
    let v6 = Ipv6 { traffic_class: class, ..Ipv6::default() };
    corpus.add(format!("IPv6 of class {class:#04x}"), v6.frame(17, &udp(4001, 53)));
}

fn length(corpus: &mut Corpus, data: usize) {
    let payload = udp_of(4002, 53, data);
    corpus.add(format!("IPv4 of length {}", 28 + data), Ipv4::default().frame(17, &payload));
    corpus.add(format!("IPv6 of length {}", 48 + data), Ipv6::default().frame(17, &payload));
}

/// The length that the header claims is the one that counts.
fn odd_lengths(corpus: &mut Corpus) {
    for claimed in [0, 63, 64, 65, 1501, u16::MAX] {
        let v4 = Ipv4 { total_length: Some(claimed), ..Ipv4::default() };
        corpus.add(format!("IPv4 that claims {claimed} bytes"), v4.frame(17, &udp(4003, 53)));
    }
    for claimed in [0, 23, 24, 25, 1461, u16::MAX - 40, u16::MAX - 39, u16::MAX] {
        let v6 = Ipv6 { payload_length: Some(claimed), ..Ipv6::default() };
        corpus.add(format!("IPv6 that claims {claimed} bytes of payload"), v6.frame(17, &udp(4003, 53)));
    }
    let jumbo = |data| {
        let header = Ipv6 { payload_length: Some(0), ..Ipv6::behind(vec![Extension::eights(0, 0)]) };
        header.frame(17, &udp_of(4003, 53, data))
    };
    for data in [0, 7, 8, 9, 1444, 1445] {
        corpus.add(format!("jumbogram with {data} bytes"), jumbo(data));
    }
    for padding in [4, 40] {
        let padded = [Ipv4::default().frame(17, &udp(4003, 53)), vec![0; padding]].concat();
        corpus.add(format!("IPv4 of length 36 in front of {padding} bytes"), padded);
    }
}
