use std::collections::BTreeMap;
use std::sync::Arc;

use sluice_plan::{Epoch, Hash, fleet_hash};
use sluice_proto::v1::{ResourceVerdict, Update, VerdictStage, Verdicts};
use sluice_raft::{Bytes, Plan, State};

use super::{Offer, PLAN};

#[test]
fn a_node_without_a_class_waits_for_one() {
    let mut offer = offer(&[]);
    let mut state = state(1, "one");
    state.node_class = Arc::default();
    assert_eq!(offer.next(&state), None);
    state.node_class = Arc::new(BTreeMap::from([("edge-1".into(), "c".into())]));
    assert_eq!(sent(offer.next(&state)), "1 one");
}

#[test]
fn a_node_that_enforces_the_plan_hears_the_epoch_alone() {
    let enforced = fleet_hash([(PLAN, Hash::of(b"one"))]);
    let mut offer = offer(&enforced.0);
    let update = offer.next(&state(7, "one")).unwrap();
    assert_eq!(update.fleet_hash, enforced.0);
    assert_eq!(update.cluster_id, "cluster");
    assert_eq!(sent(Some(update)), "7 -");
    assert_eq!(offer.next(&state(7, "one")), None, "once per stream");
    offer.hear(&verdict(1, VerdictStage::Programmed, "one"));
    assert_eq!(sent(offer.next(&state(8, "two"))), "8 two");
}

#[test]
fn one_update_is_in_flight_and_the_newest_follows_it() {
    let mut offer = offer(&[]);
    assert_eq!(sent(offer.next(&state(1, "one"))), "1 one");
    for (epoch, plan) in [(2, "two"), (3, "three")] {
        assert_eq!(offer.next(&state(epoch, plan)), None);
    }
    offer.hear(&verdict(1, VerdictStage::Accepted, "one"));
    assert!(offer.waits_for_verdict(), "accepted is not programmed");
    offer.hear(&verdict(9, VerdictStage::Programmed, "one"));
    assert!(offer.waits_for_verdict(), "a verdict on another update");
    offer.hear(&verdict(1, VerdictStage::Programmed, "one"));
    assert_eq!(sent(offer.next(&state(3, "three"))), "3 three");
}

#[test]
fn a_rejected_plan_is_not_repeated_within_its_epoch() {
    for stage in [VerdictStage::Rejected, VerdictStage::RolledBack] {
        let mut offer = offer(&fleet_hash([(PLAN, Hash::of(b"good"))]).0);
        assert_eq!(sent(offer.next(&state(2, "bad"))), "2 bad");
        offer.hear(&verdict(1, stage, "bad"));
        assert_eq!(offer.next(&state(2, "bad")), None, "{stage:?}");
        assert_eq!(sent(offer.next(&state(3, "bad"))), "3 bad", "{stage:?}: the node does not have it");
        offer.hear(&verdict(2, stage, "bad"));
        assert_eq!(sent(offer.next(&state(4, "good"))), "4 -", "{stage:?}: the last good one stayed");
    }
}

#[test]
fn a_kernel_that_holds_something_else_is_sent_the_plan_again() {
    let mut offer = offer(&[]);
    offer.next(&state(1, "one"));
    offer.hear(&verdict(1, VerdictStage::Programmed, "altered"));
    assert_eq!(sent(offer.next(&state(2, "one"))), "2 one");
}

#[test]
fn streams_share_the_bytes_of_a_class() {
    let state = state(1, "one");
    let plan = state.plan_of("edge-1").unwrap().1;
    let update = offer(&[]).next(&state).unwrap();
    assert_eq!(update.set[0].bytes.as_ptr(), plan.bytes.as_ptr());
}

fn offer(fleet_hash: &[u8]) -> Offer {
    Offer::new("edge-1".into(), "cluster".into(), fleet_hash)
}

fn state(index: u64, plan: &'static str) -> State {
    State {
        epoch: Epoch { incarnation: 1, term: 1, index },
        classes: Arc::new(BTreeMap::from([("c".into(), Plan::new(Bytes::from_static(plan.as_bytes())))])),
        node_class: Arc::new(BTreeMap::from([("edge-1".into(), "c".into())])),
        ..State::default()
    }
}

/// `EPOCH PLAN`, where `-` is no plan.
fn sent(update: Option<Update>) -> String {
    let update = update.expect("an update");
    let plan = update.set.first().map_or("-".into(), |resource| String::from_utf8_lossy(&resource.bytes));
    format!("{} {plan}", update.epoch.unwrap().index)
}

fn verdict(nonce: u64, stage: VerdictStage, plan: &str) -> Verdicts {
    let hash = Hash::of(plan.as_bytes()).0.to_vec();
    let resource = ResourceVerdict { key: PLAN.into(), hash, stage: stage.into(), ..Default::default() };
    Verdicts { nonce, epoch: None, resources: vec![resource] }
}
