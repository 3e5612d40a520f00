//! Frames that end too early, and headers that lie.

use super::build::{Extension, Ipv4, Ipv6, ethernet, patched, tag, tcp, tcp_with, udp, udp_of};
use super::corpus::Corpus;

const LONGEST_CUT: usize = 128;

pub(super) fn add(corpus: &mut Corpus) {
    cuts(corpus);
    ipv4_headers(corpus);
    ipv6_headers(corpus);
    padding(corpus);
}

fn cuts(corpus: &mut Corpus) {
    corpus.add("IPv4's type and nothing else", ethernet(0x0800, &[]));
    corpus.add("IPv6's type and nothing else", ethernet(0x86dd, &[]));
    let options = Ipv4 { options: vec![1; 4], ..Ipv4::default() };
    let chain = vec![Extension::short(0), Extension::short(44), Extension::short(51)];
    let first = Ipv4 { fragment: 0x2000, ..Ipv4::default() };
    for (name, frame) in [
        ("IPv4 TCP", options.frame(6, &tcp(3000, 80, 2))),
        ("IPv4 UDP first fragment", first.frame(17, &udp(3000, 53))),
        ("IPv6 chain and UDP", Ipv6::behind(chain).frame(17, &udp(3000, 53))),
        ("IPv4 ICMP in a VLAN", tag(0x8100, 5, &Ipv4::default().frame(1, &super::build::icmp(3, 4)))),
    ] {
        for length in 15..frame.len() {
            corpus.add(format!("{name} cut to {length}"), frame[..length].to_vec());
        }
        corpus.add(format!("{name}, whole"), frame);
    }
    for (name, mut frame) in [("IPv4", longest_v4()), ("IPv6", long_v6())] {
        // From another station, or the shortest would be the same as those above.
        frame[11] = 0x99;
        assert!(frame.len() > LONGEST_CUT, "{} bytes", frame.len());
        for length in 14..=LONGEST_CUT {
            corpus.add(format!("long {name} cut to {length}"), frame[..length].to_vec());
        }
    }
    let runt = Ipv4 { tos: 8, ..Ipv4::default() }.frame(17, &udp(3000, 53));
    for length in 0..14 {
        corpus.add(format!("runt cut to {length}"), runt[..length].to_vec());
    }
}

/// Headers that fill all of it, behind two tags.
fn longest_v4() -> Vec<u8> {
    let options = [&[7, 39][..], &[4; 37], &[148]].concat();
    let packet = Ipv4 { options, ..Ipv4::default() }.frame(6, &tcp_with(3001, 80, 2, 15));
    tag(0x88a8, 100, &tag(0x8100, 200, &packet))
}

fn long_v6() -> Vec<u8> {
    let chain = vec![
        Extension::short(0),
        Extension::eights(43, 2),
        Extension::authentication(4),
        Extension::eights(60, 1),
    ];
    Ipv6::behind(chain).frame(17, &udp_of(3001, 53, 40))
}

fn ipv4_headers(corpus: &mut Corpus) {
    let segment = tcp(3000, 80, 0x10);
    for version in [0, 3, 5, 6, 15u8] {
        let header = Ipv4 { first_byte: Some(version << 4 | 5), ..Ipv4::default() };
        corpus.add(format!("version {version} with IPv4's type"), header.frame(6, &segment));
    }
    for ihl in [0, 1, 4, 6, 10, 11, 15u8] {
        let header = Ipv4 { first_byte: Some(0x40 | ihl), ..Ipv4::default() };
        corpus.add(format!("IHL that claims {ihl}"), header.frame(6, &segment));
    }
    for total in [0, 1, 19, 20, 21, 24, 27, 28, 39, 41, 1500, 65535] {
        let header = Ipv4 { total_length: Some(total), ..Ipv4::default() };
        corpus.add(format!("TCP in total length {total}"), header.frame(6, &segment));
        corpus.add(format!("GRE in total length {total}"), header.frame(47, &segment));
        let first = Ipv4 { fragment: 0x2000, ..header.clone() };
        corpus.add(format!("first TCP fragment in total length {total}"), first.frame(6, &segment));
        let later = Ipv4 { fragment: 50, ..header };
        corpus.add(format!("later TCP fragment in total length {total}"), later.frame(6, &segment));
    }
    let options = Ipv4 { options: vec![1; 8], total_length: Some(24), ..Ipv4::default() };
    corpus.add("total length that ends in the options", options.frame(17, &udp(3000, 53)));
}

fn ipv6_headers(corpus: &mut Corpus) {
    for first_byte in [0x00, 0x45, 0x50, 0x70, 0xf0, 0x6f] {
        let header = Ipv6 { first_byte, ..Ipv6::default() };
        corpus.add(format!("IPv6 that starts with {first_byte:#04x}"), header.frame(17, &udp(3000, 53)));
    }
    for length in [1, 7, 8, 9, 15, 17, 1500, 65535] {
        let header = Ipv6 { payload_length: Some(length), ..Ipv6::default() };
        corpus.add(format!("UDP in payload length {length}"), header.frame(17, &udp(3000, 53)));
        let chain = Ipv6 { payload_length: Some(length), ..Ipv6::behind(vec![Extension::short(60)]) };
        corpus.add(format!("options and UDP in payload length {length}"), chain.frame(17, &udp(3000, 53)));
    }
    for (number, length) in [(0, 255), (43, 2), (60, 3), (51, 255), (51, 5), (135, 4), (139, 9), (140, 31)] {
        let liar = Extension { number, rest: vec![length, 0, 0, 0, 0, 0, 0] };
        corpus.add(
            format!("extension {number} that claims length {length}"),
            Ipv6::behind(vec![liar]).frame(17, &udp(3000, 53)),
        );
    }
    corpus.add("fragment header of 7 bytes", Ipv6::default().frame(44, &[17, 0, 0, 1, 0, 0, 0]));
    corpus.add(
        "fragment header that fills its reserved byte",
        Ipv6::behind(vec![Extension { number: 44, rest: vec![9, 0, 0, 0, 0, 0, 0] }])
            .frame(17, &udp(3000, 53)),
    );
    corpus.add(
        "an IPv6 packet behind IPv4's type",
        patched(Ipv6::default().frame(17, &udp(3000, 53)), 12, &[8, 0]),
    );
    corpus.add(
        "an IPv4 packet behind IPv6's type",
        patched(Ipv4::default().frame(17, &udp(3000, 53)), 12, &[0x86, 0xdd]),
    );
}

fn padding(corpus: &mut Corpus) {
    for length in [1, 6, 18, 200] {
        let padded = |frame: Vec<u8>| [frame, vec![0; length]].concat();
        corpus.add(
            format!("IPv4 UDP with {length} bytes of padding"),
            padded(Ipv4::default().frame(17, &udp(3000, 53))),
        );
        corpus.add(
            format!("IPv6 UDP with {length} bytes of padding"),
            padded(Ipv6::default().frame(17, &udp(3000, 53))),
        );
        corpus.add(
            format!("half a TCP header with {length} bytes of padding"),
            padded(Ipv4::default().frame(6, &tcp(3000, 80, 2)[..10])),
        );
        let first = Ipv4 { fragment: 0x2000, ..Ipv4::default() };
        corpus.add(
            format!("tiny first fragment with {length} bytes of padding"),
            padded(first.frame(6, &tcp(3000, 80, 2)[..8])),
        );
    }
}
