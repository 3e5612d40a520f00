use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock};
use std::time::SystemTime;

use sluice_pki::Authority;
use sluice_plan::{Epoch, Hash, Schema, fleet_hash};
use sluice_proto::PLAN;
use sluice_proto::v1::{AskHave, Have, Hello, ResourceVerdict, Update, VerdictStage, Verdicts, Want};
use sluice_raft::{Bytes, Plan, SCHEMAS, Schemas, SetManifest, State, Step, shard_key};
use sluice_seal::{Seal, Signer, Statement};

use super::{Kind, Offer};

mod previous;
mod successors;

#[test]
fn a_node_without_a_class_waits_for_one() {
    let mut offer = offer(&[]);
    let unnamed = State { node_class: Arc::default(), ..State::clone(&state(1, "one")) };
    assert_eq!(offer.next(&Arc::new(unnamed), signer()), None);
    assert_eq!(sent(offer.next(&state(1, "one"), signer())), "1 one");
}

#[test]
fn a_node_that_enforces_the_plan_hears_the_epoch_alone() {
    let enforced = fleet_hash([(PLAN, Hash::of(b"one"))]);
    let mut offer = offer(&enforced.0);
    let update = update(offer.next(&state(7, "one"), signer()));
    assert_eq!(update.fleet_hash, enforced.0);
    assert_eq!(update.cluster_id, "cluster");
    assert_eq!(sent(Some(Kind::Update(update))), "7 -");
    assert_eq!(offer.next(&state(7, "one"), signer()), None, "once per stream");
    offer.hear(&verdict(1, VerdictStage::Programmed, "one"));
    assert_eq!(sent(offer.next(&state(8, "two"), signer())), "8 two");
}

#[test]
fn an_epoch_that_changes_nothing_here_is_passed_over_unless_another_may_have() {
    let mut offer = offer(&[]);
    offer.next(&state(1, "one"), signer());
    assert_eq!(offer.next(&state(2, "one"), signer()), None, "in flight");
    offer.hear(&verdict(1, VerdictStage::Programmed, "one"));
    for epoch in 2..5 {
        assert_eq!(offer.next(&state(epoch, "one"), signer()), None);
    }
    assert_eq!(sent(offer.next(&state(5, "two"), signer())), "5 two");
    offer.hear(&verdict(2, VerdictStage::Programmed, "two"));
    assert_eq!(sent(offer.next(&state(7, "two"), signer())), "7 -", "6 may have been another plan");
    offer.hear(&verdict(3, VerdictStage::Programmed, "two"));
    let next = authority().issue_signer("cluster", SystemTime::now()).unwrap();
    assert_eq!(sent(offer.next(&state(8, "two"), &next)), "8 -", "the key that signs is another");
}

#[test]
fn one_update_is_in_flight_and_the_newest_follows_it() {
    let mut offer = offer(&[]);
    assert_eq!(sent(offer.next(&state(1, "one"), signer())), "1 one");
    for (epoch, plan) in [(2, "two"), (3, "three")] {
        assert_eq!(offer.next(&state(epoch, plan), signer()), None);
    }
    offer.hear(&verdict(1, VerdictStage::Accepted, "one"));
    assert!(offer.waits_for_answer(), "accepted is not programmed");
    offer.hear(&verdict(9, VerdictStage::Programmed, "one"));
    assert!(offer.waits_for_answer(), "a verdict on another update");
    offer.hear(&verdict(1, VerdictStage::Programmed, "one"));
    assert_eq!(sent(offer.next(&state(3, "three"), signer())), "3 three");
}

#[test]
fn a_rejected_plan_is_not_repeated_within_its_epoch() {
    for stage in [VerdictStage::Rejected, VerdictStage::RolledBack] {
        let mut offer = have(&[("plan", "good")]);
        assert_eq!(sent(offer.next(&state(2, "bad"), signer())), "2 bad");
        offer.hear(&verdict(1, stage, "bad"));
        assert_eq!(offer.next(&state(2, "bad"), signer()), None, "{stage:?}");
        assert_eq!(
            sent(offer.next(&state(3, "bad"), signer())),
            "3 bad",
            "{stage:?}: the node does not have it"
        );
        offer.hear(&verdict(2, stage, "bad"));
        assert_eq!(offer.next(&state(4, "good"), signer()), None, "{stage:?}: the last good one stayed");
    }
}

#[test]
fn a_kernel_that_holds_something_else_is_sent_the_plan_again() {
    let mut offer = offer(&[]);
    offer.next(&state(1, "one"), signer());
    offer.hear(&verdict(1, VerdictStage::Programmed, "altered"));
    assert_eq!(sent(offer.next(&state(2, "one"), signer())), "2 one");
}

#[test]
fn streams_share_the_bytes_of_a_class() {
    let state = state(1, "one");
    let plan = state.plan_of("edge-1").unwrap().1;
    let update = update(offer(&[]).next(&state, signer()));
    assert_eq!(update.set[0].bytes.as_ptr(), plan.bytes.as_ptr());
}

#[test]
fn a_set_that_changes_moves_alone() {
    let mut offer = offer(&[]);
    assert_eq!(
        all(offer.next(&with_sets(1, "p", &[("a", "a1"), ("b", "b1")], &[]), signer())),
        "1 plan=p set/a=a1 set/b=b1"
    );
    offer.hear(&holds(1, &[("plan", "p"), ("set/a", "a1")]));
    assert!(offer.waits_for_answer(), "no word of b");
    offer.hear(&holds(1, &[("plan", "p"), ("set/a", "a1"), ("set/b", "b1")]));
    assert_eq!(all(offer.next(&with_sets(2, "p", &[("a", "a1"), ("b", "b2")], &[]), signer())), "2 set/b=b2");
    offer.hear(&holds(2, &[("plan", "p"), ("set/a", "a1"), ("set/b", "b2")]));
    assert_eq!(all(offer.next(&with_sets(3, "q", &[("a", "a1")], &[]), signer())), "3 plan=q -set/b");
    offer.hear(&holds(3, &[("plan", "q"), ("set/a", "a1")]));
    assert_eq!(offer.next(&with_sets(4, "q", &[("a", "a1")], &[]), signer()), None);
    assert_eq!(all(offer.next(&with_sets(5, "q", &[], &[]), signer())), "5 -set/a");
}

#[test]
fn a_node_that_comes_back_says_what_it_has() {
    let state = with_sets(9, "p", &[("a", "a2")], &[]);
    assert_eq!(
        all(have(&[("plan", "p"), ("set/a", "a1"), ("set/b", "b1")]).next(&state, signer())),
        "9 set/a=a2 -set/b"
    );
    assert_eq!(all(have(&[("plan", "p"), ("set/a", "a2")]).next(&state, signer())), "9");
}

#[test]
fn a_node_whose_fleet_hash_is_not_what_it_should_have_is_asked_what_it_has() {
    let resources = [("plan", "p"), ("set/a", "a1"), ("set/b", "b1")];
    let greeted = fleet_hash(resources.iter().map(|(key, bytes)| (*key, Hash::of(bytes.as_bytes()))));
    let mut offer = offer(&greeted.0);
    let state = with_sets(9, "p", &[("a", "a2")], &[]);
    assert_eq!(offer.next(&state, signer()), Some(Kind::AskHave(AskHave {})));
    assert!(offer.waits_for_answer() && !offer.is_due(&state, signer()), "once");
    offer.have(&Have { resources: hashes(&resources) });
    assert_eq!(all(offer.next(&state, signer())), "9 set/a=a2 -set/b");
    offer.have(&Have::default());
    offer.hear(&holds(1, &[("plan", "p"), ("set/a", "a2")]));
    let next = with_sets(10, "p", &[("a", "a3")], &[]);
    assert_eq!(all(offer.next(&next, signer())), "10 set/a=a3", "what nobody asked for says nothing");
}

#[test]
fn a_node_that_has_nothing_is_not_asked() {
    assert_eq!(all(offer(&[]).next(&with_sets(1, "p", &[("a", "a1")], &[]), signer())), "1 plan=p set/a=a1");
}

#[test]
fn a_set_that_is_rejected_is_offered_again_and_does_not_hold_up_the_rest() {
    let mut offer = offer(&[]);
    offer.next(&with_sets(1, "p", &[("a", "a1")], &[]), signer());
    let mut verdicts = holds(1, &[("plan", "p"), ("set/a", "a1")]);
    verdicts.resources[1].stage = VerdictStage::Rejected.into();
    offer.hear(&verdicts);
    assert!(!offer.waits_for_answer());
    assert_eq!(all(offer.next(&with_sets(2, "p", &[("a", "a1")], &[]), signer())), "2 set/a=a1");
}

#[test]
fn a_refused_plan_ends_the_wait_for_its_sets() {
    let mut offer = offer(&[]);
    offer.next(&with_sets(1, "p", &[("a", "a1")], &[]), signer());
    offer.hear(&verdict(1, VerdictStage::Rejected, "p"));
    assert!(!offer.waits_for_answer());
    assert_eq!(all(offer.next(&with_sets(2, "p", &[("a", "a1")], &[]), signer())), "2 plan=p set/a=a1");
}

#[test]
fn an_update_that_does_not_add_up_is_followed_by_the_whole() {
    let mut offer = offer(&[]);
    offer.next(&with_sets(1, "p", &[("a", "a1")], &[]), signer());
    let mut verdicts = holds(1, &[("plan", "p"), ("set/a", "a1"), ("set/old", "o")]);
    for resource in &mut verdicts.resources {
        resource.stage = VerdictStage::Rejected.into();
        resource.reason = "HashMismatch".into();
    }
    offer.hear(&verdicts);
    assert_eq!(
        all(offer.next(&with_sets(2, "p", &[("a", "a1")], &[]), signer())),
        "2 plan=p set/a=a1 -set/old"
    );
}

#[test]
fn shards_go_out_in_messages_that_are_not_too_large() {
    let mut offer = offer(&[]);
    let sizes = [400_000, 500_000, 600_000, 2_000_000, 7];
    offer.next(&with_sets(1, "p", &[("a", "a1")], &sizes), signer());
    let hashes: Vec<_> = sizes.iter().map(|size| Hash::of(&vec![0; *size]).0.to_vec()).collect();
    offer.want(&Want { nonce: 9, hashes: hashes.clone() });
    assert!(!offer.owes_shards(), "of another update");
    offer.want(&Want { nonce: 1, hashes: [hashes, vec![vec![1; 32], vec![2]]].concat() });
    let mut messages = Vec::new();
    while let Some(shards) = offer.shards() {
        assert!(shards.shards.iter().all(|shard| Hash::of(&shard.bytes).0 == shard.hash[..]));
        messages.push(shards.shards.iter().map(|shard| shard.bytes.len()).collect::<Vec<_>>());
    }
    assert_eq!(messages, [vec![400_000, 500_000], vec![600_000], vec![2_000_000], vec![7]]);
    assert!(!offer.owes_shards());
}

#[test]
fn a_node_that_cannot_read_our_plans_is_sent_none() {
    let hello = Hello { plan_schemas: vec![7], ..Hello::default() };
    let mut offer = Offer::new("edge-1".into(), "cluster".into(), &hello);
    assert_eq!(offer.next(&state(1, "one"), signer()), None);
    assert!(!offer.is_due(&state(1, "one"), signer()), "as long as nothing changes");
    let mut readable = State::clone(&state(2, "two"));
    let mut schemas = Schemas::default();
    schemas.set(Hash::of(b"two"), 7);
    readable.blobs = Arc::new([(SCHEMAS.to_owned(), schemas.encoded())].into());
    let update = update(offer.next(&Arc::new(readable), signer()));
    assert_eq!((update.set[0].schema, sent(Some(Kind::Update(update)))), (7, "2 two".to_owned()));
}

#[test]
fn what_is_sent_is_signed_for_its_node_and_the_certificate_goes_once() {
    let trust = authority().trust().unwrap();
    let believed = |update: &Update, certificate: &[u8], node: &str| {
        let fleet_hash = Hash::from_slice(&update.fleet_hash).unwrap();
        let epoch = update.epoch.unwrap().into();
        let schema = Schema::UNSAID.number();
        let statement = Statement { cluster_id: "cluster", node, epoch, fleet_hash, schema };
        let seal = Seal { certificate: certificate.to_vec(), signature: update.signature.clone() };
        trust.verify(&statement, &seal, SystemTime::now()).is_ok()
    };
    let mut offer = offer(&[]);
    let first = update(offer.next(&state(1, "one"), signer()));
    assert_eq!(first.signer, signer().certificate());
    assert!(believed(&first, &first.signer, "edge-1"));
    assert!(!believed(&first, &first.signer, "edge-2"));
    offer.hear(&verdict(1, VerdictStage::Programmed, "one"));
    let second = update(offer.next(&state(2, "two"), signer()));
    assert!(second.signer.is_empty());
    assert!(believed(&second, &first.signer, "edge-1"));
    offer.hear(&verdict(2, VerdictStage::Programmed, "two"));
    let next = authority().issue_signer("cluster", SystemTime::now()).unwrap();
    let third = update(offer.next(&state(3, "two"), &next));
    assert_eq!(third.signer, next.certificate());
    assert!(believed(&third, &third.signer, "edge-1"));
}

#[test]
fn a_node_that_names_the_certificate_is_not_sent_it() {
    let signer_id = signer().id().0.to_vec();
    let hello = Hello { plan_schemas: Schema::numbers(), signer: signer_id, ..Hello::default() };
    let mut offer = Offer::new("edge-1".into(), "cluster".into(), &hello);
    assert!(update(offer.next(&state(1, "one"), signer())).signer.is_empty());
}

fn authority() -> &'static Authority {
    static AUTHORITY: LazyLock<Authority> =
        LazyLock::new(|| Authority::generate(SystemTime::now()).unwrap().0);
    &AUTHORITY
}

fn signer() -> &'static Signer {
    static SIGNER: LazyLock<Signer> =
        LazyLock::new(|| authority().issue_signer("cluster", SystemTime::now()).unwrap());
    &SIGNER
}

fn offer(fleet_hash: &[u8]) -> Offer {
    let hello = Hello { fleet_hash: fleet_hash.into(), plan_schemas: Schema::numbers(), ..Hello::default() };
    Offer::new("edge-1".into(), "cluster".into(), &hello)
}

fn hashes(resources: &[(&str, &str)]) -> HashMap<String, Vec<u8>> {
    let hash = |(key, bytes): &(&str, &str)| ((*key).to_owned(), Hash::of(bytes.as_bytes()).0.to_vec());
    resources.iter().map(hash).collect()
}

/// To a node whose Hello names what it has.
fn have(resources: &[(&str, &str)]) -> Offer {
    let hello = Hello { have: hashes(resources), plan_schemas: Schema::numbers(), ..Hello::default() };
    Offer::new("edge-1".into(), "cluster".into(), &hello)
}

fn update(next: Option<Kind>) -> Update {
    match next {
        Some(Kind::Update(update)) => update,
        other => panic!("an update was expected: {other:?}"),
    }
}

fn state(index: u64, plan: &'static str) -> Arc<State> {
    Arc::new(State {
        epoch: Epoch { incarnation: 1, term: 1, index },
        step: (0..index).fold(Step::default(), |step, _| step.next()),
        classes: Arc::new(BTreeMap::from([("c".into(), Plan::new(Bytes::from_static(plan.as_bytes())))])),
        node_class: Arc::new(BTreeMap::from([("edge-1".into(), "c".into())])),
        ..State::default()
    })
}

/// With sets, each as its name and what stands for its manifest; shards are as many zeros as their first byte says.
fn with_sets(
    index: u64,
    plan: &'static str,
    sets: &[(&'static str, &'static str)],
    shards: &[usize],
) -> Arc<State> {
    let names = sets.iter().map(|(name, _)| (*name).to_owned()).collect();
    let plan = Plan { sets: names, ..Plan::new(Bytes::from_static(plan.as_bytes())) };
    let set = |(name, text): &(&str, &'static str)| {
        ((*name).to_owned(), SetManifest::new(Bytes::from_static(text.as_bytes())))
    };
    let shard = |size: &usize| (shard_key(Hash::of(&vec![0; *size])), Bytes::from(vec![0; *size]));
    Arc::new(State {
        classes: Arc::new(BTreeMap::from([("c".into(), plan)])),
        sets: Arc::new(sets.iter().map(set).collect()),
        blobs: Arc::new(shards.iter().map(shard).collect()),
        ..State::clone(&state(index, ""))
    })
}

/// `EPOCH KEY=BYTES… -KEY…`
fn all(next: Option<Kind>) -> String {
    let update = update(next);
    let mut words = vec![update.epoch.unwrap().index.to_string()];
    let set = update.set.iter();
    words
        .extend(set.map(|resource| format!("{}={}", resource.key, String::from_utf8_lossy(&resource.bytes))));
    words.extend(update.removed.iter().map(|key| format!("-{key}")));
    words.join(" ")
}

/// Programmed, all of it.
fn holds(nonce: u64, resources: &[(&str, &str)]) -> Verdicts {
    let one = |(key, bytes): &(&str, &str)| ResourceVerdict {
        key: (*key).to_owned(),
        hash: Hash::of(bytes.as_bytes()).0.to_vec(),
        stage: VerdictStage::Programmed.into(),
        ..Default::default()
    };
    Verdicts { nonce, epoch: None, resources: resources.iter().map(one).collect() }
}

/// `EPOCH PLAN`, where `-` is no plan.
fn sent(next: Option<Kind>) -> String {
    let update = update(next);
    let plan = update.set.first().map_or("-".into(), |resource| String::from_utf8_lossy(&resource.bytes));
    format!("{} {plan}", update.epoch.unwrap().index)
}

fn verdict(nonce: u64, stage: VerdictStage, plan: &str) -> Verdicts {
    let hash = Hash::of(plan.as_bytes()).0.to_vec();
    let resource = ResourceVerdict { key: PLAN.into(), hash, stage: stage.into(), ..Default::default() };
    Verdicts { nonce, epoch: None, resources: vec![resource] }
}
