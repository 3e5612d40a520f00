use sluice_interpret::{Counted, Stage, Verdict, evaluate};
use sluice_policy::{Action, Filter, Match};

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
