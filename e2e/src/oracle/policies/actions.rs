//! What rules do, and in which order.

use sluice_policy::{
    Action, Filter, FragmentKind, IcmpFamily, LaterFragments, LimitKey, Malformed, Mark, Match, Mode, Rate,
    RateLimit, Rule,
};

use crate::oracle::build::*;

pub fn sets() -> Vec<(&'static str, Vec<Filter>)> {
    vec![
        ("everything dropped", vec![filter("closed", Action::Drop, vec![])]),
        (
            "everything dropped by a rule",
            vec![filter("closed", Action::Next, vec![rule("all", Action::Drop, all())])],
        ),
        ("malformed dropped", malformed(Malformed::Drop, Action::Next)),
        ("malformed dropped, else passed", malformed(Malformed::Drop, Action::Pass)),
        ("malformed passed, else dropped", malformed(Malformed::Pass, Action::Drop)),
        ("audit above enforce", audit_above_enforce()),
        ("audited rules", audited_rules()),
        ("audited rules in an audit filter", audited_twice()),
        ("counted on the way", counted_on_the_way()),
        ("marked on the way", marked()),
        ("limited rates", limited_rates()),
        ("limited rates in audit", limited_rates_in_audit()),
        ("next and priorities", next_and_priorities()),
        ("another interface", another_interface()),
    ]
}

fn malformed(malformed: Malformed, default_action: Action) -> Vec<Filter> {
    let rules = vec![
        rule("tcp-from-client", Action::Drop, Match { protocols: vec![6], ..from(&["192.0.2.0/24"], &[]) }),
        rule("dns", Action::Pass, destination_ports(&[(53, 53)])),
    ];
    vec![
        Filter { malformed, priority: 1, ..filter("first", default_action, rules) },
        Filter { malformed: Malformed::Drop, ..filter("second", Action::Next, vec![]) },
    ]
}

fn audit_above_enforce() -> Vec<Filter> {
    let above = vec![
        rule("would-pass", Action::Pass, destination_ports(&[(80, 80)])),
        rule("would-drop", Action::Drop, Match { protocols: vec![6, 17], ..all() }),
        rule("would-leave", Action::Next, icmp(IcmpFamily::V4, None, None)),
    ];
    let below = vec![
        rule("web", Action::Drop, destination_ports(&[(80, 81)])),
        rule("tcp", Action::Pass, protocols(&[6])),
    ];
    let audit = |filter| Filter { mode: Mode::Audit, ..filter };
    vec![
        audit(Filter { priority: 3, malformed: Malformed::Drop, ..filter("a-above", Action::Drop, above) }),
        audit(Filter { priority: 2, ..filter("b-above", Action::Drop, vec![]) }),
        Filter { priority: 1, ..filter("enforce", Action::Drop, below) },
        audit(filter("never-reached", Action::Drop, vec![])),
    ]
}

fn audited_rules() -> Vec<Filter> {
    let rules = vec![
        audited(rule("pass", Action::Pass, protocols(&[17]))),
        audited(rule("drop", Action::Drop, destination_ports(&[(53, 443)]))),
        audited(rule("drop-all", Action::Drop, all())),
        audited(rule("leave", Action::Next, all())),
        audited(later(LaterFragments::Drop, rule("later", Action::Pass, destination_ports(&[(1, 1)])))),
        rule("web", Action::Pass, destination_ports(&[(443, 443)])),
        audited(rule("again", Action::Drop, all())),
        rule("udp", Action::Drop, protocols(&[17])),
    ];
    vec![
        filter("mixed", Action::Next, rules),
        filter("second", Action::Drop, vec![audited(rule("all", Action::Drop, all()))]),
    ]
}

fn audited_twice() -> Vec<Filter> {
    let rules = vec![
        audited(rule("pass", Action::Pass, all())),
        audited(rule("leave", Action::Next, protocols(&[6]))),
        audited(later(LaterFragments::Drop, rule("later", Action::Pass, destination_ports(&[(53, 53)])))),
        audited(rule("drop", Action::Drop, destination_ports(&[(53, 80)]))),
        rule("fragments", Action::Drop, fragments(&[FragmentKind::Later])),
        rule("tcp", Action::Pass, protocols(&[6])),
    ];
    vec![
        Filter { mode: Mode::Audit, priority: 1, ..filter("audit", Action::Drop, rules) },
        filter("enforce", Action::Next, vec![rule("dns", Action::Drop, destination_ports(&[(53, 53)]))]),
    ]
}

fn counted_on_the_way() -> Vec<Filter> {
    let rules = vec![
        rule("all", Action::Count, all()),
        audited(rule("udp", Action::Count, protocols(&[17]))),
        later(LaterFragments::Drop, rule("dns", Action::Count, destination_ports(&[(53, 53)]))),
        rule("leave", Action::Next, icmp(IcmpFamily::V4, None, None)),
        rule("web", Action::Pass, destination_ports(&[(80, 80)])),
        rule("rest", Action::Count, all()),
    ];
    let counting = |default_action| filter("counting", default_action, rules.clone());
    vec![
        Filter {
            mode: Mode::Audit,
            priority: 3,
            object: object("XdpFilter", "audit"),
            ..counting(Action::Drop)
        },
        Filter { priority: 2, malformed: Malformed::Drop, ..counting(Action::Next) },
        filter("last", Action::Drop, vec![rule("tcp", Action::Count, protocols(&[6]))]),
    ]
}

fn marked() -> Vec<Filter> {
    let mark = |name: &str, value, mask, matches| rule(name, Action::Mark(Mark { value, mask }), matches);
    let rules = vec![
        mark("udp", 0x17, 0xff, protocols(&[17])),
        mark("tcp", 0x0600, 0xff00, protocols(&[6])),
        later(LaterFragments::Drop, mark("dns", 0x5300_0000, 0xff00_0000, destination_ports(&[(53, 53)]))),
        mark("all", 0x0100_0001, 0x0f00_000f, all()),
        audited(mark("audited", u32::MAX, u32::MAX, all())),
        rule("web", Action::Drop, destination_ports(&[(80, 80)])),
    ];
    vec![
        Filter { mode: Mode::Audit, priority: 1, ..filter("audit", Action::Drop, rules.clone()) },
        filter("marks", Action::Next, rules),
    ]
}

fn limited(name: &str, burst: u64, per: LimitKey, matches: Match) -> Rule {
    rule(name, Action::RateLimit(RateLimit { rate: Rate::PacketsPerSecond(5), burst, per }), matches)
}

fn limited_rates() -> Vec<Filter> {
    let prefix = LimitKey::SourcePrefix { v4: 24, v6: 56 };
    let rate = Rate::BytesPerSecond(1000);
    let bytes = Action::RateLimit(RateLimit { rate, burst: 1518, per: LimitKey::Source });
    let rules = vec![
        limited("by-rule", 40, LimitKey::Rule, protocols(&[17])),
        limited("by-source", 4, LimitKey::Source, protocols(&[6])),
        later(LaterFragments::Drop, limited("dns", 2, LimitKey::Destination, destination_ports(&[(53, 53)]))),
        limited("by-prefix", 6, prefix, all()),
        limited("by-mac", 100, LimitKey::SourceMac, all()),
        rule("by-bytes", bytes, all()),
        rule("web", Action::Pass, destination_ports(&[(80, 80)])),
    ];
    vec![filter("limits", Action::Next, rules), filter("rest", Action::Drop, vec![])]
}

fn limited_rates_in_audit() -> Vec<Filter> {
    let rules = vec![
        audited(limited("by-rule", 5, LimitKey::Rule, protocols(&[6, 17]))),
        limited("by-source", 2, LimitKey::Source, all()),
        rule("tcp", Action::Drop, protocols(&[6])),
    ];
    vec![
        Filter { mode: Mode::Audit, priority: 1, ..filter("audit", Action::Next, rules.clone()) },
        filter("enforce", Action::Next, rules),
    ]
}

fn next_and_priorities() -> Vec<Filter> {
    let next =
        |name: &str, matches| vec![rule(name, Action::Next, matches), rule("all", Action::Drop, all())];
    let with = |priority, filter| Filter { priority, ..filter };
    vec![
        with(i32::MIN, filter("a-last", Action::Drop, vec![rule("udp", Action::Pass, protocols(&[17]))])),
        with(7, filter("b", Action::Drop, next("ports", Match { protocols: vec![6, 17], ..all() }))),
        with(7, filter("a", Action::Next, vec![rule("web", Action::Drop, destination_ports(&[(80, 80)]))])),
        with(-3, filter("c", Action::Next, next("v6", from(&["::/0"], &[])))),
        with(
            i32::MAX,
            filter("z-first", Action::Next, vec![rule("ssh", Action::Pass, destination_ports(&[(22, 22)]))]),
        ),
    ]
}

fn another_interface() -> Vec<Filter> {
    let elsewhere = |filter| Filter { interfaces: on(ELSEWHERE), ..filter };
    vec![
        elsewhere(Filter {
            priority: 9,
            malformed: Malformed::Drop,
            ..filter("a", Action::Drop, vec![rule("all", Action::Drop, all())])
        }),
        filter(
            "b",
            Action::Next,
            vec![rule("tcp", Action::Drop, protocols(&[6])), rule("leave", Action::Next, protocols(&[17]))],
        ),
        elsewhere(filter("c", Action::Drop, vec![])),
        filter("d", Action::Pass, vec![rule("dns", Action::Drop, destination_ports(&[(53, 53)]))]),
    ]
}
