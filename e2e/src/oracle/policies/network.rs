//! Rules on the IP header's fields.

use sluice_policy::{Action, ExtensionHeader, Filter, FragmentKind, IpOption, Match};

use crate::oracle::build::*;

pub fn sets() -> Vec<(&'static str, Vec<Filter>)> {
    vec![
        ("hop limits", hop_limits()),
        ("traffic classes", traffic_classes()),
        ("lengths", lengths()),
        ("IPv4 options", options()),
        ("extension headers", headers()),
    ]
}

fn hop_limits() -> Vec<Filter> {
    let rules = vec![
        rule(
            "expiring-v6",
            Action::Pass,
            Match { sources: from(&["::/0"], &[]).sources, ..hop_limit(0..=1) },
        ),
        rule("expiring", Action::Drop, hop_limit(0..=1)),
        rule("middle", Action::Next, Match { hop_limit: vec![2..=2, 64..=127], ..all() }),
        rule("link-local", Action::Pass, hop_limit(255..=255)),
        rule("any", Action::Drop, hop_limit(0..=255)),
        rule("without", Action::Drop, all()),
    ];
    vec![filter("hops", Action::Next, rules), filter("z", Action::Drop, vec![])]
}

fn traffic_classes() -> Vec<Filter> {
    let rules = vec![
        rule("expedited-ce", Action::Drop, Match { ecn: vec![3..=3], ..dscp(&[46..=46]) }),
        rule("expedited", Action::Pass, dscp(&[46..=46])),
        rule("assured", Action::Drop, dscp(&[10..=10, 32..=34])),
        rule("low-of-tcp", Action::Next, Match { protocols: vec![6], ..dscp(&[0..=1]) }),
        rule("capable", Action::Pass, ecn(&[1..=2])),
        rule("last", Action::Drop, dscp(&[63..=63])),
        rule("congested", Action::Drop, ecn(&[3..=3])),
    ];
    vec![filter("classes", Action::Next, rules)]
}

fn lengths() -> Vec<Filter> {
    let rules = vec![
        rule("none", Action::Drop, length(&[0..=0])),
        rule("jumbo", Action::Pass, length(&[65535..=65535])),
        rule("long", Action::Drop, length(&[1501..=65535])),
        rule("small-udp", Action::Drop, Match { protocols: vec![17], ..length(&[20..=63]) }),
        rule("exact", Action::Pass, length(&[64..=64, 576..=576])),
        rule("fragment", Action::Next, Match { fragments: vec![FragmentKind::Later], ..length(&[0..=100]) }),
        rule("rest", Action::Pass, length(&[0..=65535])),
    ];
    vec![filter("lengths", Action::Drop, rules)]
}

/// A filter for each kind, so that all of them are counted of a packet that has several.
fn options() -> Vec<Filter> {
    use IpOption::*;
    let kinds = [Any, RecordRoute, Timestamp, Security, Lsrr, StreamId, Ssrr, RouterAlert, Other];
    let next = |kind: &IpOption| {
        let rules = vec![rule("kind", Action::Next, ip_options(&[*kind]))];
        filter(&format!("{kind:?}").to_lowercase(), Action::Next, rules)
    };
    let decide = vec![
        rule("source-routes", Action::Drop, ip_options(&[Lsrr, Ssrr])),
        rule("alert-of-rsvp", Action::Pass, Match { protocols: vec![46], ..ip_options(&[RouterAlert]) }),
        rule("any", Action::Drop, ip_options(&[Any])),
    ];
    kinds.iter().map(next).chain([filter("z-decide", Action::Pass, decide)]).collect()
}

fn headers() -> Vec<Filter> {
    use ExtensionHeader::*;
    let kinds = [Any, HopByHop, Routing, Fragment, Authentication, DestinationOptions, Mobility, Hip, Shim6];
    let next = |kind: &ExtensionHeader| {
        let rules = vec![rule("kind", Action::Next, extension_headers(&[*kind]))];
        filter(&format!("{kind:?}").to_lowercase(), Action::Next, rules)
    };
    let decide = vec![
        rule("routing", Action::Drop, extension_headers(&[Routing])),
        rule(
            "udp",
            Action::Pass,
            Match { protocols: vec![17], ..extension_headers(&[HopByHop, DestinationOptions]) },
        ),
        rule("any-fragment", Action::Drop, fragments(&[FragmentKind::Any])),
        rule("any", Action::Drop, extension_headers(&[Any])),
    ];
    kinds.iter().map(next).chain([filter("z-decide", Action::Pass, decide)]).collect()
}
