//! Fragments of both families.

use super::build::{Extension, Ipv4, Ipv6, icmp, ported, tcp, udp};
use super::corpus::Corpus;

const MORE: u16 = 0x2000;

pub(super) fn add(corpus: &mut Corpus) {
    for (name, number, header) in [
        ("TCP", 6, tcp(1000, 80, 0x02)),
        ("UDP", 17, udp(1000, 53)),
        ("UDP-Lite", 136, ported(1000, 53)),
        ("SCTP", 132, ported(1000, 2905)),
        ("DCCP", 33, ported(1000, 5001)),
        ("ICMP", 1, icmp(8, 0)),
        ("ICMPv6", 58, icmp(128, 0)),
        ("GRE", 47, vec![0; 16]),
        ("ESP", 50, vec![0xe5; 16]),
    ] {
        v4(corpus, name, number, &header);
        v6(corpus, name, number, &header);
    }
    odd_v4(corpus);
    odd_v6(corpus);
}

fn v4(corpus: &mut Corpus, name: &str, number: u8, header: &[u8]) {
    let mut add = |what: &str, fragment, payload: &[u8]| {
        corpus.add(
            format!("IPv4 {name} {what} fragment"),
            Ipv4 { fragment, ..Ipv4::default() }.frame(number, payload),
        );
    };
    add("first", MORE, &[header, &[0x11; 24]].concat());
    add("tiny first", MORE, &header[..3]);
    add("middle", MORE | 3, &[0x22; 24]);
    add("last", 185, &[0x33; 17]);
    add("overlapping", MORE | 1, &[0x44; 16]);
    add("last at offset 1", 1, &[0x55; 16]);
    add("last, which looks like a header,", 200, header);
}

fn v6(corpus: &mut Corpus, name: &str, number: u8, header: &[u8]) {
    let mut add = |what: &str, offset, more, payload: &[u8]| {
        let packet = Ipv6::behind(vec![Extension::fragment(offset, more)]);
        corpus.add(format!("IPv6 {name} {what} fragment"), packet.frame(number, payload));
    };
    add("first", 0, true, &[header, &[0x11; 24]].concat());
    add("tiny first", 0, true, &header[..3]);
    add("middle", 3, true, &[0x22; 24]);
    add("last", 185, false, &[0x33; 17]);
    add("overlapping", 1, true, &[0x44; 16]);
    add("last at offset 1", 1, false, &[0x55; 16]);
    add("atomic", 0, false, &[header, &[0x66; 8]].concat());
    add("tiny atomic", 0, false, &header[..3]);
}

fn odd_v4(corpus: &mut Corpus) {
    for (name, fragment) in [
        ("at the last offset", 0x1fff),
        ("at the last offset with more to come", 0x3fff),
        ("with don't fragment and more to come", 0x6000),
        ("with don't fragment at offset 2", 0x4002),
        ("with the reserved flag and more to come", 0xa000),
        ("with all bits set", 0xffff),
    ] {
        corpus.add(
            format!("IPv4 fragment {name}"),
            Ipv4 { fragment, ..Ipv4::default() }.frame(17, &udp(1000, 53)),
        );
    }
    let options = Ipv4 { fragment: 9, options: vec![1; 40], ..Ipv4::default() };
    corpus.add("IPv4 later fragment with all options", options.frame(6, &[0; 8]));
    let no_flags = tcp(1000, 80, 2);
    for length in [0, 8, 13, 14, 19] {
        let first = Ipv4 { fragment: MORE, ..Ipv4::default() };
        corpus.add(
            format!("IPv4 first fragment with {length} bytes of TCP"),
            first.frame(6, &no_flags[..length]),
        );
    }
    let offset = Ipv4 { fragment: MORE, ..Ipv4::default() };
    corpus.add(
        "IPv4 first fragment with half of TCP's options",
        offset.frame(6, &super::build::tcp_with(1000, 80, 2, 10)[..28]),
    );
    corpus.add(
        "IPv4 first fragment with UDP length of the whole",
        offset.frame(17, &super::build::udp_with(1000, 53, 4000)),
    );
    corpus.add("IPv4 empty later fragment", Ipv4 { fragment: 77, ..Ipv4::default() }.frame(17, &[]));
}

fn odd_v6(corpus: &mut Corpus) {
    for extension in [0, 43, 44, 51, 60, 135, 139, 140] {
        let later = Ipv6::behind(vec![Extension::fragment(40, true)]);
        corpus.add(
            format!("IPv6 later fragment of extension {extension}"),
            later.frame(extension, &[6, 0, 0, 0, 0, 0, 0, 0]),
        );
    }
    let first = |behind: Vec<Extension>| Ipv6::behind([vec![Extension::fragment(0, true)], behind].concat());
    corpus.add(
        "IPv6 first fragment with options inside",
        first(vec![Extension::short(60)]).frame(17, &udp(1000, 53)),
    );
    corpus.add(
        "IPv6 first fragment that ends in its options",
        first(vec![]).frame(60, &[17, 3, 0, 0, 0, 0, 0, 0]),
    );
    corpus.add("IPv6 first fragment that ends before its options", first(vec![]).frame(60, &[17]));
    corpus.add(
        "IPv6 atomic fragment in a first one",
        first(vec![Extension::fragment(0, false)]).frame(17, &udp(1000, 53)),
    );
    corpus.add(
        "IPv6 first fragment in a first one",
        first(vec![Extension::fragment(0, true)]).frame(6, &tcp(1000, 80, 2)),
    );
    corpus.add(
        "IPv6 later fragment in a first one",
        first(vec![Extension::fragment(5, true)]).frame(17, &udp(1000, 53)),
    );
    let atomic = || Extension::fragment(0, false);
    corpus.add("IPv6 two atomic fragments", Ipv6::behind(vec![atomic(), atomic()]).frame(17, &udp(1000, 53)));
    corpus.add(
        "IPv6 first fragment in an atomic one",
        Ipv6::behind(vec![atomic(), Extension::fragment(0, true)]).frame(17, &udp(1000, 53)),
    );
    corpus.add(
        "IPv6 later fragment behind options",
        Ipv6::behind(vec![Extension::short(0), Extension::short(60), Extension::fragment(9, false)])
            .frame(6, &[0; 8]),
    );
    corpus.add(
        "IPv6 later fragment behind seven options",
        Ipv6::behind([vec![Extension::short(60); 7], vec![Extension::fragment(9, false)]].concat())
            .frame(6, &[0; 8]),
    );
    corpus.add(
        "IPv6 later fragment behind eight options",
        Ipv6::behind([vec![Extension::short(60); 8], vec![Extension::fragment(9, false)]].concat())
            .frame(6, &[0; 8]),
    );
    let reserved = Extension { number: 44, rest: vec![0xff, 0, 6, 0, 0, 0, 0] };
    corpus.add(
        "IPv6 atomic fragment with reserved bits",
        Ipv6::behind(vec![reserved]).frame(17, &udp(1000, 53)),
    );
    corpus.add(
        "IPv6 fragment at the last offset",
        Ipv6::behind(vec![Extension::fragment(0x1fff, true)]).frame(17, &udp(1000, 53)),
    );
    corpus
        .add("IPv6 empty later fragment", Ipv6::behind(vec![Extension::fragment(77, false)]).frame(17, &[]));
}
