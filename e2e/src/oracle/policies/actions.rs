//! What rules do, and in which order.

use sluice_policy::{Action, Filter, FragmentKind, IcmpFamily, LaterFragments, Malformed, Match, Mode};

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
