//! What is in force after a source said this and that.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use sluice_crds::Kind;
use sluice_index::{Capabilities, Desired, Held, Index, IndexState, Node, Object, ObjectKey, Policy};
use sluice_plan::{AddressPool, Fleet};

#[test]
fn a_refused_version_leaves_the_last_good_one_in_force() {
    let mut index = Index::default();
    index.update(desired([filter("edge", "192.0.2.0/24")]));
    index.update(desired([filter("edge", "192.0.2.1/24")]));
    let held = held(&index, "edge");
    assert_eq!(held.generation, 2);
    assert!(held.refusals[0].contains("spec.rules[0].match.sources.cidrs[0]"), "{:?}", held.refusals);
    assert_eq!(sources(held), "192.0.2.0/24");

    index.update(desired([filter("edge", "203.0.113.0/24")]));
    let held = self::held(&index, "edge");
    assert_eq!((held.generation, held.refusals.len()), (3, 0));
    assert_eq!(sources(held), "203.0.113.0/24");
}

#[test]
fn a_generation_counts_changes_of_the_spec_only_and_survives_a_restart() {
    let mut index = Index::default();
    index.update(desired([filter("edge", "192.0.2.0/24")]));
    let mut labelled = filter("edge", "192.0.2.0/24");
    labelled["metadata"]["labels"] = json!({"team": "net"});
    index.update(desired([labelled]));
    assert_eq!(held(&index, "edge").generation, 1);

    let mut restarted = Index::restore(index.state().clone());
    assert!(!restarted.update(desired([filter("edge", "192.0.2.0/24")])), "nothing changed over the restart");
    restarted.update(desired([filter("edge", "203.0.113.0/24")]));
    assert_eq!(held(&restarted, "edge").generation, 2);
}

#[test]
fn a_policy_that_was_stored_before_a_field_was_known_is_still_known() {
    let mut index = Index::default();
    index.update(desired([filter("edge", "192.0.2.0/24")]));
    let known = held(&index, "edge");
    let mut stored = serde_json::to_value(known).expect("held objects are plain data");
    let fields = stored["good"]["Filter"]["rules"][0]["matches"].as_object_mut().expect("a rule");
    for later in ["hop_limit", "extension_headers", "source_macs"] {
        assert!(fields.remove(later).is_some(), "{later}");
    }
    let sources = fields["sources"].as_object_mut().expect("the rule has sources");
    assert!(sources.remove("sets").is_some());
    let read: Held = serde_json::from_value(stored).expect("an older version's");
    assert_eq!(&read, known);
}

#[test]
fn a_version_in_force_is_stored_once_and_outlives_refused_ones() {
    let planned = |index: &mut Index| {
        let filters = index.snapshot().filters;
        index.set_in_force([], filters.iter().map(AsRef::as_ref));
    };
    let with_set = |cidr: &str| {
        let mut filter = filter("edge", cidr);
        filter["spec"]["rules"][0]["match"]["sources"]["sets"] = json!(["missing"]);
        filter
    };
    let in_force = |index: &Index| index.snapshot().filters[0].rules[0].matches.sources.clone();
    let mut index = Index::default();
    index.update(desired([filter("edge", "192.0.2.0/24")]));
    planned(&mut index);
    let (first, stored) =
        (in_force(&index), serde_json::to_string(held(&index, "edge")).expect("plain data"));
    assert_eq!(stored.matches("192.0.2.0/24").count(), 1, "{stored}");
    for newer in ["198.51.100.0/24", "203.0.113.0/24"] {
        index.update(desired([with_set(newer)]));
        assert_eq!(in_force(&index), first, "its set is not there");
        planned(&mut index);
        index = Index::restore(index.state().clone());
        assert_eq!(in_force(&index), first);
    }
}

#[test]
fn an_object_made_anew_under_an_old_name_does_not_inherit() {
    let mut index = Index::default();
    index.update(desired([with_uid(filter("edge", "192.0.2.0/24"), "one")]));
    index.update(desired([with_uid(filter("edge", "not a prefix"), "two")]));
    assert_eq!(held(&index, "edge").good, None);
}

#[test]
fn absence_means_nothing_before_the_source_was_read() {
    let mut index = Index::default();
    index.update(desired([filter("edge", "192.0.2.0/24")]));
    let unread = Desired { synced: false, ..Desired::default() };
    assert!(!index.update(Arc::new(unread)));
    assert!(held(&index, "edge").good.is_some());
}

#[test]
fn what_was_not_read_since_the_start_is_not_taken_for_deleted() {
    let mut before = Index::default();
    let all = ["a", "b"].map(|name| filter(name, "192.0.2.0/24"));
    before.update(Arc::new(Desired { fleet: Some(fleet()), ..(*desired(all)).clone() }));

    let mut restarted = Index::restore(before.state().clone());
    let partial = Desired { synced: true, partial: true, ..Desired::default() };
    restarted.update(Arc::new(partial));
    assert_eq!(names(&restarted), ["a", "b"], "a file is broken");
    assert_eq!(restarted.snapshot().fleet, fleet(), "and the fleet's too");

    let mut restarted = Index::restore(before.state().clone());
    let unread = [ObjectKey::new(Kind::XdpFilter, "", "a")].into();
    restarted.update(Arc::new(Desired { synced: true, unread, ..Desired::default() }));
    assert_eq!(names(&restarted), ["a"], "an object cannot be read");
}

#[test]
fn one_deletion_takes_effect_at_once() {
    let mut index = Index::default();
    index.update(desired(["a", "b", "c", "d"].map(|name| filter(name, "192.0.2.0/24"))));
    assert!(index.update(desired(["a", "b", "c"].map(|name| filter(name, "192.0.2.0/24")))));
    assert_eq!(names(&index), ["a", "b", "c"]);
}

#[test]
fn a_source_that_loses_most_objects_at_once_waits_for_a_person() {
    let mut index = Index::default();
    index.update(desired(["a", "b", "c", "d"].map(|name| filter(name, "192.0.2.0/24"))));
    index.update(desired([filter("a", "192.0.2.0/24")]));
    assert_eq!(names(&index), ["a", "b", "c", "d"]);
    assert_eq!(index.state().mass_deletion, Some(3));

    // New objects do not make the loss a small one.
    let others = ["a", "e", "f", "g", "h", "i"].map(|name| filter(name, "192.0.2.0/24"));
    index.update(desired(others));
    assert_eq!(index.state().mass_deletion, Some(3));
    assert!(index.confirm_mass_deletion());
    assert_eq!(names(&index), ["a", "e", "f", "g", "h", "i"]);
    assert!(!index.confirm_mass_deletion(), "nothing waits any more");
}

#[test]
fn objects_that_come_back_end_the_wait() {
    let mut index = Index::default();
    let all = ["a", "b", "c", "d"].map(|name| filter(name, "192.0.2.0/24"));
    index.update(desired(all.clone()));
    index.update(desired([]));
    assert_eq!(index.state().mass_deletion, Some(4));
    index.update(desired(all));
    assert_eq!(index.state().mass_deletion, None);
}

#[test]
fn nodes_that_the_same_policies_select_are_one_class() {
    let mut index = Index::default();
    let mut core = filter("core", "192.0.2.0/24");
    core["spec"]["nodeSelector"] = json!({"matchLabels": {"role": "core"}});
    index.update(desired([filter("edge", "192.0.2.0/24"), core]));
    for (name, role) in [("a", "edge"), ("b", "edge"), ("c", "core")] {
        index.set_node(name, node(role));
    }
    // What a node can take makes no class: the plan is compiled once.
    let capabilities = Capabilities { tcx: false, ..Capabilities::default() };
    index.set_node("b", Node { capabilities, ..node("edge") });
    let snapshot = index.snapshot();
    assert_eq!(snapshot.node_class["a"], snapshot.node_class["b"]);
    assert_eq!((snapshot.classes.len(), snapshot.capabilities["b"]), (2, capabilities));
    assert_eq!(snapshot.classes[&snapshot.node_class["c"]].filters.len(), 2);
}

#[test]
fn a_class_keeps_its_name_when_a_policy_is_edited() {
    let mut index = Index::default();
    index.set_node("a", node("edge"));
    index.update(desired([filter("edge", "192.0.2.0/24")]));
    let before = index.snapshot();
    index.update(desired([filter("edge", "203.0.113.0/24")]));
    assert_eq!(before.node_class, index.snapshot().node_class);
    assert_ne!(before.classes, index.snapshot().classes);
}

#[test]
fn the_state_survives_its_encoding() {
    let mut index = Index::default();
    index.update(desired([filter("edge", "192.0.2.0/24")]));
    index.set_node("a", node("edge"));
    let IndexState { held, nodes, .. } = index.state().clone();
    let text = serde_json::to_string(&(held.values().collect::<Vec<_>>(), &nodes)).unwrap();
    let (held_again, nodes_again): (Vec<Held>, BTreeMap<String, Node>) = serde_json::from_str(&text).unwrap();
    assert_eq!((held_again, nodes_again), (held.into_values().collect(), nodes));
    let older: Node =
        serde_json::from_str(r#"{"labels": {}, "addresses": [], "capabilities": "native=true"}"#).unwrap();
    assert_eq!(older, Node::default(), "an older version's nodes are known until their agents say more");
}

fn desired<const N: usize>(filters: [Value; N]) -> Arc<Desired> {
    let object = |value: Value| {
        let filter: sluice_crds::XdpFilter = serde_json::from_value(value).expect("an XdpFilter");
        let name = filter.metadata.name.clone().expect("a name");
        (ObjectKey::new(Kind::XdpFilter, "", &name), Arc::new(Object::Filter(filter)))
    };
    Arc::new(Desired {
        synced: true,
        objects: filters.into_iter().map(object).collect(),
        ..Desired::default()
    })
}

/// One that is not the default.
fn fleet() -> Fleet {
    let pool = AddressPool { name: "public".to_owned(), ..AddressPool::default() };
    Fleet { address_pools: vec![pool], ..Fleet::default() }
}

fn filter(name: &str, source: &str) -> Value {
    json!({
        "apiVersion": "sluice.dev/v1alpha1",
        "kind": "XdpFilter",
        "metadata": {"name": name},
        "spec": {
            "interfaces": {"names": ["eth0"]},
            "rules": [{"name": "bad", "action": "Drop", "match": {"sources": {"cidrs": [source]}}}],
        },
    })
}

fn with_uid(mut filter: Value, uid: &str) -> Value {
    filter["metadata"]["uid"] = json!(uid);
    filter["metadata"]["generation"] = json!(1);
    filter
}

fn node(role: &str) -> Node {
    Node { labels: BTreeMap::from([("role".to_owned(), role.to_owned())]), ..Node::default() }
}

fn held<'a>(index: &'a Index, name: &str) -> &'a Held {
    &index.state().held[&ObjectKey::new(Kind::XdpFilter, "", name)]
}

fn names(index: &Index) -> Vec<&str> {
    index.state().held.keys().map(|key| key.name.as_str()).collect()
}

fn sources(held: &Held) -> String {
    let Some(Policy::Filter(filter)) = &held.good else { panic!("no filter in force: {held:?}") };
    let sources = filter.rules[0].matches.sources.as_ref().expect("the rule has sources");
    sources.v4.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_filter_that_has_ended_is_in_force_nowhere() {
    let mut index = Index::default();
    index.set_node("edge-1", Node::default());
    let mut brief = filter("brief", "192.0.2.0/24");
    brief["spec"]["expiresAt"] = json!("1970-01-01T01:00:01+01:00");
    index.update(desired([brief, filter("edge", "203.0.113.0/24")]));
    let in_force = |index: &Index| {
        let snapshot = index.snapshot();
        let names = |class: &sluice_index::Class| -> Vec<String> {
            class.filters.iter().map(|filter| filter.object.name.clone()).collect()
        };
        let [class] = snapshot.classes.values().collect::<Vec<_>>()[..] else { panic!("a class") };
        assert_eq!(snapshot.filters.len(), class.filters.len());
        (names(class), snapshot.ended.into_values().collect::<Vec<_>>())
    };
    let both = ["brief", "edge"].map(str::to_owned).to_vec();
    assert_eq!((in_force(&index), index.next_expiry()), ((both, vec![]), Some(1000)));
    assert!(index.set_time(1000), "plans have to follow");
    assert_eq!((in_force(&index), index.next_expiry()), ((vec!["edge".to_owned()], vec![1000]), None));
    let mut restarted = Index::restore(index.state().clone());
    assert!(restarted.set_time(5000));
    assert_eq!(restarted.snapshot().ended.len(), 1);
}
