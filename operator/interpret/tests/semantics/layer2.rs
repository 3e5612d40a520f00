use sluice_policy::{MacMatch, Match, NO_VLAN};

use crate::build::*;

fn dns() -> Match {
    Match { protocols: vec![17], destination_ports: ports(53, 53), ..Match::default() }
}

#[test]
fn up_to_two_vlan_tags_hide_nothing() {
    let plain = V4::default().frame(17, &udp(9, 53));
    assert!(hits(dns(), &plain));
    for outer in [0x8100, 0x88a8, 0x9100] {
        assert!(hits(dns(), &tag(outer, 100, &plain)), "one tag {outer:#06x}");
        assert!(hits(dns(), &tag(outer, 0x6000, &plain)), "a priority tag {outer:#06x}");
        for inner in [0x8100, 0x88a8, 0x9100] {
            assert!(hits(dns(), &tag(outer, 100, &tag(inner, 200, &plain))), "{outer:#06x} {inner:#06x}");
        }
    }
}

#[test]
fn a_third_tag_is_just_another_protocol() {
    let frame = tag(0x88a8, 1, &tag(0x8100, 2, &tag(0x8100, 3, &V4::default().frame(17, &udp(9, 53)))));
    assert!(!hits(dns(), &frame));
    assert!(hits(Match::default(), &frame));
    assert!(!on_eth0(&world(vec![]), &frame).malformed);
}

#[test]
fn an_empty_match_matches_any_frame() {
    for ether_type in [0x0806, 0x88cc, 0x8864, 0x8847, 0x0026] {
        assert!(hits(Match::default(), &ethernet(ether_type, &[0; 46])), "{ether_type:#06x}");
    }
    for length in 0..14 {
        assert!(hits(Match::default(), &ethernet(0x0800, &[])[..length]), "a runt of {length}");
    }
}

#[test]
fn without_an_ip_header_no_address_protocol_or_port_matches() {
    let arp = ethernet(0x0806, &[0; 28]);
    for matches in [
        Match { sources: prefixes(&["0.0.0.0/0", "::/0"], &[]), ..Match::default() },
        Match { destinations: prefixes(&[], &["192.0.2.0/24"]), ..Match::default() },
        Match { protocols: (0..=255).collect(), ..Match::default() },
        Match { source_ports: ports(0, 65535), ..Match::default() },
    ] {
        assert!(!hits(matches, &arp));
    }
}

#[test]
fn vlan_ids_are_those_of_the_two_outermost_tags() {
    let plain = V4::default().frame(17, &udp(9, 53));
    let outer = |range| Match { outer_vlan: vec![range], ..Match::default() };
    let inner = |range| Match { inner_vlan: vec![range], ..Match::default() };
    let one = tag(0x8100, 0xe064, &plain);
    let two = tag(0x88a8, 100, &tag(0x8100, 200, &plain));
    let three = tag(0x88a8, 100, &tag(0x8100, 200, &tag(0x8100, 300, &plain)));
    for (frame, ids) in [
        (&plain, [NO_VLAN, NO_VLAN]),
        (&one, [100, NO_VLAN]),
        (&two, [100, 200]),
        (&three, [100, 200]),
        (&tag(0x8100, 0x2000, &plain), [0, NO_VLAN]),
    ] {
        for id in [0, 99, 100, 101, 200, 300, 4095, NO_VLAN] {
            assert_eq!(hits(outer(id..=id), frame), id == ids[0], "outer {id} of {ids:?}");
            assert_eq!(hits(inner(id..=id), frame), id == ids[1], "inner {id} of {ids:?}");
        }
    }
}

/// It has no id and is not untagged either.
#[test]
fn a_tag_that_is_cut_off_matches_no_id() {
    let any = 0..=NO_VLAN;
    let outer = Match { outer_vlan: vec![any.clone()], ..Match::default() };
    let inner = Match { inner_vlan: vec![any], ..Match::default() };
    let double = tag(0x88a8, 100, &tag(0x8100, 200, &V4::default().frame(17, &udp(9, 53))));
    for length in 0..18 {
        assert!(!hits(outer.clone(), &double[..length]), "{length}");
    }
    for length in 18..22 {
        assert!(hits(outer.clone(), &double[..length]), "{length}");
        assert!(!hits(inner.clone(), &double[..length]), "{length}");
    }
    assert!(hits(inner, &double[..22]));
}

#[test]
fn ether_types_stand_behind_the_tags() {
    let wants = |number| Match { ether_types: vec![number, 0x88cc], ..Match::default() };
    let arp = ethernet(0x0806, &[0; 28]);
    for frame in [&arp, &tag(0x8100, 7, &arp), &tag(0x88a8, 7, &tag(0x8100, 8, &arp))] {
        assert!(hits(wants(0x0806), frame));
        assert!(!hits(wants(0x8100), frame), "a tag hides nothing");
    }
    assert!(
        hits(wants(0x8100), &tag(0x88a8, 7, &tag(0x8100, 8, &tag(0x8100, 9, &arp)))),
        "but the third does"
    );
    assert!(!hits(wants(0x0806), &arp[..13]));
}

#[test]
fn a_length_is_no_ether_type() {
    let all = Match { ether_types: (0x0600..=u16::MAX).collect(), ..Match::default() };
    assert!(!hits(all.clone(), &ethernet(0x05ff, &[0; 46])));
    assert!(hits(all, &ethernet(0x0600, &[0; 46])));
}

fn mac(address: [u8; 6], mask: [u8; 6]) -> Vec<MacMatch> {
    vec![MacMatch { address, mask }]
}

#[test]
fn ethernet_addresses_agree_where_the_mask_has_ones() {
    const ALL: [u8; 6] = [0xff; 6];
    let frame = tag(0x8100, 7, &V4::default().frame(17, &udp(9, 53)));
    let from = |address, mask| hits(Match { source_macs: mac(address, mask), ..Match::default() }, &frame);
    let to = |address, mask| hits(Match { destination_macs: mac(address, mask), ..Match::default() }, &frame);
    assert!(from([2, 0, 0, 0, 0, 1], ALL) && to([2, 0, 0, 0, 0, 2], ALL));
    assert!(!from([2, 0, 0, 0, 0, 2], ALL) && !to([2, 0, 0, 0, 0, 1], ALL));
    assert!(from([2, 0, 0, 0, 0, 0], [0xff, 0xff, 0xff, 0, 0, 0]));
    assert!(!to([1, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0]), "no group");
    assert!(to([0, 0, 0, 0, 0, 2], [1, 0, 0, 0, 0, 2]));
}

#[test]
fn a_runt_has_no_address() {
    let any = || mac([0; 6], [0, 0, 0, 0, 0, 0]);
    let frame = V4::default().frame(17, &udp(9, 53));
    for length in 0..14 {
        assert!(!hits(Match { source_macs: any(), ..Match::default() }, &frame[..length]), "{length}");
        assert!(!hits(Match { destination_macs: any(), ..Match::default() }, &frame[..length]), "{length}");
    }
    assert!(hits(Match { source_macs: any(), destination_macs: any(), ..Match::default() }, &frame[..14]));
}
