use sluice_proto::v1::{CounterSample, Hello, InterfaceState, Report, ResourceVerdict, Verdicts};

use super::*;

const PLAN: Hash = Hash([7; 32]);

fn placed(nodes: &[&str]) -> Placed {
    let expected =
        |node: &&str| Expected { node: (*node).to_owned(), plan: PLAN, generation: Some(2), withheld: None };
    let nodes = nodes.iter().map(expected).collect();
    Placed { uid: "u".to_owned(), generation: 2, nodes, ..Placed::default() }
}

fn hello() -> Hello {
    Hello { plan_schemas: Schema::numbers(), ..Hello::default() }
}

fn book(nodes: &[&str]) -> Book {
    let mut book = Book::default();
    for node in nodes {
        book.connected(node, &hello(), 0);
    }
    book
}

/// The plan is in force on the node, and this is of its policy.
fn hear(book: &mut Book, node: &str, verdict: PolicyVerdict) {
    let resource = ResourceVerdict {
        key: "plan".to_owned(),
        hash: PLAN.0.to_vec(),
        stage: VerdictStage::Programmed.into(),
        policies: vec![verdict],
        ..Default::default()
    };
    book.verdicts(node, &Verdicts { resources: vec![resource], ..Default::default() }, 0);
}

fn say(book: &mut Book, node: &str, stage: VerdictStage, generation: i64, policy: VerdictStage) {
    let verdict = PolicyVerdict {
        uid: "u".to_owned(),
        generation,
        stage: policy.into(),
        reason: "Why".to_owned(),
        ..Default::default()
    };
    let resource = ResourceVerdict {
        key: "plan".to_owned(),
        hash: PLAN.0.to_vec(),
        stage: stage.into(),
        reason: "Why".to_owned(),
        policies: vec![verdict],
        ..Default::default()
    };
    book.verdicts(node, &Verdicts { resources: vec![resource], ..Default::default() }, 0);
}

#[test]
fn only_the_exact_generation_counts() {
    let mut book = book(&["a", "b"]);
    say(&mut book, "a", VerdictStage::Programmed, 2, VerdictStage::Programmed);
    say(&mut book, "b", VerdictStage::Programmed, 1, VerdictStage::Programmed);
    let state = policy_state(&placed(&["a", "b"]), &book, JOINING_MS);
    assert_eq!((state.desired, state.programmed, state.rejected), (2, 1, 0));
}

/// What it said of the boot before is no word about this one; a stream that was opened anew in the same boot is.
#[test]
fn a_node_that_boots_holds_nothing_until_it_says_so() {
    let mut book = book(&["a"]);
    let programmed = |book: &Book| policy_state(&placed(&["a"]), book, JOINING_MS).programmed;
    let boot = |boot: &str| Hello { boot_id: boot.to_owned(), ..hello() };
    book.connected("a", &boot("first"), 0);
    say(&mut book, "a", VerdictStage::Programmed, 2, VerdictStage::Programmed);
    book.connected("a", &boot("first"), 0);
    assert_eq!(programmed(&book), 1);
    book.connected("a", &boot("second"), 0);
    assert_eq!(programmed(&book), 0);
    say(&mut book, "a", VerdictStage::Programmed, 2, VerdictStage::Programmed);
    assert_eq!(programmed(&book), 1);
}

/// A node that could not be given it stays on a plan that says nothing of it.
#[test]
fn a_plan_without_a_word_of_the_policy_does_not_show_it_in_force() {
    let mut book = book(&["a"]);
    hear(&mut book, "a", PolicyVerdict { uid: "another".to_owned(), generation: 2, ..Default::default() });
    let state = policy_state(&placed(&["a"]), &book, JOINING_MS);
    assert_eq!((state.desired, state.programmed), (1, 0));
}

#[test]
fn an_agent_that_cannot_read_the_plan_is_not_waited_for() {
    let mut book = book(&["a"]);
    say(&mut book, "a", VerdictStage::Programmed, 2, VerdictStage::Programmed);
    let older = Hello { plan_schemas: vec![1], version: "0.0.9".to_owned(), ..Hello::default() };
    ["a", "b"].iter().for_each(|node| book.connected(node, &older, 0));
    let state = policy_state(&placed(&["a", "b"]), &book, JOINING_MS);
    assert_eq!((state.programmed, state.rejected), (1, 1), "what a has of before is in force");
    let (node, reason, message) = &state.failing[0];
    assert_eq!((node.as_str(), reason.as_str()), ("b", "UnknownSchema"));
    assert!(message.contains("version 0.0.9) reads plans in encoding 1,"), "{message}");
}

#[test]
fn an_edit_of_another_object_takes_nothing_away() {
    let mut book = book(&["a", "b"]);
    say(&mut book, "a", VerdictStage::Programmed, 2, VerdictStage::Programmed);
    say(&mut book, "b", VerdictStage::Programmed, 1, VerdictStage::Programmed);
    let mut placed = placed(&["a", "b"]);
    placed.nodes.iter_mut().for_each(|expected| expected.plan = Hash([8; 32]));
    let state = policy_state(&placed, &book, JOINING_MS);
    assert_eq!((state.desired, state.programmed), (2, 1), "b has an older generation");
}

/// The plan that the node refuses brings another object's new version; what it has of this one is the newest.
#[test]
fn a_plan_that_is_refused_takes_nothing_from_what_is_in_force() {
    let mut book = book(&["a"]);
    say(&mut book, "a", VerdictStage::Programmed, 2, VerdictStage::Programmed);
    let refused = ResourceVerdict {
        key: "plan".to_owned(),
        hash: vec![8; 32],
        stage: VerdictStage::Rejected.into(),
        reason: "TooLarge".to_owned(),
        ..Default::default()
    };
    book.verdicts("a", &Verdicts { resources: vec![refused], ..Default::default() }, 0);
    let mut placed = placed(&["a"]);
    placed.nodes[0].plan = Hash([8; 32]);
    let state = policy_state(&placed, &book, JOINING_MS);
    assert_eq!((state.programmed, state.rejected), (1, 0));
    placed.generation = 3;
    let state = policy_state(&placed, &book, JOINING_MS);
    assert_eq!((state.programmed, state.rejected, state.failing[0].1.as_str()), (0, 1, "TooLarge"));
}

#[test]
fn a_refused_plan_and_a_refused_policy_name_the_node() {
    let mut book = book(&["a", "b"]);
    say(&mut book, "a", VerdictStage::Rejected, 2, VerdictStage::Rejected);
    say(&mut book, "b", VerdictStage::Programmed, 2, VerdictStage::Rejected);
    let state = policy_state(&placed(&["a", "b"]), &book, JOINING_MS);
    assert_eq!((state.rejected, state.failing.len()), (2, 2));
    assert_eq!(state.failing[0].1, "Why");
}

#[test]
fn what_a_node_notes_is_told_until_it_notes_it_no_more() {
    let mut book = book(&["a", "b"]);
    let note = |book: &mut Book, node: &str, interfaces: &[&str]| {
        let of = |name: &&str| Note {
            reason: "MarkNotPossible".to_owned(),
            detail: format!("interface {name}: no room"),
        };
        let verdict = PolicyVerdict {
            uid: "u".to_owned(),
            generation: 2,
            stage: VerdictStage::Programmed.into(),
            notes: interfaces.iter().map(of).collect(),
            ..Default::default()
        };
        hear(book, node, verdict);
    };
    let said = |book: &Book| {
        let state = policy_state(&placed(&["a", "b"]), book, JOINING_MS);
        assert_eq!(state.programmed, 2, "it is no failure");
        state.notes.iter().map(|(reason, note)| format!("{reason}: {note}")).collect::<Vec<_>>()
    };
    note(&mut book, "a", &[]);
    note(&mut book, "b", &["eth0", "eth1"]);
    assert_eq!(said(&book), ["MarkNotPossible: b: interface eth0: no room; interface eth1: no room"]);
    note(&mut book, "a", &["eth0"]);
    assert_eq!(said(&book), ["MarkNotPossible: a: interface eth0: no room (and another node)"]);
    note(&mut book, "a", &[]);
    note(&mut book, "b", &[]);
    assert!(said(&book).is_empty());
}

#[test]
fn a_flood_that_has_ended_drops_nothing_any_more() {
    let mut book = book(&["a"]);
    let sample = |name: &str| CounterSample {
        policy_uid: "u".to_owned(),
        name: name.to_owned(),
        verdict: "drop".to_owned(),
        packets: 500,
        packets_delta: 500,
        ..Default::default()
    };
    let report = |names: &[&str]| Report {
        counters: names.iter().map(|name| sample(name)).collect(),
        ..Default::default()
    };
    let rate = |book: &Book, now| policy_state(&placed(&["a"]), book, now).dropped_per_second;
    book.report("a", &report(&[]), 1_000);
    book.report("a", &report(&["flood", "bad-nets"]), 2_000);
    assert_eq!(rate(&book, 2_000), 1000.0);
    book.report("a", &report(&["bad-nets"]), 3_000);
    assert_eq!(rate(&book, 3_000), 500.0, "one of the two has ended");
    assert_eq!(rate(&book, 60_000), 0.0, "an agent without news sends no report");
}

#[test]
fn a_set_is_on_a_node_when_the_node_has_read_back_its_very_contents() {
    let mut placed = placed(&["a", "b", "c"]);
    placed.key = Some(ObjectKey::new(sluice_crds::Kind::XdpAddressSet, "", "bad"));
    placed.set = Some(SetFacts::default());
    let mut book = book(&["a", "b", "c"]);
    let verdict = |hash: Hash, stage: VerdictStage, kernel_bytes| ResourceVerdict {
        key: "set/bad".to_owned(),
        hash: hash.0.to_vec(),
        stage: stage.into(),
        reason: "TooLarge".to_owned(),
        kernel_bytes,
        ..Default::default()
    };
    for (node, resource) in [
        ("a", verdict(PLAN, VerdictStage::Programmed, 4096)),
        ("b", verdict(Hash([8; 32]), VerdictStage::Programmed, 8192)),
        ("c", verdict(PLAN, VerdictStage::Rejected, 0)),
    ] {
        book.verdicts(node, &Verdicts { resources: vec![resource], ..Default::default() }, 0);
    }
    let state = policy_state(&placed, &book, JOINING_MS);
    assert_eq!((state.desired, state.programmed, state.rejected, state.kernel_bytes), (3, 1, 1, 8192));
    assert_eq!(state.failing[0].1, "TooLarge");
    assert!(book.nodes().values().all(|node| node.plan.is_none()), "a set is no plan");
}

#[test]
fn only_packets_that_were_too_long_for_its_own_backends_are_a_balancers() {
    let sample = |uid: &str, verdict: &str, packets| CounterSample {
        policy_uid: uid.to_owned(),
        name: "203.0.113.10:80/TCP".to_owned(),
        verdict: verdict.to_owned(),
        packets,
        ..Default::default()
    };
    let counters =
        vec![sample("u", "oversize", 3), sample("another", "oversize", 40), sample("u", "drop", 5)];
    let mut book = book(&["a", "b"]);
    for node in ["a", "b"] {
        let report = Report { counters: counters.clone(), ..Default::default() };
        book.report(node, &report, 1_000);
    }
    let state = policy_state(&placed(&["a", "b"]), &book, 1_000);
    assert_eq!((state.oversize, state.dropped_packets), (6, 10));
}

#[test]
fn silence_makes_unreachable_only_after_a_while() {
    let mut book = book(&["a"]);
    say(&mut book, "a", VerdictStage::Programmed, 2, VerdictStage::Programmed);
    book.disconnected("a", 100_000);
    assert_eq!(policy_state(&placed(&["a"]), &book, 101_000).programmed, 1);
    let later = policy_state(&placed(&["a"]), &book, 110_000);
    assert_eq!((later.programmed, later.unreachable), (0, 1));
}

#[test]
fn a_joining_node_does_not_take_ready_away() {
    let mut book = book(&["a"]);
    say(&mut book, "a", VerdictStage::Programmed, 2, VerdictStage::Programmed);
    book.connected("b", &hello(), 100_000);
    let early = policy_state(&placed(&["a", "b"]), &book, 101_000);
    assert_eq!((early.desired, early.programmed), (1, 1));
    let late = policy_state(&placed(&["a", "b"]), &book, 100_000 + JOINING_MS);
    assert_eq!((late.desired, late.programmed), (2, 1));
}

#[test]
fn a_node_that_has_just_become_a_member_is_waited_for() {
    let mut book = book(&["a", "b"]);
    say(&mut book, "a", VerdictStage::Programmed, 2, VerdictStage::Programmed);
    say(&mut book, "b", VerdictStage::Programmed, 1, VerdictStage::Programmed);
    let state = policy_state(&placed(&["a", "b"]), &book, 1_000);
    assert_eq!((state.desired, state.programmed), (2, 1));
}

#[test]
fn a_node_known_from_before_a_restart_does_not_join() {
    let mut book = book(&["a"]);
    say(&mut book, "a", VerdictStage::Programmed, 2, VerdictStage::Programmed);
    book.expect("b", 100_000);
    // An agent that missed its operator for half a minute waits as long between two attempts.
    for now in [101_000, 130_000] {
        assert!(!book.settled(now), "b may greet yet");
        let state = policy_state(&placed(&["a", "b"]), &book, now);
        assert_eq!((state.desired, state.unreachable), (2, 0));
    }
    assert!(book.settled(136_000), "b is overdue");
    assert_eq!(policy_state(&placed(&["a", "b"]), &book, 136_000).unreachable, 1);
    book.connected("b", &hello(), 136_000);
    assert!(book.settled(136_000));
    book.disconnected("b", 136_000);
    assert_eq!(policy_state(&placed(&["a", "b"]), &book, 142_000).unreachable, 1, "it was back");
}

#[test]
fn a_silent_node_is_unreachable_after_the_stated_time_and_said_so_in_the_same_words() {
    let mut book = book(&["a", "b"]);
    say(&mut book, "a", VerdictStage::Programmed, 2, VerdictStage::Programmed);
    say(&mut book, "b", VerdictStage::Programmed, 2, VerdictStage::Programmed);
    book.disconnected("a", 1_000);
    let state = |now| policy_state(&placed(&["a", "b"]), &book, now);
    let before = state(1_000 + crate::book::SILENCE_MS);
    assert_eq!((before.programmed, before.unreachable), (2, 0), "a reconnect takes less");
    let after = state(1_001 + crate::book::SILENCE_MS);
    assert_eq!((after.desired, after.programmed, after.unreachable), (2, 1, 1));
    assert_eq!(state(10_000_000), after, "or it would be written each second");
}

#[test]
fn one_interface_of_one_node_takes_ready_away() {
    let mut book = book(&["a", "b"]);
    say(&mut book, "a", VerdictStage::Programmed, 2, VerdictStage::Programmed);
    // Its other interfaces have the policy.
    say(&mut book, "b", VerdictStage::Programmed, 2, VerdictStage::Rejected);
    let placed = placed(&["a", "b"]);
    let state = policy_state(&placed, &book, JOINING_MS);
    let conditions = crate::Conditions::new(&[], 2, jiff::Timestamp::UNIX_EPOCH).of_policy(&placed, &state);
    let ready = conditions.iter().find(|one| one.type_ == "Ready").expect("there");
    assert_eq!((ready.status.as_str(), ready.reason.as_str()), ("False", "Rejected"));
    assert!(ready.message.contains("b: Why"), "{}", ready.message);
}

#[test]
fn every_interface_of_every_selected_node_is_counted() {
    let mut book = book(&["a", "b", "c", "d"]);
    let mut count = |node: &str, generation: i64, selected: u32, in_force: &[&str]| {
        let interface =
            |name: &&str| InterfaceState { name: (*name).to_owned(), ..InterfaceState::default() };
        let whole = selected as usize == in_force.len();
        let stage = if whole { VerdictStage::Programmed } else { VerdictStage::Rejected };
        let verdict = PolicyVerdict {
            uid: "u".to_owned(),
            generation,
            stage: stage.into(),
            interfaces: in_force.iter().map(interface).collect(),
            selected_interfaces: selected,
            ..Default::default()
        };
        hear(&mut book, node, verdict);
    };
    count("a", 2, 2, &["eth0", "eth1"]);
    count("b", 2, 3, &["eth0"]);
    count("c", 1, 1, &["eth0"]);
    count("d", 2, 4, &["eth0", "eth1", "eth2", "eth3"]);
    let state = |book: &Book, now| policy_state(&placed(&["a", "b", "c", "d"]), book, now);
    let now = state(&book, JOINING_MS);
    assert_eq!((now.interfaces_desired, now.interfaces_ready), (10, 7), "c has an older generation");
    book.disconnected("d", JOINING_MS);
    let later = state(&book, 2 * JOINING_MS);
    assert_eq!((later.interfaces_desired, later.interfaces_ready), (10, 3), "nobody can say so of d");
}
