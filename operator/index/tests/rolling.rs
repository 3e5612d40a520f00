//! Which nodes have which version of a filter with a rollout.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use sluice_crds::Kind;
use sluice_index::{Desired, Index, Node, Object, ObjectKey};
use sluice_rollout::{Phase, Seen, Word};

const UID: &str = "uid-of-edge";

struct World {
    index: Index,
    now: i64,
}

/// A filter that drops a port.
fn filter(port: u16, generation: i64) -> Value {
    json!({
        "apiVersion": "sluice.dev/v1alpha1", "kind": "XdpFilter",
        "metadata": {"name": "edge", "uid": UID, "generation": generation},
        "spec": {
            "interfaces": {"names": ["eth0"]},
            "rules": [{"name": "bad", "action": "Drop",
                "match": {"protocols": ["UDP"], "destinationPorts": [port.to_string()]}}],
            "rollout": {"steps": [{"nodes": "30%", "hold": "1h"}]},
        },
    })
}

impl World {
    fn new() -> World {
        let mut index = Index::default();
        for name in ["a", "b", "c", "d", "e", "f", "g"] {
            index.set_node(name, Node::default());
        }
        World { index, now: 0 }
    }

    fn save(&mut self, filters: impl IntoIterator<Item = Value>) {
        let objects = filters.into_iter().map(|value| {
            let filter = serde_json::from_value(value).expect("a filter");
            (ObjectKey::new(Kind::XdpFilter, "", "edge"), Arc::new(Object::Filter(filter)))
        });
        self.index.update(Arc::new(Desired {
            synced: true,
            objects: objects.collect(),
            ..Desired::default()
        }));
        self.plan();
    }

    /// As the operator does it, and another one after it.
    fn plan(&mut self) {
        self.index.begin_rollouts(self.now);
        let filters = self.index.snapshot().filters;
        self.index.set_in_force([], filters.iter().map(AsRef::as_ref));
        self.index = Index::restore(self.index.state().clone());
        self.index.begin_rollouts(self.now);
    }

    /// Every node has what it is to have, and all holds are over.
    fn all_have_it(&mut self) {
        for _ in 0..2 {
            self.now += 3_600_000;
            let snapshot = self.index.snapshot();
            let nodes = snapshot.rolling.get(UID).into_iter().flatten();
            let seen = nodes.map(|(name, assigned)| Seen {
                name,
                canary: assigned.canary,
                word: Word::Has,
                packets: None,
                ns_per_packet: None,
            });
            let seen: BTreeMap<String, Vec<Seen>> = [(UID.to_owned(), seen.collect())].into();
            self.index.observe_rollouts(&seen, self.now);
        }
        self.plan();
    }

    /// How many nodes have each generation.
    fn counts(&self) -> BTreeMap<i64, usize> {
        let mut counts = BTreeMap::new();
        for class in self.index.snapshot().classes.values() {
            for filter in &class.filters {
                *counts.entry(filter.object.generation).or_default() += class.nodes.len();
            }
        }
        counts
    }

    fn spread(&mut self) {
        self.all_have_it();
        self.all_have_it();
    }
}

#[test]
fn an_edit_in_the_middle_begins_anew_from_what_was_everywhere() {
    let mut world = World::new();
    world.save([filter(1, 1)]);
    assert_eq!(world.counts(), [(1, 3)].into(), "before it there was nothing");
    world.spread();
    assert_eq!(world.counts(), [(1, 7)].into());
    world.save([filter(2, 2)]);
    assert_eq!(world.counts(), [(1, 4), (2, 3)].into());
    world.save([filter(3, 3)]);
    assert_eq!(world.counts(), [(1, 4), (3, 3)].into());
    world.save([filter(1, 4)]);
    assert_eq!(world.counts(), [(4, 7)].into(), "what was everywhere needs no waves");
}

#[test]
fn how_it_goes_out_may_change_on_the_way() {
    let mut world = World::new();
    world.save([filter(1, 1)]);
    world.spread();
    world.save([filter(2, 2)]);
    let mut faster = filter(2, 3);
    faster["spec"]["rollout"] = json!({"steps": [{"nodes": "30%"}]});
    world.save([faster.clone()]);
    assert_eq!(world.counts(), [(1, 4), (3, 3)].into(), "the wave is the same");
    faster["metadata"]["generation"] = json!(4);
    faster["spec"].as_object_mut().expect("a spec").remove("rollout");
    world.save([faster]);
    assert_eq!(world.counts(), [(4, 7)].into(), "without a rollout at once");
}

#[test]
fn nodes_go_by_the_selector_of_the_version_that_they_have() {
    let mut world = World::new();
    let role = |role: &str| Node { labels: [("role".to_owned(), role.to_owned())].into(), ..Node::default() };
    for (name, label) in [("a", "old"), ("b", "old"), ("c", "old"), ("d", "new"), ("e", "new"), ("f", "new")]
    {
        world.index.set_node(name, role(label));
    }
    let selecting = |port, generation, role: &str| {
        let mut filter = filter(port, generation);
        filter["spec"]["nodeSelector"] = json!({"matchLabels": {"role": role}});
        filter
    };
    world.save([selecting(1, 1, "old")]);
    world.spread();
    assert_eq!(world.counts(), [(1, 3)].into());
    world.save([selecting(1, 2, "new")]);
    let rolling = &world.index.snapshot().rolling[UID];
    assert_eq!(rolling.len(), 6, "those of either");
    let counts = world.counts();
    assert!(counts.values().sum::<usize>() < 6 && counts.contains_key(&1), "{counts:?}");
    world.spread();
    assert_eq!(world.counts(), [(2, 3)].into());
}

#[test]
fn a_deletion_keeps_the_last_version_where_it_has_not_come_to() {
    let mut world = World::new();
    world.save([filter(1, 1)]);
    world.spread();
    world.save([]);
    assert_eq!(world.counts(), [(1, 4)].into());
    assert!(world.index.state().held.values().next().expect("held").gone);
    world.spread();
    assert_eq!(world.counts(), BTreeMap::new());
    assert!(world.index.state().held.is_empty(), "nothing is left of it");
}

#[test]
fn a_deletion_that_a_person_confirms_does_not_wait() {
    let mut world = World::new();
    world.save([filter(1, 1)]);
    world.spread();
    world.save([]);
    assert!(world.index.confirm_mass_deletion());
    world.plan();
    assert_eq!(world.counts(), BTreeMap::new());
}

#[test]
fn what_never_came_far_goes_at_once() {
    let mut world = World::new();
    world.save([filter(1, 1)]);
    assert_eq!(world.counts(), [(1, 3)].into());
    world.save([]);
    assert_eq!(world.counts(), BTreeMap::new());
}

/// `kubectl replace --force` deletes and makes anew, and must not open the nodes that the first wave leaves out.
#[test]
fn an_object_made_anew_goes_out_from_the_version_of_the_old_one() {
    let mut world = World::new();
    world.save([filter(1, 5)]);
    world.spread();
    let mut anew = filter(2, 1);
    anew["metadata"]["uid"] = json!("another-uid");
    world.save([anew]);
    assert_eq!(world.counts(), [(1, 3), (5, 4)].into());
    let filters = world.index.snapshot().classes.into_values().flat_map(|class| class.filters);
    assert!(filters.into_iter().all(|filter| filter.object.uid == "another-uid"));
}

#[test]
fn a_version_without_a_rollout_comes_to_all_at_once() {
    let mut world = World::new();
    let mut plain = filter(1, 1);
    plain["spec"].as_object_mut().expect("a spec").remove("rollout");
    world.save([plain]);
    assert_eq!(world.counts(), [(1, 7)].into());
    world.save([filter(1, 2)]);
    assert_eq!(world.counts(), [(2, 7)].into(), "a rollout alone is no other version");
    let held = world.index.state().held.values().next().expect("held");
    assert_eq!(held.rolling.as_ref().expect("a rollout").progress.phase, Phase::Done);
}

#[test]
fn each_version_ends_at_its_own_moment() {
    let ending = |port, generation, at: &str| {
        let mut filter = filter(port, generation);
        filter["spec"]["expiresAt"] = json!(at);
        filter
    };
    let mut world = World::new();
    world.save([ending(1, 1, "1970-01-01T00:00:02Z")]);
    world.spread();
    world.save([ending(2, 2, "1970-01-01T00:00:01Z")]);
    assert_eq!(world.counts(), [(1, 4), (2, 3)].into());
    assert_eq!(world.index.next_expiry(), Some(1000));
    assert!(!world.index.set_time(999) && world.index.set_time(1000), "the clock alone ends it");
    assert_eq!(world.counts(), [(1, 4)].into(), "where it has come to");
    assert_eq!(world.index.snapshot().ended, [(UID.to_owned(), 1000)].into());
    assert_eq!(world.index.next_expiry(), Some(2000));
    assert!(world.index.set_time(2000) && !world.index.set_time(3000));
    assert_eq!((world.counts(), world.index.next_expiry()), (BTreeMap::new(), None));
    world.save([ending(2, 3, "1970-01-02T00:00:00Z")]);
    world.index.set_time(3000);
    world.spread();
    world.index.set_time(3000);
    assert_eq!(world.counts(), [(3, 7)].into(), "a later moment brings it back");
}
