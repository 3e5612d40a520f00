use sluice_interpret::packet::Packet;
use sluice_policy::{IcmpFamily, IcmpMatch, Match, PortRange, TcpFlags};

use crate::build::*;

#[test]
fn both_ends_of_a_range_are_in_it() {
    for (first, last, port, expected) in [
        (8000, 8100, 7999, false),
        (8000, 8100, 8000, true),
        (8000, 8100, 8100, true),
        (8000, 8100, 8101, false),
        (0, 0, 0, true),
        (0, 0, 1, false),
        (65535, 65535, 65535, true),
        (65535, 65535, 65534, false),
        (0, 65535, 0, true),
        (0, 65535, 65535, true),
    ] {
        let to = Match { destination_ports: ports(first, last), ..Match::default() };
        let from = Match { source_ports: ports(first, last), ..Match::default() };
        assert_eq!(hits(to, &V4::default().frame(6, &tcp(443, port, 2))), expected, "{first}-{last}: {port}");
        assert_eq!(hits(from, &V6::default().frame(17, &udp(port, 443))), expected, "{first}-{last}: {port}");
    }
    let lists = Match {
        destination_ports: vec![PortRange { first: 1, last: 2 }, PortRange { first: 9, last: 9 }],
        ..Match::default()
    };
    assert!(hits(lists, &V4::default().frame(17, &udp(5, 9))), "any of a list");
}

#[test]
fn five_protocols_have_ports_and_no_other() {
    let any = || Match { destination_ports: ports(0, 65535), ..Match::default() };
    for number in 0..=255 {
        let payload = [tcp(9, 53, 2), vec![0; 20]].concat();
        let payload = if number == 17 { udp(9, 53) } else { payload };
        let expected = [6, 17, 33, 132, 136].contains(&number);
        assert_eq!(hits(any(), &V4::default().frame(number, &payload)), expected, "{number}");
    }
}

#[test]
fn tcp_flags_set_and_unset() {
    let wants = |set, unset| Match { tcp_flags: Some(TcpFlags { set, unset }), ..Match::default() };
    for flags in 0..=255u8 {
        let frame = V4::default().frame(6, &tcp(9, 80, flags));
        assert_eq!(hits(wants(0x02, 0x10), &frame), flags & 0x12 == 0x02, "{flags:#04x}");
        assert_eq!(hits(wants(0xc0, 0), &frame), flags & 0xc0 == 0xc0, "{flags:#04x}");
        assert_eq!(hits(wants(0, 0xff), &frame), flags == 0, "{flags:#04x}");
    }
    assert!(!hits(wants(0, 0x01), &V4::default().frame(17, &udp(1, 2))), "UDP has no flags");
}

fn icmp(family: IcmpFamily, icmp_type: Option<u8>, code: Option<u8>) -> Match {
    Match { icmp: vec![IcmpMatch { family, icmp_type, code }], ..Match::default() }
}

#[test]
fn icmp_goes_by_family_type_and_code() {
    use IcmpFamily::{V4 as Four, V6 as Six};
    let unreachable = V4::default().frame(1, &[3, 4, 0, 0, 0, 0, 0, 0]);
    let neighbour = V6::default().frame(58, &[135, 0, 0, 0, 0, 0, 0, 0]);
    for (family, icmp_type, code, v4, v6) in [
        (Four, None, None, true, false),
        (Six, None, None, false, true),
        (Four, Some(3), None, true, false),
        (Four, Some(3), Some(4), true, false),
        (Four, Some(3), Some(3), false, false),
        (Four, Some(8), None, false, false),
        (Four, Some(135), None, false, false),
        (Six, Some(135), Some(0), false, true),
        (Six, Some(3), None, false, false),
    ] {
        let wanted = icmp(family, icmp_type, code);
        assert_eq!(
            (hits(wanted.clone(), &unreachable), hits(wanted.clone(), &neighbour)),
            (v4, v6),
            "{wanted:?}"
        );
    }
}

#[test]
fn icmp_of_the_wrong_family_is_no_icmp_and_no_error() {
    let frame = V6::default().frame(1, &[8, 0]);
    assert!(!hits(icmp(IcmpFamily::V4, None, None), &frame));
    assert!(!hits(icmp(IcmpFamily::V6, None, None), &frame));
    assert!(!Packet::parse(&frame).malformed);
    assert!(!Packet::parse(&V4::default().frame(58, &[128, 0])).malformed);
}

#[test]
fn all_fields_of_a_match_must_fit() {
    let matches = Match {
        sources: prefixes(&["192.0.2.0/24"], &[]),
        protocols: vec![6, 17],
        destination_ports: ports(53, 53),
        ..Match::default()
    };
    assert!(hits(matches.clone(), &V4::default().frame(17, &udp(9, 53))));
    assert!(!hits(matches.clone(), &V4::default().frame(17, &udp(9, 54))));
    assert!(!hits(matches.clone(), &V4::default().frame(132, &[0, 9, 0, 53, 0, 0, 0, 0, 0, 0, 0, 0])));
    assert!(!hits(matches, &V4 { source: "192.0.3.1", ..V4::default() }.frame(17, &udp(9, 53))));
}
