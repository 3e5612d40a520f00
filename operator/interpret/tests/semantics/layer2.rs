use sluice_policy::Match;

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
