//! Bytes at fixed places.

use sluice_policy::{LaterFragments, Layer, Match, PayloadMatch};

use crate::build::*;

fn at(from: Layer, offset: u16, value: &[u8]) -> Match {
    let mask = vec![0xff; value.len()];
    Match { payload: vec![PayloadMatch { from, offset, value: value.to_vec(), mask }], ..Match::default() }
}

#[test]
fn each_layer_begins_where_its_header_does() {
    let v4 = V4::default().frame(17, &udp(1000, 53));
    for (from, offset, value, expected) in [
        (Layer::L2, 12, &[8, 0][..], true),
        (Layer::L2, 12, &[8, 1], false),
        (Layer::L3, 0, &[0x45], true),
        (Layer::L3, 9, &[17], true),
        (Layer::L4, 0, &[0x03, 0xe8, 0, 53], true),
        (Layer::L4, 2, &[0, 54], false),
        (Layer::Payload, 0, &v4[42..], true),
    ] {
        assert_eq!(hits(at(from, offset, value), &v4), expected, "{from:?}+{offset} {value:x?}");
    }
    let v6 = V6::default().frame(6, &tcp(1000, 443, 2));
    assert!(hits(at(Layer::L4, 2, &[1, 0xbb]), &v6));
    assert!(!hits(at(Layer::Payload, 0, &[0]), &v6), "a segment without data");
}

#[test]
fn masked_bits_do_not_count_and_all_patterns_do() {
    let frame = V4::default().frame(17, &udp(1000, 53));
    let masked =
        |value, mask| PayloadMatch { from: Layer::L3, offset: 0, value: vec![value], mask: vec![mask] };
    let both = |one, other| Match { payload: vec![one, other], ..Match::default() };
    assert!(hits(both(masked(0x40, 0xf0), masked(0x05, 0x0f)), &frame));
    assert!(!hits(both(masked(0x40, 0xf0), masked(0x06, 0x0f)), &frame));
}

#[test]
fn nothing_is_behind_the_end_of_the_packet() {
    let padded = [V4::default().frame(17, &udp(1000, 53)), vec![0; 18]].concat();
    let end = padded.len() - 18;
    for (from, start) in [(Layer::L3, 14), (Layer::L4, 34), (Layer::Payload, 42)] {
        let last = (end - start) as u16 - 1;
        assert!(hits(at(from, last, &padded[end - 1..end]), &padded), "{from:?}");
        assert!(!hits(at(from, last, &padded[end - 1..end + 1]), &padded), "{from:?}");
        assert!(!hits(at(from, last + 1, &[0]), &padded), "{from:?}");
    }
    assert!(hits(at(Layer::L2, end as u16, &[0]), &padded), "padding is the frame's");
    assert!(!hits(at(Layer::L2, padded.len() as u16, &[0]), &padded));
    let arp = [&[0xff; 12][..], &[8, 6, 0, 1, 0, 0]].concat();
    assert!(hits(at(Layer::L3, 0, &[0, 1]), &arp), "without an IP header the frame's end counts");
    assert!(!hits(at(Layer::L4, 0, &[0]), &arp));
}

#[test]
fn later_fragments_are_for_the_rule_to_say() {
    let later = V4 { fragment: 0x0010, ..V4::default() }.frame(17, &udp(1000, 53));
    for from in [Layer::L4, Layer::Payload] {
        for (setting, expected) in
            [(LaterFragments::NoMatch, false), (LaterFragments::MatchL3, true), (LaterFragments::Drop, true)]
        {
            assert_eq!(hits_later(at(from, 0, &[9]), setting, &later), expected, "{from:?} {setting:?}");
        }
    }
    assert!(
        hits_later(at(Layer::L3, 20, &[0x03]), LaterFragments::NoMatch, &later),
        "the bytes of L3 are there"
    );
}
