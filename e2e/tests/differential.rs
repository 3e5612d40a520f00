//! The kernel program and the interpreter agree on every packet: verdict, stage, what decided, what audit recorded,
//! and every counter.

use sluice_e2e::oracle::{Mismatch, Tally, compare, fuzz, hand_made, hand_made_among_many};
use sluice_e2e::packets::corpus;

/// Packets through random policies in the everyday run; `make fuzz` goes on from there.
const RANDOM: u64 = 24_000;
const PER_ROUND: usize = 600;
const SEED: u64 = 20_260_101;

#[test]
fn hand_made_packets_meet_hand_made_policies() {
    if skipped() {
        return;
    }
    let packets = corpus();
    let mut tally = Tally::default();
    for (name, node) in hand_made().expect("the policies compile") {
        match compare(&node, &node.plan, &packets) {
            Ok(agreed) => tally.add(&agreed),
            Err(error) => panic!("policies {name:?}: {error:#}"),
        }
    }
    println!("{} packets: {tally:?}", packets.len());
    assert!(packets.len() >= 200, "{} packets", packets.len());
    reaches_everything(&tally);
}

#[test]
fn hand_made_policies_decide_the_same_among_a_thousand_rules() {
    if skipped() {
        return;
    }
    let packets = corpus();
    let mut tally = Tally::default();
    for (name, node) in hand_made_among_many().expect("the policies compile") {
        match compare(&node, &node.plan, &packets) {
            Ok(agreed) => tally.add(&agreed),
            Err(error) => panic!("policies {name:?}: {error:#}"),
        }
    }
    println!("{} packets: {tally:?}", packets.len());
    assert!(tally.by_rule >= 1000 && tally.audited >= 40, "{tally:?}");
}

#[test]
fn random_packets_meet_random_policies() {
    if skipped() {
        return;
    }
    match fuzz(SEED, 0, RANDOM, PER_ROUND) {
        Ok(tally) => {
            println!("{tally:?}");
            assert!(tally.verdicts >= 20_000, "{} verdicts", tally.verdicts);
            reaches_everything(&tally);
        }
        Err(error) => panic!("{error:#}"),
    }
}

/// A comparison that never meets a stage says nothing about it.
fn reaches_everything(tally: &Tally) {
    for (what, count) in [
        ("drops", tally.drops),
        ("transmits", tally.transmits),
        ("audited", tally.audited),
        ("malformed", tally.malformed),
        ("failsafe", tally.failsafe),
        ("by rule", tally.by_rule),
        ("by default", tally.by_default),
        ("by the malformed setting", tally.by_malformed),
        ("by a balancer", tally.by_balancer),
        ("live runs", tally.live),
    ] {
        assert!(count >= 40, "{what}: only {count} of {}", tally.verdicts);
    }
}

#[test]
fn a_disagreement_says_how_to_see_it_again() {
    if skipped() {
        return;
    }
    let node = hand_made().expect("the policies compile").swap_remove(1).1;
    let other = hand_made().expect("the policies compile").swap_remove(2).1;
    let error =
        compare(&node, &other.plan, &corpus()).expect_err("other policies than the interpreter reads");
    let text = error.downcast::<Mismatch>().expect("a mismatch").to_string();
    for part in ["frame: ", "kernel: ", "interpreter: ", "filter: {\"object\":"] {
        assert!(text.contains(part), "{part:?} is missing in {text}");
    }
}

/// Loading a program takes CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON; without them this fails unless told to skip.
fn skipped() -> bool {
    std::env::var_os("SLUICE_SKIP_PRIVILEGED").is_some_and(|value| value == "1")
}
