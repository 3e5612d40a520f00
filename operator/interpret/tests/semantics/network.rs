use std::ops::RangeInclusive;

use sluice_policy::{ExtensionHeader, IpOption, Match};

use crate::build::*;

fn of_class(class: u8) -> [Vec<u8>; 2] {
    let v4 = V4 { class, ..V4::default() }.frame(17, &udp(9, 53));
    [v4, V6 { class, ..V6::default() }.frame(17, &udp(9, 53))]
}

#[test]
fn ttl_and_hop_limit_are_one_field() {
    let wants = |range| Match { hop_limit: vec![range], ..Match::default() };
    for limit in [0, 1, 2, 64, 255] {
        let v4 = V4 { ttl: limit, ..V4::default() }.frame(17, &udp(9, 53));
        let v6 = V6 { hop_limit: limit, ..V6::default() }.frame(17, &udp(9, 53));
        for frame in [v4, v6] {
            assert_eq!(hits(wants(0..=1), &frame), limit <= 1, "{limit}");
            assert_eq!(hits(wants(2..=254), &frame), (2..=254).contains(&limit), "{limit}");
            assert_eq!(hits(wants(255..=255), &frame), limit == 255, "{limit}");
        }
    }
}

#[test]
fn dscp_is_the_upper_part_of_the_class_and_ecn_the_lower() {
    for frame in of_class(0xb9) {
        assert!(hits(Match { dscp: vec![46..=46], ..Match::default() }, &frame));
        assert!(!hits(Match { dscp: vec![0..=45, 47..=63], ..Match::default() }, &frame));
        assert!(hits(Match { ecn: vec![1..=1], ..Match::default() }, &frame));
        assert!(!hits(Match { ecn: vec![0..=0, 2..=3], ..Match::default() }, &frame));
        assert!(!hits(Match { dscp: vec![46..=46], ecn: vec![3..=3], ..Match::default() }, &frame));
    }
}

#[test]
fn a_length_is_the_ip_packets_as_its_header_says() {
    let is =
        |length: u16, frame: &[u8]| hits(Match { length: vec![length..=length], ..Match::default() }, frame);
    assert!(is(32, &V4::default().frame(17, &udp(9, 53))));
    assert!(is(52, &V6::default().frame(17, &udp(9, 53))));
    assert!(is(72, &V4 { options: vec![1; 40], ..V4::default() }.frame(17, &udp(9, 53))));
    let mut padded = V4::default().frame(17, &udp(9, 53));
    padded.extend([0; 14]);
    assert!(is(32, &padded), "padding is not the packet's");
    let mut claims = V4::default().frame(17, &udp(9, 53));
    claims[16..18].copy_from_slice(&1500u16.to_be_bytes());
    assert!(is(1500, &claims), "what the header claims counts");
}

#[test]
fn a_jumbograms_length_is_what_the_frame_holds() {
    let mut jumbo = V6 { extensions: vec![(0, vec![0; 8])], ..V6::default() }.frame(17, &udp(9, 53));
    jumbo[18..20].copy_from_slice(&[0, 0]);
    assert!(hits(Match { length: vec![60..=60], ..Match::default() }, &jumbo));
    let mut empty = V6::default().frame(59, &[]);
    assert!(hits(Match { length: vec![40..=40], ..Match::default() }, &empty));
    empty[18..20].copy_from_slice(&[0xff, 0xff]);
    assert!(
        hits(Match { length: vec![65535..=65535], ..Match::default() }, &empty),
        "65575 is more than a range says"
    );
}

#[test]
fn later_fragments_have_them_too() {
    let later = V4 { fragment: 9, ttl: 3, class: 0x28, ..V4::default() }.frame(17, &[0; 8]);
    let wanted =
        Match { hop_limit: vec![3..=3], dscp: vec![10..=10], length: vec![28..=28], ..Match::default() };
    assert!(hits(wanted, &later));
}

#[test]
fn without_an_intact_ip_header_none_matches() {
    let all: [RangeInclusive<u16>; 1] = [0..=u16::MAX];
    let mut broken = V4::default().frame(17, &udp(9, 53));
    broken[14] = 0x44;
    for frame in [ethernet(0x0806, &[0; 28]), broken, ethernet(0x86dd, &[0x60; 39])] {
        for wanted in [
            Match { length: all.to_vec(), ..Match::default() },
            Match { hop_limit: all.to_vec(), ..Match::default() },
            Match { dscp: all.to_vec(), ..Match::default() },
            Match { ecn: all.to_vec(), ..Match::default() },
        ] {
            assert!(!hits(wanted, &frame));
        }
    }
}

#[test]
fn options_are_found_wherever_they_stand() {
    use IpOption::*;
    let has = |option, options: &[u8]| {
        let frame = V4 { options: options.to_vec(), ..V4::default() }.frame(17, &udp(9, 53));
        hits(Match { ip_options: vec![option], ..Match::default() }, &frame)
    };
    for (kind, option) in [
        (7, RecordRoute),
        (68, Timestamp),
        (130, Security),
        (131, Lsrr),
        (136, StreamId),
        (137, Ssrr),
        (148, RouterAlert),
    ] {
        for options in [vec![kind, 4, 0, 0], vec![1, kind, 3, 0], vec![134, 4, 0, 0, 1, 1, kind, 2]] {
            assert!(has(option, &options) && has(Any, &options), "{option:?} in {options:?}");
        }
        assert!(!has(option, &[134, 4, kind, kind]), "{option:?} within another");
        assert!(!has(option, &[0, kind, 2, 0]), "{option:?} behind the end");
        assert!(!has(Other, &[kind, 4, 0, 0]), "{option:?} has a name");
    }
    assert!(has(Other, &[134, 4, 0, 0]) && has(Other, &[255, 4, 0, 0]));
    assert!(has(Any, &[1; 40]) && !has(Other, &[1; 40]), "padding is something and no option");
    assert!(!has(Any, &[]));
}

#[test]
fn a_damaged_option_counts_and_ends_the_walk() {
    use IpOption::*;
    for length in [0, 1, 9, 255] {
        let frame =
            V4 { options: vec![131, length, 137, 2, 148, 4, 0, 0], ..V4::default() }.frame(17, &udp(9, 53));
        assert!(hits(Match { ip_options: vec![Lsrr], ..Match::default() }, &frame), "{length}");
        assert!(!hits(Match { ip_options: vec![Ssrr, RouterAlert], ..Match::default() }, &frame), "{length}");
        assert!(!on_eth0(&world(vec![]), &frame).malformed, "options are not the filter's to judge");
    }
}

#[test]
fn extension_headers_are_found_wherever_they_stand() {
    use ExtensionHeader::*;
    let all = [
        (0, HopByHop),
        (43, Routing),
        (44, Fragment),
        (51, Authentication),
        (60, DestinationOptions),
        (135, Mobility),
        (139, Hip),
        (140, Shim6),
    ];
    let header = |number: u8| (number, if number == 51 { vec![0, 0, 0, 0, 0, 0, 0, 0] } else { vec![0; 8] });
    let has =
        |header, frame: &[u8]| hits(Match { extension_headers: vec![header], ..Match::default() }, frame);
    for (number, wanted) in all {
        let alone = V6 { extensions: vec![header(number)], ..V6::default() }.frame(17, &udp(9, 53));
        let last = V6 { extensions: vec![header(60), header(0), header(number)], ..V6::default() }
            .frame(17, &udp(9, 53));
        assert!(has(wanted, &alone) && has(Any, &alone) && has(wanted, &last), "{wanted:?}");
        for (_, other) in all.into_iter().filter(|(_, other)| *other != wanted) {
            assert!(!has(other, &alone), "{other:?} is not {wanted:?}");
        }
    }
    assert!(!has(Any, &V6::default().frame(17, &udp(9, 53))));
    assert!(!has(Any, &V4::default().frame(51, &[17, 4, 0, 0, 0, 0, 0, 0])), "AH is a protocol in IPv4");
}

/// What is whole counts, also where the chain breaks behind it.
#[test]
fn of_a_broken_chain_the_whole_headers_count() {
    use ExtensionHeader::*;
    let frame = V6 { extensions: vec![(43, vec![0; 8])], ..V6::default() }.frame(60, &[17, 9, 0, 0]);
    assert!(hits(Match { extension_headers: vec![Routing], ..Match::default() }, &frame));
    assert!(!hits(Match { extension_headers: vec![DestinationOptions], ..Match::default() }, &frame));
    let later = V6 { extensions: vec![fragment_header(9, true)], ..V6::default() }
        .frame(43, &[17, 0, 0, 0, 0, 0, 0, 0]);
    assert!(hits(Match { extension_headers: vec![Fragment], ..Match::default() }, &later));
    assert!(
        !hits(Match { extension_headers: vec![Routing], ..Match::default() }, &later),
        "it is in the first fragment"
    );
}
