//! What rules look at.

use sluice_policy::{
    Action, ExtensionHeader, Filter, FragmentKind, IcmpFamily, IpOption, LaterFragments, Layer, Malformed,
    Match, Rule,
};

use crate::oracle::build::*;

pub fn sets() -> Vec<(&'static str, Vec<Filter>)> {
    vec![
        ("no policy", vec![]),
        ("ports", ports()),
        ("protocols", protocol_each()),
        ("prefixes", prefix_sets()),
        ("overlapping prefixes", overlapping()),
        ("fragment kinds", fragment_kinds()),
        ("later fragments", later_fragments()),
        ("TCP flags", tcp_flags()),
        ("ICMP", icmp_messages()),
        ("one of each", one_of_each()),
        ("many rules", many()),
    ]
}

pub fn one_of_each() -> Vec<Filter> {
    let udp = |matches| Match { protocols: vec![17], ..matches };
    let rules = vec![
        rule("first-fragments", Action::Pass, fragments(&[FragmentKind::First])),
        rule("syn-fin", Action::Drop, flags(0x03, 0)),
        rule("echo", Action::Drop, icmp(IcmpFamily::V4, Some(8), None)),
        rule("echo6", Action::Drop, icmp(IcmpFamily::V6, Some(128), Some(0))),
        rule("bad-net", Action::Drop, from(&["192.0.2.128/25"], &[])),
        rule("bad-net6", Action::Drop, from(&["2001:db8:1:0:8000::/65"], &[])),
        rule("to-multicast", Action::Pass, to(&["224.0.0.0/4", "ff00::/8"], &[])),
        rule("from-dns", Action::Drop, udp(source_ports(&[(53, 53)]))),
        rule("high", Action::Drop, destination_ports(&[(8000, 8100)])),
        rule("dns", Action::Pass, udp(destination_ports(&[(53, 53)]))),
        rule("gre", Action::Drop, protocols(&[47])),
        rule("vendor", Action::Pass, source_macs(&[mac([2, 0, 0x5e, 0, 0, 0], [0xff, 0xff, 0xff, 0, 0, 0])])),
        rule("groups", Action::Pass, destination_macs(&[mac([1, 0, 0, 0, 0, 0], [0xfd, 0, 0, 0, 0, 0])])),
        rule("vlan", Action::Pass, outer_vlan(&[5..=7])),
        rule("inner-vlan", Action::Pass, inner_vlan(&[200..=200])),
        rule("mpls", Action::Pass, ether_types(&[0x8847])),
        rule("source-route", Action::Pass, ip_options(&[IpOption::Lsrr])),
        rule(
            "routing",
            Action::Pass,
            extension_headers(&[ExtensionHeader::Routing, ExtensionHeader::Mobility]),
        ),
        rule("expiring", Action::Pass, hop_limit(0..=1)),
        rule("expedited", Action::Pass, dscp(&[46..=46])),
        rule("congested", Action::Pass, ecn(&[3..=3])),
        rule("long", Action::Pass, length(&[577..=1500])),
        rule("dscp-byte", Action::Pass, payload(&[masked(Layer::L3, 1, &[0x28], &[0xfc])])),
        rule("marker", Action::Pass, payload(&[bytes(Layer::Payload, 4, b"data")])),
    ];
    vec![Filter { malformed: Malformed::Drop, ..filter("each", Action::Drop, rules) }]
}

fn ports() -> Vec<Filter> {
    let rules = vec![
        rule("zero", Action::Drop, destination_ports(&[(0, 0)])),
        rule("last", Action::Drop, destination_ports(&[(65535, 65535)])),
        rule("from-zero", Action::Pass, source_ports(&[(0, 0)])),
        rule("range", Action::Drop, destination_ports(&[(8000, 8100), (22, 22)])),
        rule("sctp", Action::Drop, Match { protocols: vec![132], ..destination_ports(&[(2905, 2905)]) }),
        rule("dns", Action::Next, Match { protocols: vec![17, 136], ..destination_ports(&[(53, 53)]) }),
        rule("web", Action::Pass, Match { protocols: vec![6], ..destination_ports(&[(80, 81), (443, 443)]) }),
        rule(
            "both",
            Action::Pass,
            Match { source_ports: source_ports(&[(1, 1000)]).source_ports, ..destination_ports(&[(79, 79)]) },
        ),
        rule("any-port", Action::Drop, source_ports(&[(0, 65535)])),
    ];
    vec![filter("ports", Action::Pass, rules), filter("second", Action::Drop, vec![])]
}

fn protocol_each() -> Vec<Filter> {
    let action = |number: u8| if number.is_multiple_of(3) { Action::Drop } else { Action::Pass };
    let one = |number: u8| rule(&format!("p{number}"), action(number), protocols(&[number]));
    vec![filter("protocols", Action::Next, (0..=255).map(one).collect())]
}

fn prefix_sets() -> Vec<Filter> {
    let rules = vec![
        rule("unspecified", Action::Drop, from(&["0.0.0.0/32", "::/128"], &[])),
        rule("broadcast", Action::Drop, to(&["255.255.255.255/32"], &[])),
        rule("with-exception", Action::Drop, from(&["192.0.2.0/24"], &["192.0.2.7/32", "192.0.2.128/25"])),
        rule("mapped", Action::Drop, from(&["::ffff:0:0/96"], &[])),
        rule("half", Action::Drop, from(&["2001:db8:1:0:8000::/65"], &["2001:db8:1:0:ffff::/80"])),
        rule(
            "all-but",
            Action::Drop,
            to(&[], &["198.51.100.0/24", "203.0.113.0/24", "2000::/3", "ff00::/8"]),
        ),
        rule(
            "all-v6-to-multicast",
            Action::Pass,
            Match { destinations: to(&["ff00::/8"], &[]).destinations, ..from(&["::/0"], &[]) },
        ),
        rule("all-v4", Action::Pass, from(&["0.0.0.0/0"], &[])),
        rule("all-v6", Action::Drop, from(&["::/0"], &["2001:db8::/32"])),
    ];
    vec![filter("prefixes", Action::Next, rules)]
}

fn overlapping() -> Vec<Filter> {
    let wide_first = vec![
        rule("wide", Action::Pass, from(&["192.0.0.0/8", "2001:db8::/32"], &[])),
        rule("narrow", Action::Drop, from(&["192.0.2.0/24", "2001:db8:1::/48"], &[])),
    ];
    let narrow_first = vec![
        rule("narrow", Action::Pass, to(&["198.51.100.77/32", "2001:db8::77/128"], &[])),
        rule("wide", Action::Drop, to(&["198.0.0.0/7", "2000::/3", "128.0.0.0/1"], &[])),
    ];
    vec![
        Filter { priority: 1, ..filter("narrow", Action::Next, narrow_first) },
        filter("wide", Action::Drop, wide_first),
    ]
}

fn fragment_kinds() -> Vec<Filter> {
    let kinds =
        [FragmentKind::None, FragmentKind::First, FragmentKind::Later, FragmentKind::Tiny, FragmentKind::Any];
    let next = |kind: FragmentKind| {
        let rules = vec![rule("kind", Action::Next, fragments(&[kind]))];
        filter(&format!("{kind:?}").to_lowercase(), Action::Next, rules)
    };
    let decide = vec![
        rule(
            "tiny-v6",
            Action::Drop,
            Match { sources: from(&["::/0"], &[]).sources, ..fragments(&[FragmentKind::Tiny]) },
        ),
        rule("tiny", Action::Pass, fragments(&[FragmentKind::Tiny])),
        rule("later-or-first", Action::Drop, fragments(&[FragmentKind::Later, FragmentKind::First])),
        rule("whole-udp", Action::Drop, Match { protocols: vec![17], ..fragments(&[FragmentKind::None]) }),
    ];
    kinds.map(next).into_iter().chain([filter("z-decide", Action::Pass, decide)]).collect()
}

fn later_fragments() -> Vec<Filter> {
    use LaterFragments::{Drop, MatchL3, NoMatch};
    let from_v4 = |matches: Match| Match { sources: from(&["0.0.0.0/0"], &[]).sources, ..matches };
    let tcp = |matches: Match| Match { protocols: vec![6], ..matches };
    let rules: Vec<Rule> = vec![
        later(NoMatch, rule("never", Action::Drop, destination_ports(&[(9, 9)]))),
        later(MatchL3, rule("icmp6", Action::Next, icmp(IcmpFamily::V6, Some(128), None))),
        later(MatchL3, rule("icmp", Action::Drop, icmp(IcmpFamily::V4, None, None))),
        later(Drop, rule("flags-v4", Action::Pass, from_v4(flags(0x02, 0x10)))),
        later(MatchL3, rule("tcp-v6", Action::Pass, tcp(source_ports(&[(1000, 1000)])))),
        later(Drop, rule("ports-v4", Action::Next, from_v4(destination_ports(&[(53, 53)])))),
        later(
            MatchL3,
            rule(
                "other",
                Action::Drop,
                Match { protocols: vec![136, 33], ..destination_ports(&[(53, 5001)]) },
            ),
        ),
        later(NoMatch, rule("rest", Action::Pass, source_ports(&[(0, 65535)]))),
    ];
    vec![filter("later", Action::Drop, rules)]
}

fn tcp_flags() -> Vec<Filter> {
    let rules = vec![
        rule("null", Action::Drop, flags(0, 0xff)),
        rule("all", Action::Drop, flags(0xff, 0)),
        rule("ecn-syn", Action::Pass, flags(0xc2, 0x10)),
        rule("syn-fin", Action::Drop, flags(0x03, 0)),
        rule("syn", Action::Next, flags(0x02, 0x10)),
        rule("reset", Action::Drop, flags(0x04, 0)),
        rule(
            "acked-web",
            Action::Pass,
            Match {
                destination_ports: destination_ports(&[(443, 443)]).destination_ports,
                ..flags(0x10, 0x07)
            },
        ),
    ];
    vec![filter("flags", Action::Drop, rules)]
}

fn icmp_messages() -> Vec<Filter> {
    use IcmpFamily::{V4, V6};
    let several = Match {
        icmp: [icmp(V4, Some(0), None), icmp(V6, Some(129), None), icmp(V4, Some(3), Some(4))]
            .map(|one| one.icmp[0])
            .to_vec(),
        ..Match::default()
    };
    let rules = vec![
        rule("several", Action::Pass, several),
        rule("unreachable", Action::Drop, icmp(V4, Some(3), Some(3))),
        rule("echo-code", Action::Drop, icmp(V6, Some(128), Some(1))),
        rule("last", Action::Drop, icmp(V4, Some(255), Some(255))),
        rule("echo6", Action::Drop, icmp(V6, Some(8), None)),
        rule("echo", Action::Next, icmp(V4, Some(8), None)),
        rule(
            "any6-from",
            Action::Pass,
            Match { sources: from(&["2001:db8::/32"], &[]).sources, ..icmp(V6, None, None) },
        ),
        rule("any", Action::Drop, icmp(V4, None, None)),
    ];
    vec![filter("icmp", Action::Next, rules)]
}

/// Rows of more than one word, and matches in the last.
fn many() -> Vec<Filter> {
    let one = |index: u16| {
        let port = 7000 + index * 5;
        let action = if index.is_multiple_of(2) { Action::Drop } else { Action::Pass };
        rule(&format!("r{index}"), action, destination_ports(&[(port, port + 5)]))
    };
    let last = vec![
        rule("low", Action::Drop, destination_ports(&[(0, 100)])),
        rule("v6", Action::Pass, from(&["::/0"], &[])),
    ];
    vec![
        Filter { priority: 2, ..filter("a", Action::Next, (0..250).map(one).collect()) },
        Filter { priority: 1, ..filter("b", Action::Next, (250..500).map(one).collect()) },
        filter("c", Action::Drop, last),
    ]
}
