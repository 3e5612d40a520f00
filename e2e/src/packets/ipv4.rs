//! IPv4: options, protocols, addresses.

use std::net::Ipv4Addr;

use super::build::{Ipv4, Ipv6, ported, tag, tcp, udp};
use super::corpus::Corpus;

pub(super) fn add(corpus: &mut Corpus) {
    options(corpus);
    option_kinds(corpus);
    damaged_options(corpus);
    protocols(corpus);
    addresses(corpus);
    fields(corpus);
}

fn options(corpus: &mut Corpus) {
    for words in 1..=10 {
        let with = Ipv4 { options: vec![1; words * 4], ..Ipv4::default() };
        corpus.add(format!("IPv4 with {words} words of options, UDP"), with.frame(17, &udp(1000, 53)));
        corpus.add(format!("IPv4 with {words} words of options, TCP"), with.frame(6, &tcp(1000, 443, 0x10)));
    }
    let router_alert = Ipv4 { options: vec![0x94, 4, 0, 0], ..Ipv4::default() };
    corpus.add("IPv4 router alert", router_alert.frame(46, &[0; 8]));
    let source_route = Ipv4 { options: vec![0x83, 7, 4, 198, 51, 100, 1, 0], ..Ipv4::default() };
    corpus.add("IPv4 loose source route", source_route.frame(17, &udp(1000, 53)));
    let nonsense = Ipv4 { options: vec![0xff; 12], ..Ipv4::default() };
    corpus.add("IPv4 nonsense in options", nonsense.frame(6, &tcp(1000, 80, 2)));
}

fn with_options(options: &[u8]) -> Vec<u8> {
    let mut options = options.to_vec();
    options.resize(options.len().next_multiple_of(4), 0);
    Ipv4 { options, ..Ipv4::default() }.frame(17, &udp(1002, 53))
}

fn option_kinds(corpus: &mut Corpus) {
    for kind in
        [2, 6, 7, 8, 67, 68, 69, 129, 130, 131, 132, 133, 134, 135, 136, 137, 138, 147, 148, 149, 222, 255]
    {
        corpus.add(format!("IPv4 option {kind}"), with_options(&[kind, 4, 0, 0]));
        corpus.add(format!("IPv4 option {kind} behind padding"), with_options(&[1, 1, 1, kind, 3, 9]));
    }
    corpus.add("IPv4 two options", with_options(&[7, 3, 4, 148, 4, 0, 0]));
    corpus.add("IPv4 both source routes", with_options(&[131, 7, 4, 1, 2, 3, 4, 137, 3, 4]));
    let all = [7, 2, 68, 2, 130, 2, 131, 2, 136, 2, 137, 2, 148, 2, 134, 2];
    corpus.add("IPv4 every option", with_options(&all));
    corpus.add("IPv4 options alike", with_options(&[148, 4, 0, 0].repeat(10)));
    corpus.add("IPv4 an option that fills the header", with_options(&[&[7, 40][..], &[4; 38]].concat()));
    corpus.add("IPv4 a last option of two bytes", with_options(&[&[1; 38][..], &[136, 2]].concat()));
    corpus.add("IPv4 options that end at once", with_options(&[0, 131, 4, 0]));
    corpus.add("IPv4 options behind the end", with_options(&[148, 4, 0, 0, 0, 131, 3, 4]));
    corpus.add("IPv4 nothing but ends", with_options(&[0; 40]));
    let alert = Ipv4 { options: vec![148, 4, 0, 0], fragment: 7, ..Ipv4::default() };
    corpus.add("IPv4 later fragment with an option", alert.frame(17, &[0; 8]));
    let in_vlan = tag(0x88a8, 5, &tag(0x8100, 6, &with_options(&[131, 3, 4])));
    corpus.add("IPv4 source route in QinQ", in_vlan);
}

fn damaged_options(corpus: &mut Corpus) {
    for length in [0, 1, 5, 39, 40, 41, 255] {
        corpus.add(format!("IPv4 option of claimed length {length}"), with_options(&[131, length, 137, 2]));
    }
    corpus.add("IPv4 option without a length", with_options(&[1, 1, 1, 131]));
    corpus.add(
        "IPv4 option without a length, of the longest header",
        with_options(&[&[1; 39][..], &[148]].concat()),
    );
    corpus.add("IPv4 option behind a damaged one", with_options(&[7, 1, 148, 4, 0, 0, 0, 0]));
    let route = Ipv4 { options: vec![131, 7, 4, 1, 2, 3, 4, 0], total_length: Some(24), ..Ipv4::default() };
    corpus.add("IPv4 option beyond the total length", route.frame(17, &udp(1002, 53)));
}

fn protocols(corpus: &mut Corpus) {
    let inner = Ipv4 { source: Ipv4Addr::new(10, 9, 9, 9), ..Ipv4::default() }.packet(17, &udp(53, 53));
    for (name, number, payload) in [
        ("hop-by-hop number in IPv4", 0, vec![17, 0, 0, 0, 0, 0, 0, 0]),
        ("IPIP", 4, inner.clone()),
        ("6in4", 41, Ipv6::default().packet(17, &udp(1000, 53))),
        ("routing header number in IPv4", 43, vec![17, 0, 0, 0, 0, 0, 0, 0]),
        ("fragment header number in IPv4", 44, vec![17, 0, 0, 1, 0, 0, 0, 0]),
        ("GRE", 47, [&[0, 0, 8, 0][..], &inner].concat()),
        ("ESP", 50, vec![0xe5; 40]),
        ("AH in IPv4", 51, [&[17, 4, 0, 0][..], &[0; 20], &udp(1000, 53)].concat()),
        ("no next header in IPv4", 59, vec![]),
        ("PIM", 103, vec![0x20, 0, 0, 0]),
        ("L2TP", 115, vec![0; 12]),
        ("SCTP", 132, ported(1000, 2905)),
        ("DCCP", 33, ported(1000, 5001)),
        ("UDP-Lite", 136, ported(1000, 53)),
        ("the last protocol number", 255, vec![0xff; 8]),
        ("EGP", 8, vec![0; 8]),
        ("ICMPv6 number in IPv4", 58, vec![135, 0, 0, 0, 0, 0, 0, 0]),
    ] {
        corpus.add(name, Ipv4::default().frame(number, &payload));
        corpus.add(format!("{name}, empty"), Ipv4 { tos: 4, ..Ipv4::default() }.frame(number, &[]));
    }
}

fn addresses(corpus: &mut Corpus) {
    for text in [
        "0.0.0.0",
        "0.0.0.1",
        "127.0.0.1",
        "10.0.0.0",
        "10.255.255.255",
        "11.0.0.0",
        "9.255.255.255",
        "192.0.2.127",
        "192.0.2.128",
        "192.0.2.255",
        "192.0.3.0",
        "192.0.2.7",
        "192.0.2.6",
        "192.0.2.8",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.0",
        "255.255.255.254",
        "255.255.255.255",
    ] {
        let address: Ipv4Addr = text.parse().expect("written above");
        let from = Ipv4 { source: address, ..Ipv4::default() };
        corpus.add(format!("from {text}"), from.frame(17, &udp(1000, 53)));
        let to = Ipv4 { destination: address, ..Ipv4::default() };
        corpus.add(format!("to {text}"), to.frame(17, &udp(1000, 53)));
    }
}

fn fields(corpus: &mut Corpus) {
    for ttl in [0, 1, 255] {
        corpus.add(format!("IPv4 TTL {ttl}"), Ipv4 { ttl, ..Ipv4::default() }.frame(17, &udp(1000, 53)));
    }
    let don_t_fragment = Ipv4 { fragment: 0x4000, ..Ipv4::default() };
    corpus.add("IPv4 don't fragment", don_t_fragment.frame(6, &tcp(1000, 80, 0x10)));
    let reserved = Ipv4 { fragment: 0x8000, ..Ipv4::default() };
    corpus.add("IPv4 reserved flag", reserved.frame(6, &tcp(1000, 80, 0x10)));
    let marked = Ipv4 { tos: 0xb9, ..Ipv4::default() };
    corpus.add("IPv4 DSCP EF with ECT", marked.frame(6, &tcp(1000, 80, 0x10)));
    let large = [udp(1000, 53), vec![0xaa; 1400]].concat();
    let mut large_frame = Ipv4::default().frame(17, &large);
    large_frame[38..40].copy_from_slice(&(large.len() as u16).to_be_bytes());
    corpus.add("IPv4 of full size", large_frame);
}
