//! Random filters over a small world, so that prefixes nest and ranges touch, and a fixed sample.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;
use proptest::sample::select;
use sluice_address_set::AddressSet;
use sluice_policy::{
    Action, AttachMode, ExtensionHeader, Filter, FragmentKind, Hook, IcmpFamily, IcmpMatch, Interfaces,
    IpOption, LaterFragments, Layer, MacMatch, Malformed, Match, Mode, NodeSelector, ObjectRef, PayloadMatch,
    PortRange, PrefixSet, Rule, TcpFlags,
};

pub fn filters() -> impl Strategy<Value = Vec<Filter>> {
    vec(filter(), 1..5).prop_map(|mut filters| {
        for (index, filter) in filters.iter_mut().enumerate() {
            filter.object.name = format!("filter-{index}");
        }
        filters
    })
}

fn filter() -> impl Strategy<Value = Filter> {
    let malformed = select(vec![Malformed::Pass, Malformed::Drop]);
    let settings = (mode(), -2..3i32, action(), malformed, weighted(0.3, Just(())));
    (settings, vec(rule(), 0..30)).prop_map(|(settings, mut rules)| {
        for (index, rule) in rules.iter_mut().enumerate() {
            rule.name = format!("rule-{index}");
        }
        let (mode, priority, default_action, malformed, established) = settings;
        let allow_established = established.is_some();
        Filter { mode, priority, default_action, malformed, allow_established, rules, ..empty("filter") }
    })
}

fn rule() -> impl Strategy<Value = Rule> {
    let later = vec![LaterFragments::MatchL3, LaterFragments::NoMatch, LaterFragments::Drop];
    let mode = prop_oneof![9 => Just(Mode::Enforce), 1 => Just(Mode::Audit)];
    let action = prop_oneof![9 => action(), 1 => Just(Action::Count)];
    (action, mode, select(later), matches()).prop_map(|(action, mode, later_fragments, matches)| Rule {
        name: String::new(),
        action,
        mode,
        later_fragments,
        matches,
    })
}

fn matches() -> impl Strategy<Value = Match> {
    let kinds = vec![
        FragmentKind::None,
        FragmentKind::First,
        FragmentKind::Later,
        FragmentKind::Tiny,
        FragmentKind::Any,
    ];
    let protocols = select(vec![1u8, 6, 17, 47, 58, 132]);
    let few = |strategy| prop_oneof![3 => Just(Vec::new()), 1 => strategy];
    (
        weighted(0.4, prefixes()),
        weighted(0.4, prefixes()),
        prop_oneof![2 => Just(Vec::new()), 1 => vec(protocols, 1..3)],
        few(vec(ports(), 1..4)),
        prop_oneof![3 => Just(Vec::new()), 1 => vec(ports(), 1..4)],
        weighted(0.2, flags()),
        prop_oneof![4 => Just(Vec::new()), 1 => vec(icmp(), 1..4)],
        prop_oneof![4 => Just(Vec::new()), 1 => vec(select(kinds), 1..3)],
        (network(), link(), parts()),
    )
        .prop_map(
            |(
                sources,
                destinations,
                protocols,
                source_ports,
                destination_ports,
                tcp_flags,
                icmp,
                fragments,
                (network, link, parts),
            )| {
                Match {
                    sources,
                    destinations,
                    protocols,
                    source_ports,
                    destination_ports,
                    tcp_flags,
                    icmp,
                    fragments,
                    ip_options: parts.ip_options,
                    extension_headers: parts.extension_headers,
                    payload: parts.payload,
                    source_macs: link.source_macs,
                    destination_macs: link.destination_macs,
                    outer_vlan: link.outer_vlan,
                    inner_vlan: link.inner_vlan,
                    ether_types: link.ether_types,
                    ..network
                }
            },
        )
}

/// A match on the IP header's fields alone.
fn network() -> impl Strategy<Value = Match> {
    let few = |values: Vec<u16>| {
        let range = (select(values.clone()), select(values)).prop_map(|(a, b)| a.min(b)..=a.max(b));
        prop_oneof![6 => Just(Vec::new()), 1 => vec(range, 1..3)]
    };
    let lengths = few(vec![0, 28, 29, 63, 64, 1500, u16::MAX]);
    (lengths, few(vec![0, 1, 63, 64, 255]), few(vec![0, 10, 46, 63]), few(vec![0, 1, 2, 3]))
        .prop_map(|(length, hop_limit, dscp, ecn)| Match { length, hop_limit, dscp, ecn, ..Match::default() })
}

/// A match on the link layer's fields alone.
fn link() -> impl Strategy<Value = Match> {
    let ids = || {
        let ids = vec![0, 1, 10, 20, 4095, 4096];
        let range = (select(ids.clone()), select(ids)).prop_map(|(a, b): (u16, u16)| a.min(b)..=a.max(b));
        prop_oneof![6 => Just(Vec::new()), 1 => vec(range, 1..3)]
    };
    let types = vec(select(vec![0x0600u16, 0x0806, 0x88cc, 0xffff]), 1..3);
    let types = prop_oneof![6 => Just(Vec::new()), 1 => types];
    let macs = || {
        let address = select(vec![[0u8; 6], [1, 0, 0x5e, 0, 0, 1], [2, 0, 0, 0, 0, 1], [0xff; 6]]);
        let mask = select(vec![
            [0xff; 6],
            [0xff, 0xff, 0xff, 0, 0, 0],
            [1, 0, 0, 0, 0, 0],
            [0xff, 0xff, 0xff, 0xff, 0xff, 0xf1],
        ]);
        let one = (address, mask).prop_map(|(address, mask): ([u8; 6], [u8; 6])| MacMatch {
            address: std::array::from_fn(|octet| address[octet] & mask[octet]),
            mask,
        });
        prop_oneof![6 => Just(Vec::new()), 1 => vec(one, 1..3)]
    };
    (macs(), macs(), ids(), ids(), types).prop_map(
        |(source_macs, destination_macs, outer_vlan, inner_vlan, ether_types)| Match {
            source_macs,
            destination_macs,
            outer_vlan,
            inner_vlan,
            ether_types,
            ..Match::default()
        },
    )
}

/// A match on optional parts of the IP header alone.
fn parts() -> impl Strategy<Value = Match> {
    use ExtensionHeader as Header;
    let options = vec![IpOption::Any, IpOption::RecordRoute, IpOption::Lsrr, IpOption::Other];
    let headers = vec![Header::Any, Header::HopByHop, Header::Routing, Header::Fragment, Header::Shim6];
    let options = prop_oneof![8 => Just(Vec::new()), 1 => vec(select(options), 1..3)];
    let headers = prop_oneof![8 => Just(Vec::new()), 1 => vec(select(headers), 1..3)];
    let patterns = prop_oneof![5 => Just(Vec::new()), 1 => vec((0..32u16).prop_map(pattern), 1..4)];
    (options, headers, patterns).prop_map(|(ip_options, extension_headers, payload)| Match {
        ip_options,
        extension_headers,
        payload,
        ..Match::default()
    })
}

/// The one with this offset; see `Packet::held`.
fn pattern(offset: u16) -> PayloadMatch {
    let from = [Layer::L2, Layer::L3, Layer::L4, Layer::Payload][usize::from(offset % 4)];
    PayloadMatch { from, offset, value: vec![0x17], mask: vec![0xff] }
}

fn prefixes() -> impl Strategy<Value = PrefixSet> {
    let v4 = || vec(v4(), 0..4);
    let v6 = || vec(v6(), 0..4);
    let sets = prop_oneof![2 => Just(Vec::new()), 1 => vec(select(SETS.map(|(name, _)| name.to_owned()).to_vec()), 1..3)];
    (v4(), v6(), sets, v4(), v6()).prop_map(|(v4, v6, sets, except_v4, except_v6)| PrefixSet {
        v4,
        v6,
        sets,
        except_v4,
        except_v6,
    })
}

/// What there is of address sets: nested, overlapping, of both families, of one, of none.
const SETS: [(&str, &[&str]); 5] = [
    ("all-v4", &["0.0.0.0/0"]),
    ("even", &["10.0.0.0/31", "10.0.0.4/31", "10.0.0.8/31", "2001:db8::/127", "2001:db8::8/125"]),
    ("high", &["255.255.255.248/29", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff8/125"]),
    ("none", &[]),
    ("ten", &["10.0.0.0/28", "2001:db8::/124"]),
];

/// The contents of a set.
pub fn set(name: &str) -> AddressSet {
    let (_, nets) = SETS.iter().find(|(known, _)| *known == name).expect("one of the sets");
    nets.iter().map(|net| net.parse::<IpNet>().expect("a prefix")).collect()
}

/// Few bits vary, so that prefixes meet; both ends of the address space occur.
fn v4() -> impl Strategy<Value = Ipv4Net> {
    (select(vec![0u32, 0x0a00_0000, 0xffff_fff0]), 0u32..16, 0u8..=32).prop_map(|(base, low, length)| {
        Ipv4Net::new((base | low).into(), length).expect("length at most 32").trunc()
    })
}

fn v6() -> impl Strategy<Value = Ipv6Net> {
    (select(vec![0u128, 0x2001_0db8 << 96, u128::MAX - 15]), 0u128..16, 0u8..=128).prop_map(
        |(base, low, length)| Ipv6Net::new((base | low).into(), length).expect("length at most 128").trunc(),
    )
}

fn ports() -> impl Strategy<Value = PortRange> {
    let edge = || prop_oneof![Just(0u16), Just(u16::MAX), 50u16..60];
    (edge(), edge()).prop_map(|(a, b)| PortRange { first: a.min(b), last: a.max(b) })
}

fn flags() -> impl Strategy<Value = TcpFlags> {
    (any::<u8>(), any::<u8>())
        .prop_map(|(set, unset)| TcpFlags { set: set & 0x13, unset: unset & !set & 0x17 })
}

fn icmp() -> impl Strategy<Value = IcmpMatch> {
    let family = select(vec![IcmpFamily::V4, IcmpFamily::V6]);
    let values = || select(vec![0u8, 3, 8, 135, 255]);
    (family, weighted(0.8, values()), weighted(0.4, values()))
        .prop_map(|(family, icmp_type, code)| IcmpMatch { family, icmp_type, code: icmp_type.and(code) })
}

fn action() -> impl Strategy<Value = Action> {
    select(vec![Action::Pass, Action::Drop, Action::Next])
}

fn mode() -> impl Strategy<Value = Mode> {
    prop_oneof![3 => Just(Mode::Enforce), 1 => Just(Mode::Audit)]
}

pub fn empty(name: &str) -> Filter {
    Filter {
        object: ObjectRef {
            kind: "XdpFilter".to_owned(),
            namespace: String::new(),
            name: name.to_owned(),
            uid: format!("uid-of-{name}"),
            generation: 1,
        },
        nodes: NodeSelector::default(),
        interfaces: Interfaces { names: vec!["eth0".to_owned()], ..Interfaces::default() },
        attach: AttachMode::Auto,
        hook: Hook::Xdp,
        mode: Mode::Enforce,
        priority: 0,
        default_action: Action::Next,
        malformed: Malformed::Pass,
        allow_established: false,
        expires: None,
        rollout: None,
        rules: Vec::new(),
    }
}

pub fn everything_dropped() -> Vec<Filter> {
    vec![Filter { rules: vec![drop("all", Match::default())], ..empty("closed") }]
}

fn in_set(name: &str) -> Option<PrefixSet> {
    Some(PrefixSet { sets: vec![name.to_owned()], ..PrefixSet::default() })
}

/// One rule for each dimension, each with an effect of its own: every part of the tables matters.
pub fn sample() -> Vec<Filter> {
    let sources = PrefixSet {
        v4: vec!["192.0.2.0/24".parse().unwrap(), "198.51.100.7/32".parse().unwrap()],
        v6: vec!["2001:db8::/32".parse().unwrap()],
        except_v4: vec!["192.0.2.128/25".parse().unwrap()],
        ..PrefixSet::default()
    };
    let destinations = PrefixSet {
        v4: vec!["203.0.113.0/24".parse().unwrap()],
        v6: vec!["2001:db9::/64".parse().unwrap()],
        ..PrefixSet::default()
    };
    let echo = IcmpMatch { family: IcmpFamily::V4, icmp_type: Some(8), code: None };
    let solicitation = IcmpMatch { family: IcmpFamily::V6, icmp_type: Some(133), code: Some(0) };
    let rules = vec![
        drop("sources", Match { sources: Some(sources), ..Match::default() }),
        drop("destinations", Match { destinations: Some(destinations), ..Match::default() }),
        drop("protocol", Match { protocols: vec![50, 132], ..Match::default() }),
        drop(
            "source-port",
            Match { source_ports: vec![PortRange { first: 53, last: 53 }], ..Match::default() },
        ),
        drop(
            "ports",
            Match { destination_ports: vec![PortRange { first: 8000, last: 8100 }], ..Match::default() },
        ),
        drop("syn", Match { tcp_flags: Some(TcpFlags { set: 2, unset: 16 }), ..Match::default() }),
        drop("echo", Match { icmp: vec![echo, solicitation], ..Match::default() }),
        drop(
            "from-vendor",
            Match {
                source_macs: macs(&[([2, 0, 0x5e, 0, 0, 0], [0xff, 0xff, 0xff, 0, 0, 0])]),
                ..Match::default()
            },
        ),
        drop(
            "groups",
            Match {
                destination_macs: macs(&[([1, 0x80, 0xc2, 0, 0, 3], [0xff, 0xff, 0xff, 0xff, 0xff, 0xfb])]),
                ..Match::default()
            },
        ),
        drop("in-even", Match { sources: in_set("even"), ..Match::default() }),
        drop("in-high", Match { sources: in_set("high"), ..Match::default() }),
        drop("outer", Match { outer_vlan: vec![10..=20, 4095..=4095], ..Match::default() }),
        drop("inner", Match { inner_vlan: vec![0..=0, 10..=10], ..Match::default() }),
        drop("types", Match { ether_types: vec![0x0806, 0x88cc], ..Match::default() }),
        drop("options", Match { ip_options: vec![IpOption::Lsrr, IpOption::Other], ..Match::default() }),
        drop(
            "any-option",
            Match { ip_options: vec![IpOption::Any], protocols: vec![47], ..Match::default() },
        ),
        drop(
            "headers",
            Match {
                extension_headers: vec![ExtensionHeader::Routing, ExtensionHeader::Hip],
                ..Match::default()
            },
        ),
        drop("expiring", Match { hop_limit: vec![0..=1], ..Match::default() }),
        drop("expedited", Match { dscp: vec![46..=46], ecn: vec![1..=3], ..Match::default() }),
        drop("long", Match { length: vec![577..=1500, 64..=64], ..Match::default() }),
        bytes(0),
        bytes(1),
        bytes(2),
        bytes(3),
        bytes(4),
        bytes(5),
        bytes(6),
        bytes(7),
        drop("tiny", Match { fragments: vec![FragmentKind::Tiny], protocols: vec![47], ..Match::default() }),
    ];
    vec![Filter { rules, malformed: Malformed::Drop, allow_established: true, ..empty("sample") }]
}

/// Of a layer that later fragments have, so that every element of the table is some packet's.
fn bytes(offset: u16) -> Rule {
    let pattern = PayloadMatch { from: Layer::L3, ..pattern(offset) };
    drop(&format!("bytes-{offset}"), Match { payload: vec![pattern], ..Match::default() })
}

fn macs(wanted: &[([u8; 6], [u8; 6])]) -> Vec<MacMatch> {
    wanted.iter().map(|&(address, mask)| MacMatch { address, mask }).collect()
}

pub fn drop(name: &str, matches: Match) -> Rule {
    let later_fragments = LaterFragments::NoMatch;
    Rule { name: name.to_owned(), action: Action::Drop, mode: Mode::Enforce, later_fragments, matches }
}

/// As many rules, each of one destination port.
pub fn numbered(default_action: Action, number: u16) -> Filter {
    let port = |number| PortRange { first: number, last: number };
    let rule = |number| {
        let matches = Match { destination_ports: vec![port(number)], ..Match::default() };
        drop(&format!("rule-{number}"), matches)
    };
    Filter { default_action, rules: (0..number).map(rule).collect(), ..empty("numbered") }
}

/// One filter of few rules, whose lists come to few comparisons.
pub fn simple() -> impl Strategy<Value = Vec<Filter>> {
    let rules = vec(simple_rule(), 1..6);
    let settings = (action(), select(vec![Malformed::Pass, Malformed::Drop]), select(vec![false, true]));
    (settings, rules).prop_map(|((default_action, malformed, allow_established), mut rules)| {
        for (index, rule) in rules.iter_mut().enumerate() {
            rule.name = format!("rule-{index}");
        }
        vec![Filter { default_action, malformed, allow_established, rules, ..empty("simple") }]
    })
}

fn simple_rule() -> impl Strategy<Value = Rule> {
    let matches = (
        weighted(0.4, prefix_or_two()),
        weighted(0.4, prefix()),
        vec(select(vec![1u8, 6, 17, 47]), 0..=2),
        weighted(0.3, ports()),
        weighted(0.4, ports()),
    );
    let later = select(vec![LaterFragments::MatchL3, LaterFragments::NoMatch]);
    (select(vec![Action::Pass, Action::Drop]), later, matches).prop_map(|(action, later_fragments, asked)| {
        let (sources, destinations, protocols, source_ports, destination_ports) = asked;
        let matches = Match {
            sources,
            destinations,
            protocols,
            source_ports: source_ports.into_iter().collect(),
            destination_ports: destination_ports.into_iter().collect(),
            ..Match::default()
        };
        Rule { name: String::new(), action, mode: Mode::Enforce, later_fragments, matches }
    })
}

/// One, or one of each family.
fn prefix_or_two() -> impl Strategy<Value = PrefixSet> {
    let both =
        (v4(), v6()).prop_map(|(v4, v6)| PrefixSet { v4: vec![v4], v6: vec![v6], ..PrefixSet::default() });
    prop_oneof![prefix(), both]
}

fn prefix() -> impl Strategy<Value = PrefixSet> {
    prop_oneof![
        v4().prop_map(|net| PrefixSet { v4: vec![net], ..PrefixSet::default() }),
        v6().prop_map(|net| PrefixSet { v6: vec![net], ..PrefixSet::default() }),
    ]
}

/// Every kind of comparison once.
pub fn simple_sample() -> Vec<Filter> {
    let prefix = |text: &str| {
        Some(match text.parse() {
            Ok(v4) => PrefixSet { v4: vec![v4], ..PrefixSet::default() },
            Err(_) => PrefixSet { v6: vec![text.parse().unwrap()], ..PrefixSet::default() },
        })
    };
    let port = |first, last| vec![PortRange { first, last }];
    let rules = vec![
        drop("source", Match { sources: prefix("192.0.2.0/24"), ..Match::default() }),
        drop("source-6", Match { sources: prefix("2001:db8::/32"), ..Match::default() }),
        drop("destination", Match { destinations: prefix("203.0.113.0/24"), ..Match::default() }),
        drop("protocol", Match { protocols: vec![132], ..Match::default() }),
        drop("source-port", Match { source_ports: port(53, 60), ..Match::default() }),
        drop("port", Match { destination_ports: port(8000, 8100), ..Match::default() }),
    ];
    vec![Filter { rules, malformed: Malformed::Drop, allow_established: true, ..empty("simple") }]
}
