use sluice_interpret::packet::{Fragment, Packet};
use sluice_interpret::{Counted, Verdict};
use sluice_policy::{Action, FragmentKind, IcmpFamily, IcmpMatch, LaterFragments, Match, Rule, TcpFlags};

use crate::build::*;

fn v4(fragment: u16, protocol: u8, payload: &[u8]) -> Vec<u8> {
    V4 { fragment, ..V4::default() }.frame(protocol, payload)
}

fn v6(offset: u16, more: bool, protocol: u8, payload: &[u8]) -> Vec<u8> {
    V6 { extensions: vec![fragment_header(offset, more)], ..V6::default() }.frame(protocol, payload)
}

#[test]
fn kinds_of_fragments() {
    use FragmentKind::{First, Later, None, Tiny};
    let cases: [(&str, Vec<u8>, &[FragmentKind]); 11] = [
        ("whole", v4(0, 17, &udp(1, 2)), &[None]),
        ("don't fragment", v4(0x4000, 17, &udp(1, 2)), &[None]),
        ("first", v4(0x2000, 17, &udp(1, 2)), &[First]),
        ("tiny first", v4(0x2000, 6, &tcp(1, 2, 2)[..8]), &[First, Tiny]),
        ("first of a protocol without fields", v4(0x2000, 47, &[0; 8]), &[First]),
        ("later", v4(0x2002, 17, &[0; 8]), &[Later]),
        ("last", v4(0x0100, 17, &[0; 8]), &[Later]),
        ("later at offset 1", v4(0x0001, 6, &[0; 8]), &[Later, Tiny]),
        ("atomic IPv6", v6(0, false, 17, &udp(1, 2)), &[None]),
        ("first IPv6", v6(0, true, 17, &udp(1, 2)), &[First]),
        ("later IPv6 at offset 1", v6(1, false, 17, &[0; 8]), &[Later, Tiny]),
    ];
    for (name, frame, expected) in cases {
        for kind in [None, First, Later, Tiny] {
            let matches = Match { fragments: vec![kind], ..Match::default() };
            assert_eq!(hits(matches, &frame), expected.contains(&kind), "{name} as {kind:?}");
        }
        assert!(!Packet::parse(&frame).malformed, "{name}");
    }
}

fn port_rule(later_fragments: LaterFragments, action: Action) -> Rule {
    let matches = Match { protocols: vec![17], destination_ports: ports(53, 53), ..Match::default() };
    Rule { later_fragments, ..rule("dns", action, matches) }
}

#[test]
fn a_rule_with_ports_states_what_later_fragments_get() {
    let later = v4(185, 17, &[0; 32]);
    for (setting, action, verdict, counted) in [
        (LaterFragments::MatchL3, Action::Pass, Verdict::Pass, Some(Counted::Pass)),
        (LaterFragments::MatchL3, Action::Drop, Verdict::Drop, Some(Counted::Drop)),
        (LaterFragments::NoMatch, Action::Drop, Verdict::Pass, None),
        (LaterFragments::Drop, Action::Pass, Verdict::Drop, Some(Counted::Drop)),
        (LaterFragments::Drop, Action::Next, Verdict::Drop, Some(Counted::Drop)),
    ] {
        let world = world(vec![filter("f", vec![port_rule(setting, action)])]);
        let outcome = on_eth0(&world, &later);
        assert_eq!(outcome.verdict, verdict, "{setting:?} {action:?}");
        assert_eq!(outcome.matched.first().map(|matched| matched.counted), counted, "{setting:?} {action:?}");
        let whole = on_eth0(&world, &v4(0, 17, &udp(9, 54)));
        assert!(whole.matched.is_empty(), "another port");
    }
}

#[test]
fn the_other_fields_of_a_port_rule_still_hold_for_later_fragments() {
    let with =
        |matches| Rule { later_fragments: LaterFragments::MatchL3, ..rule("r", Action::Drop, matches) };
    let port = Match { destination_ports: ports(53, 53), ..Match::default() };
    let hit = |matches: &Match, frame: &[u8]| {
        !on_eth0(&world(vec![filter("f", vec![with(matches.clone())])]), frame).matched.is_empty()
    };
    assert!(hit(&port, &v4(185, 17, &[0; 8])));
    assert!(hit(&port, &v4(185, 132, &[0; 8])), "SCTP has ports");
    assert!(!hit(&port, &v4(185, 1, &[0; 8])), "ICMP has none");
    assert!(!hit(&port, &v4(185, 47, &[0; 8])), "GRE has none");
    let elsewhere = Match { sources: prefixes(&["10.0.0.0/8"], &[]), ..port.clone() };
    assert!(!hit(&elsewhere, &v4(185, 17, &[0; 8])));
    let syn = Match { tcp_flags: Some(TcpFlags { set: 2, unset: 16 }), ..Match::default() };
    assert!(hit(&syn, &v4(185, 6, &[0; 8])));
    assert!(!hit(&syn, &v4(185, 17, &[0; 8])));
    assert!(hit(&syn, &v6(185, true, 60, &[0; 8])), "the protocol is in the first fragment");
}

#[test]
fn later_icmp_fragments_keep_the_families_apart() {
    let any = |family| Match {
        icmp: vec![IcmpMatch { family, icmp_type: Some(8), code: None }],
        ..Match::default()
    };
    let hit = |family, frame: &[u8]| {
        let rule = Rule { later_fragments: LaterFragments::MatchL3, ..rule("r", Action::Drop, any(family)) };
        on_eth0(&world(vec![filter("f", vec![rule])]), frame).verdict == Verdict::Drop
    };
    assert!(hit(IcmpFamily::V4, &v4(185, 1, &[0; 8])));
    assert!(!hit(IcmpFamily::V6, &v4(185, 1, &[0; 8])));
    assert!(!hit(IcmpFamily::V4, &v6(185, false, 58, &[0; 8])));
    assert!(hit(IcmpFamily::V6, &v6(185, false, 58, &[0; 8])));
    assert!(!hit(IcmpFamily::V4, &v4(185, 58, &[0; 8])), "ICMPv6 in IPv4 is no ICMP");
}

#[test]
fn a_later_ipv6_fragment_knows_its_protocol_only_if_no_extension_is_split() {
    assert_eq!(Packet::parse(&v6(7, false, 6, &[0; 8])).protocol, Some(6));
    assert_eq!(Packet::parse(&v6(7, false, 60, &[0; 8])).protocol, None);
    assert!(!Packet::parse(&v6(7, false, 60, &[0; 8])).malformed);
    assert_eq!(Packet::parse(&v6(7, false, 6, &[])).fragment, Fragment::Later { tiny: false });
}
