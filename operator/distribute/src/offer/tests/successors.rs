//! Plans that come to others by themselves.

use sluice_proto::successor_key;
use sluice_proto::v1::Capabilities;
use sluice_raft::{SUCCESSORS, Successors};

use super::*;

/// A plan of this name, which comes to each of these at its moment.
fn coming_to(index: u64, plan: &'static str, next: &[(i64, &'static str)]) -> Arc<State> {
    let plan_of = |text: &'static str| Plan::new(Bytes::from_static(text.as_bytes()));
    let key = |at: &i64| format!("c-until-{at}").as_str().into();
    let mut successors = Successors::default();
    successors.set(plan_of(plan).hash, next.iter().map(|(at, _)| (*at, key(at))).collect());
    let classes = next.iter().map(|(at, text)| (key(at), plan_of(text)));
    Arc::new(State {
        classes: Arc::new(classes.chain([("c".into(), plan_of(plan))]).collect()),
        blobs: Arc::new([(SUCCESSORS.to_owned(), successors.encoded())].into()),
        ..State::clone(&state(index, ""))
    })
}

/// To a node that keeps so many, and has these.
fn keeps(successors: u32, resources: &[(&str, &str)]) -> Offer {
    let capabilities = Some(Capabilities { successors, ..Capabilities::default() });
    let fleet = fleet_hash(resources.iter().map(|(key, text)| (*key, Hash::of(text.as_bytes()))));
    let fleet_hash = if resources.is_empty() { Vec::new() } else { fleet.0.to_vec() };
    let plan_schemas = Schema::numbers();
    let hello = Hello { capabilities, plan_schemas, fleet_hash, ..Hello::default() };
    Offer::new("edge-1".into(), "cluster".into(), &hello)
}

/// The plan read back from the kernel, its successors kept.
fn says(nonce: u64, plan: &str, next: &[(i64, &str)]) -> Verdicts {
    let mut verdicts = holds(nonce, &[(PLAN, plan)]);
    let kept = next.iter().flat_map(|(at, text)| holds(nonce, &[(&successor_key(*at), text)]).resources);
    let kept = kept.map(|one| ResourceVerdict { stage: VerdictStage::Accepted.into(), ..one });
    verdicts.resources.extend(kept);
    verdicts
}

const NEXT: [(i64, &str); 2] = [(1000, "one"), (2000, "none")];

#[test]
fn a_node_is_sent_as_many_successors_as_it_keeps() {
    let state = coming_to(1, "both", &NEXT);
    let sent = |successors| all(keeps(successors, &[]).next(&state, signer()));
    assert_eq!(sent(0), "1 plan=both", "as the version before");
    assert_eq!(sent(1), "1 plan=both successor/1000=one");
    assert_eq!(sent(4), "1 plan=both successor/1000=one successor/2000=none");
}

#[test]
fn what_a_node_came_to_by_itself_is_not_sent_again() {
    let mut offer = keeps(4, &[]);
    offer.next(&coming_to(1, "both", &NEXT), signer());
    offer.hear(&holds(1, &[(PLAN, "both")]));
    assert!(offer.waits_for_answer(), "no word of its successors");
    offer.hear(&says(1, "both", &NEXT));
    assert!(!offer.waits_for_answer());
    offer.hear(&says(0, "one", &NEXT));
    assert_eq!(offer.next(&coming_to(2, "one", &NEXT[1..]), signer()), None, "it has said so");
    // This time the operator is the first, and a node's clock may be behind by any time.
    assert_eq!(all(offer.next(&coming_to(3, "none", &[]), signer())), "3 -successor/2000");
    offer.hear(&says(2, "none", &[]));
    assert_eq!(offer.next(&coming_to(4, "none", &[]), signer()), None);
}

#[test]
fn a_state_that_is_older_than_a_moment_is_read_as_of_now() {
    let state = coming_to(1, "both", &NEXT);
    let mut offer = keeps(4, &[(PLAN, "one"), ("successor/2000", "none")]);
    offer.set_time(1999);
    assert_eq!(all(offer.next(&state, signer())), "1", "nobody decides, and the node came to it by itself");
    let mut offer = keeps(0, &[]);
    offer.set_time(2000);
    assert_eq!(all(offer.next(&state, signer())), "1 plan=none");
}

#[test]
fn a_node_whose_clock_is_ahead_is_sent_what_it_turned_from_once() {
    let mut offer = keeps(4, &[]);
    offer.next(&coming_to(1, "both", &NEXT), signer());
    offer.hear(&says(1, "one", &NEXT));
    assert!(!offer.waits_for_answer(), "it has taken all of it, and some is over");
}
