//! What becomes of a version, given what nodes say.

mod fleet;

use std::collections::BTreeSet;

use fleet::{Fleet, rollout};
use sluice_policy::{Gates, Rollout, Share};
use sluice_rollout::{Before, Failure, Gate, Order, OrderedFor, Packets, Phase, Progress, Word};

fn names(reached: &[String]) -> BTreeSet<&str> {
    reached.iter().map(String::as_str).collect()
}

#[test]
fn waves_go_on_when_their_nodes_have_it_and_the_hold_is_over() {
    let mut fleet = Fleet::new(10, rollout(&[("20%", 30), ("5", 0)]));
    assert_eq!((fleet.updated(), fleet.phase()), (2, Phase::Advancing));
    fleet.step(1_000);
    assert_eq!(fleet.phase(), Phase::Advancing, "nobody has it yet");
    fleet.all_have_it();
    fleet.step(2_000);
    assert_eq!(fleet.phase(), Phase::Holding { since: 2_000 });
    fleet.step(31_999);
    assert_eq!(fleet.updated(), 2);
    fleet.step(32_000);
    assert_eq!((fleet.updated(), fleet.phase()), (5, Phase::Advancing));
    fleet.all_have_it();
    fleet.step(32_001);
    assert_eq!((fleet.updated(), fleet.phase()), (10, Phase::Advancing), "no hold, and then all others");
    fleet.all_have_it();
    fleet.step(32_002);
    assert_eq!(fleet.phase(), Phase::Done);
}

#[test]
fn a_node_is_drawn_in_by_the_wave_that_was_foretold() {
    let mut fleet = Fleet::new(10, rollout(&[("20%", 0), ("5", 0)]));
    let node = |index: usize| format!("node-{index}");
    let foretold: Vec<_> = (0..10).map(|index| fleet.wave_of(&node(index))).collect();
    assert_eq!(foretold.iter().filter(|wave| wave.is_none()).count(), 2, "those that were drawn in");
    for wave in 2..=3 {
        fleet.all_have_it();
        fleet.step(1_000 * wave as i64);
        for (index, foretold) in foretold.iter().enumerate() {
            let is_in = fleet.reached().contains(&node(index));
            assert_eq!(
                is_in,
                foretold.is_none_or(|(of, all)| all == 3 && of <= wave),
                "{index}: {foretold:?}"
            );
        }
    }
    assert_eq!(fleet.wave_of("nobody"), None);
}

#[test]
fn a_clock_that_is_set_back_begins_a_hold_anew() {
    let mut fleet = Fleet::new(10, rollout(&[("20%", 30)]));
    fleet.all_have_it();
    fleet.step(3_600_000);
    fleet.step(5_000);
    assert_eq!((fleet.phase(), fleet.updated()), (Phase::Holding { since: 5_000 }, 2));
    fleet.step(35_000);
    assert_eq!(fleet.updated(), 10);
}

#[test]
fn a_hold_does_not_end_before_all_nodes_were_heard() {
    let mut fleet = Fleet::new(10, rollout(&[("20%", 30)]));
    fleet.all_have_it();
    fleet.step(0);
    let first = fleet.reached()[0].clone();
    fleet.says(&first, Word::Pending);
    fleet.step(60_000);
    assert_eq!((fleet.phase(), fleet.updated()), (Phase::Holding { since: 0 }, 2));
    fleet.all_have_it();
    fleet.step(60_001);
    assert_eq!(fleet.updated(), 10);
}

#[test]
fn canaries_come_first_and_count_in_the_shares() {
    let mut fleet = Fleet::new(10, rollout(&[("20%", 1), ("50%", 0)]));
    fleet.canaries(&["node-3", "node-7", "node-8"]);
    fleet.begin();
    assert_eq!(names(&fleet.reached()), ["node-3", "node-7", "node-8"].into());
    assert_eq!(fleet.standing().wave, (1, 4));
    fleet.all_have_it();
    fleet.step(0);
    assert_eq!(fleet.phase(), Phase::Holding { since: 0 }, "as long as the first step");
    fleet.step(1_000);
    assert_eq!(fleet.updated(), 5, "the first step has no node that the canaries are not");
    assert_eq!(fleet.standing().wave, (3, 4));
}

#[test]
fn a_share_is_rounded_up_and_a_node_that_joins_moves_nobody() {
    let small = Fleet::new(3, rollout(&[("10%", 60)]));
    assert_eq!(small.updated(), 1);
    let mut fleet = Fleet::new(40, rollout(&[("25%", 60)]));
    let before = fleet.reached();
    assert_eq!(before.len(), 10);
    (40..80).for_each(|index| fleet.join(&format!("node-{index}")));
    let after = fleet.reached();
    assert!(names(&before).is_subset(&names(&after)), "{before:?} {after:?}");
    assert!((11..30).contains(&after.len()), "a part of those that joined: {}", after.len());
}

#[test]
fn two_policies_begin_with_different_nodes_and_two_replicas_with_the_same() {
    let of = |policy: &str| {
        let mut fleet = Fleet::new(100, rollout(&[("10%", 60)]));
        fleet.policy = policy.to_owned();
        fleet.begin();
        fleet.reached()
    };
    assert_eq!(of("one"), of("one"));
    assert_ne!(of("one"), of("another"));
}

#[test]
fn a_version_that_is_refused_goes_back() {
    let mut fleet = Fleet::new(10, rollout(&[("20%", 30)]));
    let first = fleet.reached()[0].clone();
    fleet.all_have_it();
    fleet.step(1_000);
    fleet.says(&first, Word::Refuses("NoDriver: no".to_owned()));
    fleet.step(2_000);
    let found = format!("1 of 2 nodes refuse it: {first}: NoDriver: no");
    assert_eq!(fleet.phase(), Phase::RolledBack(Some(Failure { gate: Gate::Rejects, found })));
    assert_eq!(fleet.updated(), 0);
    assert!(fleet.standing().words.ends_with("; 0 of 10 nodes have the version before again"));
    fleet.all_have_it();
    fleet.step(100_000);
    assert_eq!(fleet.updated(), 0, "it is not tried again");
    assert!(fleet.standing().words.ends_with("save another version"), "{}", fleet.standing().words);
    assert!(fleet.standing().words.starts_with("maxRejects did not hold: 1 of 2 nodes refuse it"));
}

#[test]
fn refusals_that_are_allowed_hold_nothing_up() {
    let gates = Gates { max_rejects: 1, ..Gates::default() };
    let mut fleet = Fleet::new(10, Rollout { gates, ..rollout(&[("20%", 0)]) });
    let first = fleet.reached()[0].clone();
    fleet.all_have_it();
    fleet.says(&first, Word::Refuses("no".to_owned()));
    fleet.step(1_000);
    assert_eq!(fleet.updated(), 10);
}

#[test]
fn without_automatic_rollback_a_gate_stops_until_it_holds_again() {
    let mut fleet = Fleet::new(10, Rollout { auto_rollback: false, ..rollout(&[("20%", 30)]) });
    let first = fleet.reached()[0].clone();
    fleet.all_have_it();
    fleet.says(&first, Word::Refuses("no".to_owned()));
    fleet.step(1_000);
    assert_eq!((fleet.phase(), fleet.updated()), (Phase::Halted(Gate::Rejects), 2));
    assert!(fleet.standing().words.contains("1 of 2 nodes refuse it"), "{}", fleet.standing().words);
    fleet.all_have_it();
    fleet.step(2_000);
    assert_eq!(fleet.phase(), Phase::Holding { since: 2_000 });
}

#[test]
fn a_node_that_falls_silent_after_the_change_takes_it_back_and_one_before_stops_it() {
    for (last, phase) in [(Some(500), "RolledBack"), (Some(-1), "Advancing"), (None, "Advancing")] {
        let mut fleet = Fleet::new(10, rollout(&[("20%", 0)]));
        let first = fleet.reached()[0].clone();
        fleet.all_have_it();
        fleet.says(&first, Word::Silent(last));
        fleet.step(6_000);
        assert!(format!("{:?}", fleet.phase()).starts_with(phase), "{last:?}: {:?}", fleet.phase());
        if last.is_none() {
            assert!(fleet.standing().words.ends_with(&format!("waits for silent nodes: {first}")));
        }
    }
    let one = Rollout { max_unreachable: Share::Count(1), ..rollout(&[("20%", 0)]) };
    let mut fleet = Fleet::new(10, one);
    let first = fleet.reached()[0].clone();
    fleet.all_have_it();
    fleet.says(&first, Word::Silent(Some(500)));
    fleet.step(6_000);
    assert_eq!(fleet.updated(), 10, "one may");
}

#[test]
fn a_version_that_drops_more_than_the_one_before_goes_back() {
    let gates = Gates { max_drop_ratio: Some(50_000), ..Gates::default() };
    let settings = Rollout { gates, ..rollout(&[("20%", 30)]) };
    let packets = |met: f64, dropped: f64| Some(Packets { met, dropped, ..Packets::default() });
    let judged = |version, before| {
        let mut fleet = Fleet::new(10, settings.clone());
        fleet.all_have_it();
        fleet.count(version, before);
        fleet.step(1_000);
        (fleet.phase(), fleet.standing().words)
    };
    let holds = Phase::Holding { since: 1_000 };
    assert_eq!(judged(packets(100.0, 24.0), packets(100.0, 20.0)).0, holds, "4 % more");
    let (phase, words) = judged(packets(100.0, 26.0), packets(100.0, 20.0));
    assert!(matches!(phase, Phase::RolledBack(_)), "{phase:?}");
    assert!(
        words.contains("it drops 26.0 % of all packets, the version before 20.0 %, and 5.0 % more"),
        "{words}"
    );
    for (version, before, why) in [
        (packets(4.0, 4.0), packets(100.0, 0.0), "that have it"),
        (packets(100.0, 50.0), None, "the version before"),
    ] {
        let (phase, words) = judged(version, before);
        assert_eq!(phase, holds);
        assert!(words.contains("maxDropRatio says nothing") && words.ends_with(why), "{words}");
    }
}

#[test]
fn a_version_with_which_balancers_lose_packets_goes_back() {
    let gates = Gates { max_balancer_error_ratio: Some(10_000), ..Gates::default() };
    let packets =
        |balanced: f64, failed: f64| Some(Packets { met: 1e6, balanced, failed, ..Packets::default() });
    let judged = |is_new: bool, version, before| {
        let mut fleet = Fleet::new(10, Rollout { gates: gates.clone(), ..rollout(&[("20%", 30)]) });
        fleet.is_new = is_new;
        fleet.all_have_it();
        fleet.count(version, before);
        fleet.step(1_000);
        (fleet.phase(), fleet.standing().words)
    };
    let holds = Phase::Holding { since: 1_000 };
    // Also of a new filter: balancers were there before.
    for is_new in [false, true] {
        assert_eq!(judged(is_new, packets(1_000.0, 25.0), packets(1_000.0, 20.0)).0, holds, "0.5 % more");
        let (phase, words) = judged(is_new, packets(1_000.0, 40.0), packets(1_000.0, 20.0));
        assert!(matches!(phase, Phase::RolledBack(_)), "{phase:?}");
        let found = "maxBalancerErrorRatio did not hold: with it 4.0 % of the packets to virtual addresses reach no \
                     backend, with the version before 2.0 %, and 1.0 % more is allowed";
        assert!(words.starts_with(found), "{words}");
    }
    let (phase, words) = judged(false, packets(4.0, 4.0), packets(1_000.0, 0.0));
    assert_eq!(phase, holds);
    let nothing = "maxBalancerErrorRatio says nothing: fewer than 100 packets a second to virtual addresses reach the \
                   nodes that have it";
    assert!(words.ends_with(nothing), "{words}");
}

#[test]
fn a_version_that_makes_packets_dear_goes_back() {
    let gates = Gates { max_ns_per_packet: Some(500), ..Gates::default() };
    let settings = Rollout { gates, ..rollout(&[("20%", 30)]) };
    let mut fleet = Fleet::new(10, settings);
    let first = fleet.reached()[0].clone();
    let other = (0..10).map(|index| format!("node-{index}")).find(|name| !fleet.reached().contains(name));
    fleet.takes(&other.expect("the wave is not all"), 9_000);
    // What it takes now is the version before.
    fleet.takes(&first, 700);
    fleet.step(500);
    assert_eq!(fleet.phase(), Phase::Advancing);
    fleet.takes(&first, 500);
    fleet.all_have_it();
    fleet.step(1_000);
    assert_eq!(
        fleet.phase(),
        Phase::Holding { since: 1_000 },
        "as much as it may, and others' words do not count"
    );
    fleet.takes(&first, 501);
    fleet.step(2_000);
    assert!(matches!(fleet.phase(), Phase::RolledBack(_)), "{:?}", fleet.phase());
    let words = fleet.standing().words;
    let found =
        format!("maxNsPerPacket did not hold: a packet takes more than 500 ns on 1 nodes: {first}: 501 ns");
    assert!(words.starts_with(&found), "{words}");
}

#[test]
fn the_last_wave_is_compared_with_what_was_before() {
    let gates = Gates { max_drop_ratio: Some(50_000), ..Gates::default() };
    let mut fleet = Fleet::new(10, Rollout { gates, ..rollout(&[("20%", 0), ("100%", 30)]) });
    fleet.all_have_it();
    let quiet = Some(Packets { met: 100.0, dropped: 1.0, ..Packets::default() });
    fleet.count(quiet, quiet);
    fleet.step(1_000);
    assert_eq!(fleet.updated(), 10);
    fleet.all_have_it();
    fleet.count(Some(Packets { met: 100.0, dropped: 9.0, ..Packets::default() }), None);
    fleet.step(2_000);
    assert!(matches!(fleet.phase(), Phase::RolledBack(_)), "{:?}", fleet.phase());
}

#[test]
fn where_nothing_was_before_nothing_was_dropped() {
    let gates = Gates { max_drop_ratio: Some(50_000), ..Gates::default() };
    let mut fleet = Fleet::new(10, Rollout { gates, ..rollout(&[("20%", 30)]) });
    fleet.is_new = true;
    fleet.all_have_it();
    fleet.count(Some(Packets { met: 100.0, dropped: 9.0, ..Packets::default() }), None);
    fleet.step(1_000);
    assert!(matches!(fleet.phase(), Phase::RolledBack(_)), "{:?}", fleet.phase());
}

#[test]
fn a_pause_holds_as_long_as_it_stands_and_gates_go_on() {
    let mut fleet = Fleet::new(10, rollout(&[("20%", 30)]));
    fleet.all_have_it();
    fleet.order = Some(Order::Pause);
    fleet.step(1_000);
    fleet.step(100_000);
    assert_eq!((fleet.phase(), fleet.updated()), (Phase::Paused, 2));
    fleet.order = Some(Order::Resume);
    fleet.step(101_000);
    assert_eq!(fleet.phase(), Phase::Holding { since: 101_000 }, "the hold begins anew");
    fleet.order = Some(Order::Pause);
    fleet.step(102_000);
    assert_eq!(fleet.phase(), Phase::Paused, "as often as somebody likes");
    let first = fleet.reached()[0].clone();
    fleet.says(&first, Word::Refuses("no".to_owned()));
    fleet.step(103_000);
    assert!(matches!(fleet.phase(), Phase::RolledBack(Some(_))));
}

#[test]
fn what_was_taken_back_comes_again_only_by_promotion() {
    let mut fleet = Fleet::new(10, rollout(&[("20%", 30)]));
    fleet.order = Some(Order::Abort);
    fleet.step(1_000);
    assert_eq!((fleet.phase(), fleet.updated()), (Phase::RolledBack(None), 0));
    for order in [None, Some(Order::Resume), Some(Order::Pause)] {
        fleet.order = order;
        fleet.step(2_000);
        assert_eq!(fleet.phase(), Phase::RolledBack(None), "{order:?}");
    }
    fleet.order = Some(Order::Promote);
    fleet.step(3_000);
    assert_eq!((fleet.phase(), fleet.updated()), (Phase::Advancing, 10));
    let first = fleet.reached()[0].clone();
    fleet.all_have_it();
    fleet.says(&first, Word::Refuses("no".to_owned()));
    fleet.step(4_000);
    assert_eq!(fleet.phase(), Phase::Done, "gates do not count for what somebody wants everywhere");
    fleet.order = Some(Order::Abort);
    fleet.step(5_000);
    assert_eq!((fleet.phase(), fleet.updated()), (Phase::RolledBack(None), 0), "also what is everywhere");
}

#[test]
fn where_there_are_no_nodes_it_is_over_before_it_begins() {
    let fleet = Fleet::new(0, rollout(&[("20%", 30)]));
    assert_eq!(fleet.phase(), Phase::Done);
}

#[test]
fn an_order_names_the_generation_that_it_is_about() {
    let order: OrderedFor = "abort@12".parse().expect("an order");
    assert_eq!(order, OrderedFor { order: Order::Abort, generation: 12 });
    assert_eq!(order.to_string(), "abort@12");
    for wrong in ["", "abort", "abort@", "stop@3", "pause@x", "Pause@3"] {
        let said = wrong.parse::<OrderedFor>().expect_err(wrong);
        assert!(said.contains("as pause@3"), "{said}");
    }
}

/// A replica of the version before agreed on it.
#[test]
fn progress_of_the_version_before_is_read() {
    let before = Before { drop_ratio_before: Some(12_000), balancer_error_ratio_before: None };
    let now = Progress { phase: Phase::Holding { since: 7 }, wave: 1, before, ..Progress::done() };
    let mut words = serde_json::to_value(&now).expect("plain fields");
    assert_eq!(words["drop_ratio_before"], 12_000, "where it was");
    words.as_object_mut().expect("an object").remove("balancer_error_ratio_before");
    assert_eq!(serde_json::from_value::<Progress>(words).expect("it knew no more"), now);
}
