//! IPv6: extension header chains and addresses.

use std::net::Ipv6Addr;

use super::build::{Extension, Ipv6, icmp, ported, tcp, udp};
use super::corpus::Corpus;

/// All extension headers that are stepped over.
const EXTENSIONS: [u8; 8] = [0, 43, 44, 51, 60, 135, 139, 140];

pub(super) fn add(corpus: &mut Corpus) {
    single_extensions(corpus);
    chains(corpus);
    protocols(corpus);
    addresses(corpus);
    jumbograms(corpus);
}

fn single_extensions(corpus: &mut Corpus) {
    for number in EXTENSIONS {
        let short = Ipv6::behind(vec![Extension::short(number)]);
        corpus.add(format!("extension {number}, UDP"), short.frame(17, &udp(1000, 53)));
        corpus.add(format!("extension {number}, TCP"), short.frame(6, &tcp(1000, 443, 0x12)));
        corpus.add(format!("extension {number}, ICMPv6"), short.frame(58, &icmp(128, 0)));
        corpus.add(format!("extension {number} and no next header"), short.frame(59, &[]));
    }
    for more in [1, 3, 31, 127] {
        let long = Ipv6::behind(vec![Extension::eights(60, more)]);
        corpus.add(
            format!("destination options of {} bytes", (u32::from(more) + 1) * 8),
            long.frame(17, &udp(1000, 53)),
        );
    }
    for fours in [0, 1, 2, 5, 16] {
        let authenticated = Ipv6::behind(vec![Extension::authentication(fours)]);
        corpus.add(
            format!("AH of {} bytes", (u32::from(fours) + 2) * 4),
            authenticated.frame(17, &udp(1000, 53)),
        );
    }
}

fn chains(corpus: &mut Corpus) {
    for length in 2..=9 {
        let options = Ipv6::behind(vec![Extension::short(60); length]);
        corpus.add(format!("{length} extensions alike"), options.frame(17, &udp(1000, 53)));
        let mixed = (0..length).map(|step| Extension::short(EXTENSIONS[step * 5 % 8])).collect();
        corpus.add(format!("{length} extensions mixed"), Ipv6::behind(mixed).frame(6, &tcp(1000, 80, 2)));
    }
    for start in 0..8 {
        let turned = (0..8).map(|step| Extension::short(EXTENSIONS[(start + step * 3) % 8])).collect();
        corpus.add(
            format!("all extensions from the {start}th"),
            Ipv6::behind(turned).frame(17, &udp(1000, 53)),
        );
    }
    let ninth_unknown = Ipv6::behind(vec![Extension::short(60); 8]);
    corpus.add("eight extensions before GRE", ninth_unknown.frame(47, &[0; 8]));
    corpus.add("nine extensions before nothing", Ipv6::behind(vec![Extension::short(43); 9]).frame(59, &[]));
    corpus.add(
        "hop-by-hop behind destination options",
        Ipv6::behind(vec![Extension::short(60), Extension::short(0)]).frame(17, &udp(1000, 53)),
    );
    let segments = Extension {
        number: 43,
        rest: vec![2, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
    };
    corpus.add("segment routing header", Ipv6::behind(vec![segments]).frame(17, &udp(1000, 53)));
}

fn protocols(corpus: &mut Corpus) {
    for (name, number, payload) in [
        ("IPv6 ICMP number of IPv4", 1, icmp(8, 0)),
        ("IPv6 ICMP number of IPv4, cut", 1, vec![8]),
        ("IPv6 in IPv6", 41, Ipv6::default().packet(17, &udp(1000, 53))),
        ("IPv4 number in IPv6", 4, vec![0x45; 20]),
        ("IPv6 GRE", 47, vec![0; 8]),
        ("IPv6 ESP", 50, vec![0xe5; 24]),
        ("IPv6 SCTP", 132, ported(1000, 2905)),
        ("IPv6 DCCP", 33, ported(1000, 5001)),
        ("IPv6 UDP-Lite", 136, ported(1000, 53)),
        ("IPv6 no next header with bytes", 59, vec![1, 2, 3]),
        ("IPv6 experimental 253", 253, vec![60, 0, 0, 0, 0, 0, 0, 0]),
        ("IPv6 unknown 255", 255, vec![0; 8]),
        ("IPv6 TCP", 6, tcp(1000, 443, 0x18)),
    ] {
        corpus.add(name, Ipv6::default().frame(number, &payload));
    }
}

fn addresses(corpus: &mut Corpus) {
    for text in [
        "::",
        "::1",
        "::ffff:192.0.2.1",
        "::ffff:198.51.100.1",
        "::192.0.2.1",
        "64:ff9b::192.0.2.1",
        "fe80::1",
        "ff02::1",
        "fc00::1",
        "2001:db8::",
        "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
        "2001:db9::",
        "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff",
        "2001:db8:1:0:7fff:ffff:ffff:ffff",
        "2001:db8:1:0:8000::",
        "2001:db8:1:0:ffff:ffff:ffff:ffff",
        "2001:db8:1:1::",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    ] {
        let address: Ipv6Addr = text.parse().expect("written above");
        let from = Ipv6 { source: address, ..Ipv6::default() };
        corpus.add(format!("from {text}"), from.frame(17, &udp(1000, 53)));
        let to = Ipv6 { destination: address, ..Ipv6::default() };
        corpus.add(format!("to {text}"), to.frame(17, &udp(1000, 53)));
    }
}

fn jumbograms(corpus: &mut Corpus) {
    let jumbo = Ipv6 { payload_length: Some(0), ..Ipv6::behind(vec![Extension::eights(0, 0)]) };
    corpus.add("jumbogram, UDP", jumbo.frame(17, &udp(1000, 53)));
    corpus.add("jumbogram, TCP", jumbo.frame(6, &tcp(1000, 443, 0x10)));
    corpus.add("jumbogram, UDP of length 0", jumbo.frame(17, &super::build::udp_with(1000, 53, 0)));
    let empty = Ipv6 { payload_length: Some(0), ..Ipv6::default() };
    corpus.add("IPv6 without payload, TCP", empty.frame(6, &tcp(1000, 443, 0x10)));
    corpus.add("IPv6 without payload, no next header", empty.frame(59, &[0; 4]));
    let not_first =
        Ipv6 { payload_length: Some(0), ..Ipv6::behind(vec![Extension::short(60), Extension::short(0)]) };
    corpus.add("IPv6 without payload, options and hop-by-hop", not_first.frame(17, &udp(1000, 53)));
}
