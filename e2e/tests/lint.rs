//! What lint says never matches never does: random filters, held against random packets by the interpreter.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::StdRng;
use sluice_e2e::oracle::random_node;
use sluice_e2e::packets::{Generator, Ipv4, Ipv6, corpus, tcp, udp};
use sluice_interpret::{Sets, Verdict, World, evaluate};
use sluice_lint::{Reason, Surroundings, Warning, lint};
use sluice_policy::{Action, Filter, Hook, Interfaces, Match, Mode, PortRange, PrefixSet, Rule};

const ROUNDS: u64 = 25;
const RANDOM_FRAMES: usize = 1_500;
const INTERFACE: &str = "eth0";

#[test]
fn a_rule_that_never_matches_is_met_by_no_packet() {
    let frames = frames();
    let mut tally = Tally::default();
    for (filter, sets) in filters() {
        let silent = silent(&filter, &warnings(&filter));
        let world = alone(filter.clone(), &sets);
        for frame in &frames {
            let outcome = evaluate(&world, INTERFACE, frame);
            if let Some(met) = outcome.matched.iter().find(|met| silent.contains(met.entry.name)) {
                panic!("{} matches {}: {filter:#?}", met.entry.name, frame_text(frame));
            }
        }
        tally.rules += filter.rules.len();
        tally.silent += silent.len();
        // Without the rules in front of it such a rule does match: the frames could have shown a mistake.
        tally.would_match += filter
            .rules
            .iter()
            .filter(|rule| silent.contains(&rule.name))
            .filter(|rule| matches_one(rule, &filter, &sets, &frames))
            .count();
    }
    println!("{tally:?}");
    assert!(tally.silent >= 200, "{tally:?}");
    assert!(tally.would_match >= 100, "{tally:?}");
    assert!(tally.silent < tally.rules, "{tally:?}");
}

#[test]
fn what_an_allow_list_is_said_to_miss_is_dropped() {
    let mut warned = 0;
    for (mut filter, sets) in filters() {
        filter.default_action = Action::Drop;
        filter.mode = Mode::Enforce;
        let warnings = warnings(&filter);
        let Some(warning) = warnings.iter().find(|one| one.reason == Reason::AllowListIncomplete) else {
            continue;
        };
        let world = alone(filter, &sets);
        for (name, frames) in own_traffic() {
            if !warning.message.contains(name) {
                continue;
            }
            warned += 1;
            for frame in frames {
                let outcome = evaluate(&world, INTERFACE, &frame);
                assert_eq!(
                    outcome.verdict,
                    Verdict::Drop,
                    "{name} passes {:?}: {:#?}",
                    outcome.rule,
                    world.filters
                );
            }
        }
    }
    assert!(warned >= 20, "only {warned} times");
}

#[derive(Debug, Default)]
struct Tally {
    rules: usize,
    silent: usize,
    would_match: usize,
}

/// With the address sets that they name.
fn filters() -> impl Iterator<Item = (Filter, Sets)> {
    (0..ROUNDS).flat_map(|seed| {
        let World { filters, sets, .. } =
            random_node(&mut StdRng::seed_from_u64(seed)).expect("random policies compile").world;
        let here = Interfaces { names: vec![INTERFACE.to_owned()], ..Interfaces::default() };
        filters
            .into_iter()
            .map(move |filter| (Filter { interfaces: here.clone(), hook: Hook::Xdp, ..filter }, sets.clone()))
    })
}

fn frames() -> Vec<Vec<u8>> {
    let mut generator = Generator::new(StdRng::seed_from_u64(1));
    let random = (0..RANDOM_FRAMES).map(|_| generator.frame());
    corpus().into_iter().map(|named| named.frame).chain(random).collect()
}

fn warnings(filter: &Filter) -> Vec<Warning> {
    let failsafe = sluice_plan::Failsafe::default();
    lint(filter, &Surroundings { failsafe: &failsafe, node_addresses: &[], before: &[] })
}

/// Names of rules that are said never to match.
fn silent(filter: &Filter, warnings: &[Warning]) -> BTreeSet<String> {
    let mut silent = BTreeSet::new();
    for warning in warnings {
        let rule = warning.rule.clone().unwrap_or_default();
        match warning.reason {
            Reason::Shadowed | Reason::NeverMatches => drop(silent.insert(rule)),
            Reason::MatchesEverything => {
                let behind = filter.rules.iter().skip_while(|one| one.name != rule).skip(1);
                silent.extend(behind.map(|one| one.name.clone()));
            }
            Reason::ShadowedByFailsafe
            | Reason::OverlappingRateLimits
            | Reason::BurstTooSmall
            | Reason::AllowListIncomplete
            | Reason::SetGone => {}
        }
    }
    silent
}

/// Without failsafe: nothing is kept from the rules.
fn alone(filter: Filter, sets: &Sets) -> World {
    World { filters: vec![filter], sets: sets.clone(), ..World::default() }
}

fn matches_one(rule: &Rule, filter: &Filter, sets: &Sets, frames: &[Vec<u8>]) -> bool {
    let world = alone(Filter { rules: vec![rule.clone()], ..filter.clone() }, sets);
    frames
        .iter()
        .any(|frame| evaluate(&world, INTERFACE, frame).matched.iter().any(|met| met.entry.name == rule.name))
}

fn own_traffic() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let both = |number: u8, payload: Vec<u8>| {
        vec![Ipv4::default().frame(number, &payload), Ipv6::default().frame(number, &payload)]
    };
    vec![
        ("TCP connections", both(6, tcp(443, 40_000, 0x12))),
        ("DNS", both(17, udp(53, 40_000))),
        ("NTP", both(17, udp(123, 123))),
        ("fragmentation needed", vec![Ipv4::default().frame(1, &[3, 4, 0, 0, 0, 0, 5, 0])]),
        ("packet too big", vec![Ipv6::default().frame(58, &[2, 0, 0, 0, 0, 0, 5, 0])]),
    ]
}

fn frame_text(frame: &[u8]) -> String {
    frame.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A filter of the most rules that there may be is looked through in the time of an edit.
#[test]
fn the_largest_filter_takes_no_time() {
    let (filter, _) = filters().next().expect("a filter");
    let template = filter.rules.first().cloned().expect("a rule");
    let rules = (0..1_000u32).map(|index| Rule {
        name: format!("r{index}"),
        matches: Match {
            sources: Some(PrefixSet {
                v4: vec![ipnet::Ipv4Net::new((index << 12).into(), 20).expect("a length")],
                ..PrefixSet::default()
            }),
            protocols: vec![17],
            destination_ports: vec![PortRange { first: 5_000, last: 6_000 }],
            ..Match::default()
        },
        mode: Mode::Enforce,
        ..template.clone()
    });
    let filter = Filter { rules: rules.collect(), ..filter };
    let begun = Instant::now();
    let warnings = warnings(&filter);
    println!("{} warnings in {:?}", warnings.len(), begun.elapsed());
    assert!(begun.elapsed() < Duration::from_secs(2));
}
