//! Filters that use sets of addresses, from objects to plans.

use std::sync::Arc;

use serde_json::{Value, json};
use sluice_crds::Kind;
use sluice_index::{Desired, Index, Node, Object, ObjectKey};
use sluice_plan::{NodePlan, Schema};

use super::*;

fn index() -> Index {
    let mut index = Index::default();
    index.set_node("edge-1", Node::default());
    index
}

fn filter(sets: &[&str]) -> (ObjectKey, Arc<Object>) {
    let value = json!({
        "apiVersion": "sluice.dev/v1alpha1", "kind": "XdpFilter", "metadata": {"name": "edge"},
        "spec": {
            "interfaces": {"names": ["eth0"]},
            "rules": [{"name": "bad", "action": "Drop", "match": {"sources": {"sets": sets}}}],
        },
    });
    let found = serde_json::from_value(value).expect("a filter");
    (ObjectKey::new(Kind::XdpFilter, "", "edge"), Arc::new(Object::Filter(found)))
}

fn set(name: &str, spec: Value) -> (ObjectKey, Arc<Object>) {
    let value = json!({
        "apiVersion": "sluice.dev/v1alpha1", "kind": "XdpAddressSet", "metadata": {"name": name}, "spec": spec,
    });
    let found = serde_json::from_value(value).expect("a set");
    (ObjectKey::new(Kind::XdpAddressSet, "", name), Arc::new(Object::Set(found)))
}

fn of(cidrs: &[&str]) -> Value {
    json!({"entries": cidrs.iter().map(|cidr| json!({"cidr": cidr})).collect::<Vec<_>>()})
}

/// What the reconciler does once a directory holds these.
fn save<const N: usize>(index: &mut Index, objects: [(ObjectKey, Arc<Object>); N]) -> Planned {
    index.update(Arc::new(Desired { synced: true, objects: objects.into(), ..Desired::default() }));
    agree(index)
}

fn agree(index: &mut Index) -> Planned {
    let planned = plan(index.snapshot(), &State::default(), &BTreeMap::new());
    index.set_in_force(planned.in_force(), planned.filters_in_force());
    planned
}

/// Names of the sets in the one node's plan, and the prefixes of the named set.
fn in_plan(planned: &Planned, name: &str) -> (Vec<String>, Vec<String>) {
    let [bytes] = &planned.classes.values().collect::<Vec<_>>()[..] else { panic!("one class") };
    let plan = NodePlan::decode(Schema::NEWEST, bytes).expect("a plan");
    let contents = planned.snapshot.sets.get(name).map(|contents| &contents.addresses);
    (plan.sets, contents.into_iter().flat_map(|set| set.iter()).map(|net| net.to_string()).collect())
}

fn refused(planned: &Planned) -> Vec<String> {
    planned.refusals.values().map(|(reason, message)| format!("{reason}: {message}")).collect()
}

#[test]
fn a_set_changes_without_its_plan() {
    let mut index = index();
    let first = save(&mut index, [filter(&["bad"]), set("bad", of(&["192.0.2.0/24"]))]);
    assert_eq!(in_plan(&first, "bad"), (vec!["bad".to_owned()], vec!["192.0.2.0/24".to_owned()]));
    let second = save(&mut index, [filter(&["bad"]), set("bad", of(&["192.0.2.0/24", "198.51.100.0/24"]))]);
    assert_eq!(second.classes, first.classes, "no byte of the plan changes");
    assert_ne!(second.set_hashes, first.set_hashes);
    let (classes, sets) = second.fleet(&State::default());
    assert!(classes.values().all(|class| class.sets == ["bad"]));
    assert_eq!(Hash::of(&sets["bad"]), second.set_hashes["bad"]);
    let shards: Vec<String> =
        second.shards(&State::default()).into_iter().flat_map(|part| part.into_keys()).collect();
    assert_eq!(shards, [shard_key(second.snapshot.sets["bad"].shards().1[0].hash)]);
    // One that nobody uses costs nothing.
    let unused = save(&mut index, [filter(&["bad"]), set("bad", of(&[])), set("more", of(&["10.0.0.0/8"]))]);
    assert_eq!(unused.set_hashes.keys().collect::<Vec<_>>(), ["bad"]);
}

#[test]
fn a_version_that_names_an_unknown_set_is_refused_and_the_last_good_one_stays() {
    let mut index = index();
    let scanners = || set("scanners", of(&["192.0.2.0/24"]));
    let first = save(&mut index, [filter(&["scanners"]), scanners()]);
    let second = save(&mut index, [filter(&["scanners", "scaners"]), scanners()]);
    assert_eq!(
        refused(&second),
        [
            "UnknownSet: spec.rules[0].match.sources.sets[1]: there is no XdpAddressSet \"scaners\": did you mean scanners?"
        ]
    );
    assert_eq!(second.classes, first.classes);
    // The set comes later, of itself.
    let third = save(&mut index, [filter(&["scanners", "scaners"]), scanners(), set("scaners", of(&[]))]);
    assert_eq!(refused(&third), Vec::<String>::new());
    assert_eq!(in_plan(&third, "scaners").0, ["scaners", "scanners"]);
}

#[test]
fn a_filter_without_an_earlier_version_waits_for_its_set() {
    let mut index = index();
    let planned = save(&mut index, [filter(&["bad"])]);
    assert!(in_plan(&planned, "bad").0.is_empty() && planned.snapshot.filters.is_empty());
    // There, but its list was never read.
    let planned = save(&mut index, [filter(&["bad"]), set("bad", json!({"files": ["a.txt"]}))]);
    assert!(refused(&planned)[0].contains("has no contents yet"), "{:?}", refused(&planned));
    assert!(planned.snapshot.filters.is_empty());
}

#[test]
fn a_set_in_use_does_not_vanish_with_its_object() {
    let mut index = index();
    save(&mut index, [filter(&["bad"]), set("bad", of(&["192.0.2.0/24"]))]);
    let gone = save(&mut index, [filter(&["bad"])]);
    assert_eq!(in_plan(&gone, "bad"), (vec!["bad".to_owned()], vec!["192.0.2.0/24".to_owned()]));
    let warnings = crate::lints::Lints::default().of(&index, &gone.snapshot);
    let said: Vec<String> = warnings.values().flatten().map(ToString::to_string).collect();
    assert!(said[0].starts_with("SetGone: bad uses the set bad, which was deleted"), "{said:?}");
    // A restart has what was agreed on.
    let contents = gone.snapshot.sets["bad"].addresses.clone();
    let mut restarted =
        Index::restore(index.state().clone()).with_contents([("bad".to_owned(), contents)].into());
    assert_eq!(in_plan(&save(&mut restarted, [filter(&["bad"])]), "bad").1, ["192.0.2.0/24"]);
    // A new version may not name it, and the old one goes on.
    let edited = save(&mut index, [filter(&["bad", "bad"])]);
    assert!(refused(&edited)[0].contains("there is no XdpAddressSet \"bad\""), "{:?}", refused(&edited));
    assert_eq!(in_plan(&edited, "bad").1, ["192.0.2.0/24"]);
    // It goes with the last filter that uses it.
    save(&mut index, []);
    assert!(index.sets().is_empty() && index.state().held.is_empty());
}

#[test]
fn a_set_that_breaks_keeps_its_contents() {
    let mut index = index();
    save(&mut index, [filter(&["bad"]), set("bad", of(&["192.0.2.0/24"]))]);
    for spec in [of(&["192.0.2.1/24"]), json!({"sets": ["bad"]}), json!({"sets": ["none"]})] {
        let planned = save(&mut index, [filter(&["bad"]), set("bad", spec)]);
        assert_eq!(in_plan(&planned, "bad").1, ["192.0.2.0/24"]);
        assert!(refused(&planned).is_empty(), "the filter is as it was");
    }
}

#[test]
fn an_entry_expires_by_the_operators_clock() {
    let mut index = index();
    index.set_time(0);
    let spec = json!({"entries": [
        {"cidr": "192.0.2.0/24"}, {"cidr": "198.51.100.0/24", "expiresAt": "1970-01-01T00:00:05Z"},
    ]});
    let first = save(&mut index, [filter(&["bad"]), set("bad", spec)]);
    assert_eq!((in_plan(&first, "bad").1.len(), index.next_expiry()), (2, Some(5_000)));
    assert!(!index.set_time(4_999));
    assert!(index.set_time(5_000));
    assert_eq!((in_plan(&agree(&mut index), "bad").1.len(), index.next_expiry()), (1, None));
    assert!(!index.set_time(6_000));
}
