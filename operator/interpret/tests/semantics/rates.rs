use std::time::Duration;

use sluice_interpret::{Counted, Limits, Verdict, World, evaluate, evaluate_at};
use sluice_policy::*;

use crate::build::*;

/// A packet of 46 bytes.
const FRAME: u64 = 46;

fn limited(rate: Rate, burst: u64, per: LimitKey) -> Rule {
    rule("limit", Action::RateLimit(RateLimit { rate, burst, per }), Match::default())
}

fn packets(per_second: u64, burst: u64, per: LimitKey) -> World {
    world(vec![filter("f", vec![limited(Rate::PacketsPerSecond(per_second), burst, per)])])
}

fn from(source: &'static str) -> Vec<u8> {
    V4 { source, ..V4::default() }.frame(17, &udp(1, 2))
}

/// How many of `count` packets, one each `gap`, pass.
fn passed(world: &World, limits: &mut Limits, frame: &[u8], count: u32, gap: Duration) -> u32 {
    let verdicts = (0..count).map(|number| evaluate_at(world, "eth0", frame, gap * number, limits).verdict);
    verdicts.filter(|verdict| *verdict == Verdict::Pass).count() as u32
}

const AT_ONCE: Duration = Duration::ZERO;

#[test]
fn a_burst_passes_and_then_the_rate() {
    let world = packets(10, 5, LimitKey::Rule);
    let frame = from("192.0.2.1");
    assert_eq!(passed(&world, &mut Limits::default(), &frame, 100, AT_ONCE), 5);
    // Ten seconds of a hundred a second: the burst and what comes in meanwhile.
    assert_eq!(passed(&world, &mut Limits::default(), &frame, 1000, Duration::from_millis(10)), 5 + 99);
    assert_eq!(
        passed(&world, &mut Limits::default(), &frame, 50, Duration::from_millis(100)),
        50,
        "at the rate"
    );
}

#[test]
fn bytes_are_those_of_the_frame() {
    let frame = from("192.0.2.1");
    assert_eq!(frame.len() as u64, FRAME);
    let world = world(vec![filter("f", vec![limited(Rate::BytesPerSecond(1), 3 * FRAME, LimitKey::Rule)])]);
    assert_eq!(passed(&world, &mut Limits::default(), &frame, 9, AT_ONCE), 3);
}

#[test]
fn each_key_has_its_own_rate() {
    let [a, b, c] = ["192.0.2.1", "192.0.2.200", "192.0.3.1"].map(from);
    let v6 = V6 { source: "2001:db8::1", ..V6::default() }.frame(17, &udp(1, 2));
    let near = V6 { source: "2001:db8:0:ff::1", ..V6::default() }.frame(17, &udp(1, 2));
    let mut mac = a.clone();
    mac[6] ^= 4;
    let prefix = LimitKey::SourcePrefix { v4: 24, v6: 56 };
    let cases: [(LimitKey, &[&[u8]], u32); 8] = [
        (LimitKey::Rule, &[&a, &c, &v6], 1),
        (LimitKey::Source, &[&a, &b, &c, &a], 3),
        (LimitKey::Source, &[&a, &v6, &near], 3),
        (prefix, &[&a, &b, &c], 2),
        (prefix, &[&v6, &near, &a], 2),
        (LimitKey::Destination, &[&a, &b, &c, &v6], 2),
        (LimitKey::SourceMac, &[&a, &b, &mac], 2),
        (LimitKey::Source, &[&ethernet(0x88b5, b"one"), &ethernet(0x88b6, b"two")], 1),
    ];
    for (per, frames, expected) in cases {
        let (world, mut limits) = (packets(1, 1, per), Limits::default());
        let passed: u32 = frames.iter().map(|frame| passed(&world, &mut limits, frame, 1, AT_ONCE)).sum();
        assert_eq!(passed, expected, "{per:?}");
    }
}

#[test]
fn what_is_above_the_rate_is_dropped_by_the_rule_and_the_rest_goes_on() {
    let rules = vec![
        limited(Rate::PacketsPerSecond(1), 1, LimitKey::Rule),
        rule("then", Action::Pass, Match::default()),
    ];
    let world = world(vec![filter("f", rules)]);
    let (frame, mut limits) = (from("192.0.2.1"), Limits::default());
    let seen = |limits: &mut Limits| {
        let outcome = evaluate_at(&world, "eth0", &frame, AT_ONCE, limits);
        let matched = outcome.matched.iter().map(|matched| (matched.entry.name, matched.counted));
        (outcome.verdict, outcome.rule, matched.collect::<Vec<_>>())
    };
    let within = vec![("limit", Counted::Continue), ("then", Counted::Pass)];
    assert_eq!(seen(&mut limits), (Verdict::Pass, Some("then"), within));
    assert_eq!(seen(&mut limits), (Verdict::Drop, Some("limit"), vec![("limit", Counted::Drop)]));
    // Alone and without a time, a packet is within every rate.
    assert_eq!(evaluate(&world, "eth0", &frame).rule, Some("then"));
}

#[test]
fn audit_says_what_would_have_been_dropped() {
    let limit = limited(Rate::PacketsPerSecond(1), 1, LimitKey::Rule);
    let rule_in_audit = filter("f", vec![Rule { mode: Mode::Audit, ..limit.clone() }]);
    let filter_in_audit = Filter { mode: Mode::Audit, ..filter("f", vec![limit]) };
    for filter in [rule_in_audit, filter_in_audit] {
        let (world, mut limits) = (world(vec![filter]), Limits::default());
        let found = [(); 2].map(|()| {
            let outcome = evaluate_at(&world, "eth0", &from("192.0.2.1"), AT_ONCE, &mut limits);
            (outcome.verdict, outcome.matched[0].counted, outcome.audited.map(|audited| audited.name))
        });
        let expected =
            [(Verdict::Pass, Counted::Continue, None), (Verdict::Pass, Counted::Audited, Some("limit"))];
        assert_eq!(found, expected);
    }
}
