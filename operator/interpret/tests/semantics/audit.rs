use sluice_interpret::{Counted, Verdict};
use sluice_policy::{Action, Filter, LaterFragments, Match, Mode, Rule};

use crate::build::*;

fn all(name: &str, action: Action, mode: Mode) -> Rule {
    Rule { mode, ..rule(name, action, Match::default()) }
}

fn in_audit(filter: Filter) -> Filter {
    Filter { mode: Mode::Audit, priority: 10, ..filter }
}

/// Verdict, deciding rule, audited name, and what was counted.
type Seen = (Verdict, Option<String>, Option<String>, Vec<(String, Counted)>);

fn seen(filters: Vec<Filter>, frame: &[u8]) -> Seen {
    let world = world(filters);
    let outcome = on_eth0(&world, frame);
    (
        outcome.verdict,
        outcome.rule.map(str::to_owned),
        outcome.audited.map(|audited| audited.name.to_owned()),
        outcome.matched.iter().map(|matched| (matched.entry.name.to_owned(), matched.counted)).collect(),
    )
}

fn packet() -> Vec<u8> {
    V4::default().frame(17, &udp(1, 2))
}

#[test]
fn an_audited_drop_is_recorded_and_the_next_rule_goes_on() {
    let rules = vec![all("would", Action::Drop, Mode::Audit), all("does", Action::Pass, Mode::Enforce)];
    let (verdict, rule, audited, counted) = seen(vec![filter("f", rules)], &packet());
    assert_eq!((verdict, rule.as_deref(), audited.as_deref()), (Verdict::Pass, Some("does"), Some("would")));
    assert_eq!(counted, [("would".into(), Counted::Audited), ("does".into(), Counted::Pass)]);
}

#[test]
fn only_the_first_audited_drop_is_recorded() {
    let rules = vec![
        all("pass", Action::Pass, Mode::Audit),
        all("first", Action::Drop, Mode::Audit),
        all("second", Action::Drop, Mode::Audit),
    ];
    let (verdict, _, audited, counted) = seen(vec![filter("f", rules)], &packet());
    assert_eq!((verdict, audited.as_deref(), counted.len()), (Verdict::Pass, Some("first"), 3));
}

#[test]
fn an_audit_filter_above_an_enforcing_one_changes_no_verdict() {
    for audited_action in [Action::Pass, Action::Drop, Action::Next] {
        for enforced in [Action::Pass, Action::Drop] {
            let above = in_audit(filter("a", vec![all("above", audited_action, Mode::Enforce)]));
            let below = filter("b", vec![all("below", enforced, Mode::Enforce)]);
            let (verdict, rule, audited, counted) = seen(vec![above, below], &packet());
            assert_eq!(verdict == Verdict::Drop, enforced == Action::Drop);
            assert_eq!(rule.as_deref(), Some("below"));
            assert_eq!(audited.is_some(), audited_action == Action::Drop);
            assert_eq!(counted[0], ("above".into(), Counted::Audited));
        }
    }
}

#[test]
fn an_audit_filter_audits_only_what_it_would_have_decided() {
    let rules = vec![all("first", Action::Pass, Mode::Enforce), all("hidden", Action::Drop, Mode::Enforce)];
    let (verdict, _, audited, counted) = seen(vec![in_audit(filter("a", rules))], &packet());
    assert_eq!((verdict, audited), (Verdict::Pass, None));
    assert_eq!(counted, [("first".into(), Counted::Audited)]);
}

#[test]
fn the_default_action_of_an_audit_filter_is_audited() {
    let mut above = in_audit(filter("a", vec![]));
    above.default_action = Action::Drop;
    let (verdict, rule, audited, _) = seen(vec![above], &packet());
    assert_eq!((verdict, rule, audited.as_deref()), (Verdict::Pass, None, Some("_default")));
}

#[test]
fn an_audited_rule_in_an_audit_filter_does_not_hide_the_rules_below() {
    let rules = vec![all("pass", Action::Pass, Mode::Audit), all("drop", Action::Drop, Mode::Enforce)];
    let (verdict, _, audited, _) = seen(vec![in_audit(filter("a", rules))], &packet());
    assert_eq!((verdict, audited.as_deref()), (Verdict::Pass, Some("drop")));
}

#[test]
fn a_dropped_later_fragment_is_audited_as_a_drop() {
    let matches = Match { destination_ports: ports(53, 53), ..Match::default() };
    let strict = Rule {
        mode: Mode::Audit,
        later_fragments: LaterFragments::Drop,
        ..rule("strict", Action::Pass, matches)
    };
    let later = V4 { fragment: 185, ..V4::default() }.frame(17, &[0; 32]);
    let (verdict, _, audited, _) = seen(vec![filter("f", vec![strict])], &later);
    assert_eq!((verdict, audited.as_deref()), (Verdict::Pass, Some("strict")));
}
