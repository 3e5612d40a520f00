use sluice_interpret::packet::Packet;
use sluice_interpret::{Stage, Verdict};
use sluice_policy::{Action, Malformed, Match};

use crate::build::*;

fn is_malformed(frame: &[u8]) -> bool {
    Packet::parse(frame).malformed
}

#[test]
fn every_cut_of_a_whole_packet_is_malformed_and_no_other() {
    for frame in [
        V4 { options: vec![1; 8], ..V4::default() }.frame(6, &tcp(9, 80, 2)),
        V6 { extensions: vec![(60, vec![0; 8]), fragment_header(0, false)], ..V6::default() }
            .frame(17, &udp(9, 53)),
        tag(0x8100, 5, &V4::default().frame(1, &[8, 0, 0, 0, 0, 1, 0, 1])),
    ] {
        assert!(!is_malformed(&frame));
        assert!(!is_malformed(&[&frame[..], &[0; 7]].concat()), "padding is none of IP's");
        for length in 0..frame.len() {
            assert!(is_malformed(&frame[..length]), "{length} of {}", frame.len());
        }
    }
}

#[test]
fn fields_of_intact_layers_still_match() {
    let frame = V4::default().frame(6, &tcp(9, 80, 2)[..12]);
    assert!(is_malformed(&frame));
    assert!(hits(
        Match { protocols: vec![6], sources: prefixes(&["192.0.2.1/32"], &[]), ..Match::default() },
        &frame
    ));
    assert!(!hits(Match { destination_ports: ports(80, 80), ..Match::default() }, &frame));
    let mut too_long = V4::default().frame(17, &udp(9, 53));
    too_long[17] += 1;
    assert!(is_malformed(&too_long));
    assert!(hits(Match { destination_ports: ports(53, 53), ..Match::default() }, &too_long));
}

#[test]
fn a_header_that_lies_is_malformed() {
    let patched = |at: usize, value: u8| {
        let mut frame = V4::default().frame(6, &tcp(9, 80, 2));
        frame[at] = value;
        frame
    };
    for (name, frame) in [
        ("version 5", patched(14, 0x55)),
        ("version 6 behind the IPv4 type", patched(14, 0x65)),
        ("IHL 4", patched(14, 0x44)),
        ("IHL beyond the frame", patched(14, 0x4f)),
        ("total length 0", patched(17, 0)),
        ("total length below IHL", patched(17, 19)),
        ("total length without the TCP header", patched(17, 39)),
        ("total length beyond the frame", patched(17, 41)),
        ("TCP data offset 4", patched(46, 0x40)),
        ("TCP data offset beyond the packet", patched(46, 0x60)),
    ] {
        assert!(is_malformed(&frame), "{name}");
    }
    let udp_length = |length: u8| {
        let mut frame = V4::default().frame(17, &udp(9, 53));
        frame[39] = length;
        frame
    };
    for (length, expected) in [(0, true), (7, true), (8, false), (12, false), (13, true)] {
        assert_eq!(is_malformed(&udp_length(length)), expected, "UDP length {length}");
        assert!(hits(Match { destination_ports: ports(53, 53), ..Match::default() }, &udp_length(length)));
    }
}

#[test]
fn what_ends_behind_total_length_is_not_there() {
    let mut frame = V4::default().frame(17, &udp(9, 53));
    frame[17] = 24;
    assert!(!hits(Match { destination_ports: ports(53, 53), ..Match::default() }, &frame));
}

#[test]
fn the_setting_decides_only_where_no_rule_did() {
    let runt = V4::default().frame(6, &[0; 4]);
    for (setting, default, expected) in [
        (Malformed::Pass, Action::Next, (Verdict::Pass, Stage::Default, false)),
        (Malformed::Pass, Action::Drop, (Verdict::Pass, Stage::Malformed, true)),
        (Malformed::Pass, Action::Pass, (Verdict::Pass, Stage::Malformed, true)),
        (Malformed::Drop, Action::Next, (Verdict::Drop, Stage::Malformed, true)),
        (Malformed::Drop, Action::Pass, (Verdict::Drop, Stage::Malformed, true)),
    ] {
        let mut filter = filter("f", vec![]);
        (filter.malformed, filter.default_action) = (setting, default);
        let silent = world(vec![filter.clone()]);
        let outcome = on_eth0(&silent, &runt);
        assert_eq!(
            (outcome.verdict, outcome.stage, outcome.policy.is_some()),
            expected,
            "{setting:?} {default:?}"
        );
        assert!(outcome.malformed && outcome.rule.is_none());
        filter.rules = vec![rule("tcp", Action::Drop, Match { protocols: vec![6], ..Match::default() })];
        let outspoken = world(vec![filter]);
        assert_eq!(on_eth0(&outspoken, &runt).rule, Some("tcp"));
    }
}

#[test]
fn no_frame_is_too_odd_to_be_read() {
    let mut state = 1u64;
    for length in 0..400 {
        let mut frame: Vec<u8> = (0..length)
            .map(|_| {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                (state >> 56) as u8
            })
            .collect();
        for ether_type in [0x0800u16, 0x86dd, 0x8100] {
            if length >= 15 {
                frame[12..14].copy_from_slice(&ether_type.to_be_bytes());
                frame[14] = if ether_type == 0x0800 { 0x45 + (frame[14] & 7) } else { 0x60 };
            }
            Packet::parse(&frame);
        }
    }
}
