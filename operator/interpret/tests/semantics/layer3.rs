use sluice_interpret::packet::Packet;
use sluice_policy::Match;

use crate::build::*;

fn from(cidrs: &[&str], except: &[&str]) -> Match {
    Match { sources: prefixes(cidrs, except), ..Match::default() }
}

fn protocol(number: u8) -> Match {
    Match { protocols: vec![number], ..Match::default() }
}

#[test]
fn prefixes_hold_their_first_and_last_address() {
    for (source, expected) in [
        ("192.0.2.127", false),
        ("192.0.2.128", true),
        ("192.0.2.255", true),
        ("192.0.3.0", false),
        ("0.0.0.0", false),
        ("255.255.255.255", false),
    ] {
        let frame = V4 { source, ..V4::default() }.frame(17, &udp(1, 2));
        assert_eq!(hits(from(&["192.0.2.128/25"], &[]), &frame), expected, "{source}");
    }
    for (source, expected) in [
        ("2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", false),
        ("2001:db8::", true),
        ("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", true),
        ("2001:db9::", false),
    ] {
        let frame = V6 { source, ..V6::default() }.frame(17, &udp(1, 2));
        assert_eq!(hits(from(&["2001:db8::/32"], &[]), &frame), expected, "{source}");
    }
}

#[test]
fn the_families_are_kept_apart() {
    let v4 = V4::default().frame(17, &udp(1, 2));
    let v6 = V6::default().frame(17, &udp(1, 2));
    assert!(hits(from(&["0.0.0.0/0"], &[]), &v4) && !hits(from(&["0.0.0.0/0"], &[]), &v6));
    assert!(hits(from(&["::/0"], &[]), &v6) && !hits(from(&["::/0"], &[]), &v4));
    let mapped = V6 { source: "::ffff:192.0.2.1", ..V6::default() }.frame(17, &udp(1, 2));
    assert!(!hits(from(&["192.0.2.0/24"], &[]), &mapped), "a mapped address in IPv6 is IPv6");
    assert!(hits(from(&["::ffff:0:0/96"], &[]), &mapped));
    assert!(!hits(from(&["::ffff:0:0/96"], &[]), &v4));
}

#[test]
fn exceptions_take_out_and_alone_mean_all_but() {
    let at = |source| V4 { source, ..V4::default() }.frame(17, &udp(1, 2));
    let some = from(&["192.0.2.0/24"], &["192.0.2.7/32"]);
    assert!(hits(some.clone(), &at("192.0.2.6")) && hits(some.clone(), &at("192.0.2.8")));
    assert!(!hits(some, &at("192.0.2.7")));
    let all_but = from(&[], &["192.0.2.0/24"]);
    assert!(!hits(all_but.clone(), &at("192.0.2.7")) && hits(all_but.clone(), &at("192.0.3.7")));
    assert!(hits(all_but, &V6::default().frame(17, &udp(1, 2))), "of either family");
}

#[test]
fn both_ends_have_their_field() {
    let frame = V4::default().frame(17, &udp(1, 2));
    let to = Match { destinations: prefixes(&["198.51.100.0/24"], &[]), ..Match::default() };
    assert!(hits(to, &frame) && !hits(from(&["198.51.100.0/24"], &[]), &frame));
}

#[test]
fn ipv4_options_of_every_length_are_stepped_over() {
    for words in 0..=10 {
        let options = vec![1; words * 4];
        let frame = V4 { options, ..V4::default() }.frame(17, &udp(9, 53));
        assert!(
            hits(Match { destination_ports: ports(53, 53), ..Match::default() }, &frame),
            "{words} words"
        );
    }
}

#[test]
fn every_protocol_can_be_named() {
    for number in 0..=255 {
        let frame = V4::default().frame(number, &[0; 40]);
        assert!(hits(protocol(number), &frame), "{number}");
        assert!(!hits(protocol(number.wrapping_add(1)), &frame), "{number}");
    }
}

#[test]
fn every_extension_header_is_stepped_over_in_any_order() {
    let headers = |number: u8| match number {
        44 => fragment_header(0, false),
        51 => (51, [&[0, 4][..], &[0; 22]].concat()),
        number => (number, [&[0, 1][..], &[0; 14]].concat()),
    };
    let all = [0, 43, 60, 135, 139, 140, 51, 44];
    for number in all {
        let frame = V6 { extensions: vec![headers(number)], ..V6::default() }.frame(6, &tcp(9, 80, 2));
        assert!(hits(Match { destination_ports: ports(80, 80), ..protocol(6) }, &frame), "{number}");
        assert!(!hits(protocol(number), &frame), "{number} is not the upper-layer protocol");
    }
    for start in 0..all.len() {
        let extensions = (0..8).map(|step| headers(all[(start + step * 3) % 8])).collect();
        let frame = V6 { extensions, ..V6::default() }.frame(17, &udp(9, 53));
        assert!(hits(Match { destination_ports: ports(53, 53), ..protocol(17) }, &frame), "from {start}");
    }
}

#[test]
fn a_ninth_extension_header_is_one_too_many() {
    let destination_options = || (60, vec![0; 8]);
    for (count, known) in [(7, true), (8, true), (9, false)] {
        let extensions = (0..count).map(|_| destination_options()).collect();
        let frame = V6 { extensions, ..V6::default() }.frame(17, &udp(9, 53));
        let packet = Packet::parse(&frame);
        assert_eq!((packet.protocol == Some(17), packet.malformed), (known, !known), "{count}");
        assert!(packet.ip.is_some());
    }
}

#[test]
fn no_next_header_is_a_protocol_like_any_other() {
    let frame = V6::default().frame(59, &[1, 2, 3]);
    assert!(hits(protocol(59), &frame));
    assert!(!Packet::parse(&frame).malformed);
}
