use sluice_interpret::{Counted, Stage, Verdict, evaluate};
use sluice_policy::{Action, Filter, Mark, Match, Mode};

use crate::build::*;

fn everything(name: &str, action: Action) -> Filter {
    filter(name, vec![rule("all", action, Match::default())])
}

fn web(name: &str, action: Action) -> sluice_policy::Rule {
    rule(name, action, Match { destination_ports: ports(80, 80), ..Match::default() })
}

#[test]
fn the_first_match_decides_and_alone_counts() {
    let world = world(vec![filter("f", vec![web("pass", Action::Pass), web("drop", Action::Drop)])]);
    let outcome = on_eth0(&world, &V4::default().frame(6, &tcp(1, 80, 2)));
    assert_eq!((outcome.verdict, outcome.stage, outcome.rule), (Verdict::Pass, Stage::Filter, Some("pass")));
    assert_eq!(outcome.policy.unwrap().name, "f");
    assert_eq!(outcome.matched.len(), 1);
    assert_eq!(outcome.matched[0].counted, Counted::Pass);
}

#[test]
fn overlapping_prefixes_go_by_rule_order_and_not_by_length() {
    let from = |prefix| Match { sources: prefixes(&[prefix], &[]), ..Match::default() };
    let world = world(vec![filter(
        "f",
        vec![
            rule("wide", Action::Pass, from("192.0.0.0/8")),
            rule("narrow", Action::Drop, from("192.0.2.0/24")),
        ],
    )]);
    assert_eq!(on_eth0(&world, &V4::default().frame(17, &udp(1, 2))).rule, Some("wide"));
}

#[test]
fn filters_run_by_priority_then_by_name() {
    let mut high = everything("z-high", Action::Drop);
    high.priority = 1;
    let mut low = everything("a-low", Action::Pass);
    low.priority = -1;
    let frame = V4::default().frame(17, &udp(1, 2));
    let by_priority = world(vec![low, everything("b", Action::Pass), high]);
    assert_eq!(on_eth0(&by_priority, &frame).policy.unwrap().name, "z-high");
    let by_name = world(vec![everything("b", Action::Pass), everything("a", Action::Drop)]);
    assert_eq!(on_eth0(&by_name, &frame).policy.unwrap().name, "a");
}

#[test]
fn next_leaves_the_filter_and_its_default_action() {
    let mut first = filter("a", vec![web("next", Action::Next), web("never", Action::Drop)]);
    first.default_action = Action::Drop;
    let world = world(vec![first, filter("b", vec![web("second", Action::Pass)])]);
    let outcome = on_eth0(&world, &V4::default().frame(6, &tcp(1, 80, 2)));
    assert_eq!((outcome.verdict, outcome.rule), (Verdict::Pass, Some("second")));
    let counted: Vec<_> =
        outcome.matched.iter().map(|matched| (matched.entry.name, matched.counted)).collect();
    assert_eq!(counted, [("next", Counted::Next), ("second", Counted::Pass)]);
}

#[test]
fn a_default_action_names_its_policy_and_no_rule() {
    let mut filter = filter("f", vec![web("web", Action::Pass)]);
    filter.default_action = Action::Drop;
    let world = world(vec![filter]);
    let outcome = on_eth0(&world, &V4::default().frame(6, &tcp(1, 81, 2)));
    assert_eq!((outcome.verdict, outcome.stage, outcome.rule), (Verdict::Drop, Stage::Default, None));
    assert_eq!(outcome.policy.unwrap().name, "f");
    assert_eq!(outcome.matched[0].entry.name, "_default");
}

#[test]
fn where_nothing_decides_the_packet_passes_with_no_one_named() {
    let world = world(vec![filter("f", vec![web("web", Action::Drop)])]);
    let outcome = on_eth0(&world, &V4::default().frame(6, &tcp(1, 81, 2)));
    assert_eq!((outcome.verdict, outcome.stage), (Verdict::Pass, Stage::Default));
    assert_eq!((outcome.policy, outcome.rule, outcome.mode), (None, None, None));
    assert!(outcome.matched.is_empty());
}

#[test]
fn a_filter_holds_on_its_interfaces_only() {
    let world = world(vec![everything("f", Action::Drop)]);
    let frame = V4::default().frame(17, &udp(1, 2));
    assert_eq!(evaluate(&world, "eth0", &frame).verdict, Verdict::Drop);
    assert_eq!(evaluate(&world, "eth1", &frame).verdict, Verdict::Pass);
}

#[test]
fn a_counting_rule_counts_and_the_next_one_decides() {
    let counting = || vec![web("count", Action::Count), web("drop", Action::Drop)];
    let frame = V4::default().frame(6, &tcp(1, 80, 2));
    let counted = |filters| {
        let world = world(filters);
        let outcome = on_eth0(&world, &frame);
        let matched = outcome.matched.iter();
        let counted: Vec<_> =
            matched.map(|matched| (matched.entry.name.to_owned(), matched.counted)).collect();
        (outcome.rule.map(str::to_owned), counted)
    };
    let decided =
        (Some("drop".to_owned()), vec![("count".into(), Counted::Continue), ("drop".into(), Counted::Drop)]);
    assert_eq!(counted(vec![filter("f", counting())]), decided);
    let mut audited = filter("f", counting());
    audited.mode = Mode::Audit;
    let both = vec![("count".into(), Counted::Audited), ("drop".into(), Counted::Audited)];
    assert_eq!(counted(vec![audited]), (None, both), "the rules behind it are audited, too");
    let counts_in_audit = sluice_policy::Rule { mode: Mode::Audit, ..web("count", Action::Count) };
    let (rule, found) = counted(vec![filter("f", vec![counts_in_audit, web("drop", Action::Drop)])]);
    assert_eq!((rule.as_deref(), found[0].1), (Some("drop"), Counted::Audited));
}

#[test]
fn marks_add_up_bit_by_bit_and_audit_marks_nothing() {
    let mark = |name: &str, value, mask| web(name, Action::Mark(Mark { value, mask }));
    let rules = vec![
        mark("whole", 0x0000_ff00, u32::MAX),
        mark("low", 0x12, 0xff),
        mark("again", 0x02, 0x0f),
        sluice_policy::Rule { mode: Mode::Audit, ..mark("audited", 0, 0xff) },
        web("then", Action::Drop),
    ];
    let world = world(vec![
        Filter {
            mode: Mode::Audit,
            priority: 1,
            ..filter("audit", vec![mark("never", 0x8000_0000, 0x8000_0000)])
        },
        filter("f", rules),
    ]);
    let outcome = on_eth0(&world, &V4::default().frame(6, &tcp(1, 80, 2)));
    assert_eq!((outcome.mark, outcome.rule), (Mark { value: 0xff12, mask: u32::MAX }, Some("then")));
    let counted: Vec<_> = outcome.matched.iter().map(|matched| matched.counted).collect();
    let [audited, went_on] = [Counted::Audited, Counted::Continue];
    assert_eq!(counted, [audited, went_on, went_on, went_on, audited, Counted::Drop]);
    let other = on_eth0(&world, &V4::default().frame(17, &udp(1, 2)));
    assert_eq!(other.mark, Mark { value: 0, mask: 0 });
}
