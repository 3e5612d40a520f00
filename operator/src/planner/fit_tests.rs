//! Nodes that cannot take all of what their class is planned for.

use std::sync::Arc;

use serde_json::{Value, json};
use sluice_crds::Kind;
use sluice_index::{Capabilities, Desired, Index, Node, Object, ObjectKey};
use sluice_plan::{NodePlan, Schema};
use sluice_raft::{Plan, SCHEMAS, SUCCESSORS, SetManifest};

use super::*;

/// An operator between two edits: what it holds and what was agreed on.
#[derive(Default)]
pub(super) struct Operator {
    pub(super) index: Index,
    pub(super) agreed: State,
    pub(super) planned: Planned,
}

impl Operator {
    /// Nodes with what each takes.
    pub(super) fn with(nodes: &[(&str, Capabilities)]) -> Operator {
        let mut operator = Operator::default();
        nodes.iter().for_each(|(name, takes)| operator.greet(name, *takes));
        operator
    }

    fn greet(&mut self, name: &str, capabilities: Capabilities) {
        self.index.set_node(name, Node { capabilities, ..Node::default() });
    }

    /// A directory that holds these now, planned for and agreed on.
    pub(super) fn save(&mut self, objects: &[Value]) {
        let objects = objects.iter().map(object).collect();
        self.index.update(Arc::new(Desired { synced: true, objects, ..Desired::default() }));
        self.plan();
    }

    pub(super) fn plan(&mut self) {
        let planned = plan(self.index.snapshot(), &self.agreed, &BTreeMap::new());
        self.index.set_in_force(planned.in_force(), planned.filters_in_force());
        let (classes, sets) = planned.fleet(&self.agreed);
        let plan = |plan: ClassPlan| Plan { sets: plan.sets, ..Plan::new(plan.plan) };
        self.agreed.classes = Arc::new(classes.into_iter().map(|(key, class)| (key, plan(class))).collect());
        self.agreed.sets =
            Arc::new(sets.into_iter().map(|(name, bytes)| (name, SetManifest::new(bytes))).collect());
        self.agreed.node_class = Arc::new(planned.node_class.clone());
        self.agreed.blobs = Arc::new(
            [
                (SCHEMAS.to_owned(), planned.schemas.encoded()),
                (SUCCESSORS.to_owned(), planned.successors.encoded()),
            ]
            .into(),
        );
        self.planned = planned;
    }

    /// Name and generation of the filters in a node's plan.
    pub(super) fn has(&self, node: &str) -> Option<Vec<String>> {
        let (_, plan) = self.agreed.plan_of(node)?;
        let schema = Schema::numbered(self.agreed.schema_of(plan)).expect("one that is written");
        let plan = NodePlan::decode(schema, &plan.bytes).expect("a plan");
        let parts = plan.filters.parts.iter();
        Some(parts.map(|part| format!("{} {}", part.policy.name, part.policy.generation)).collect())
    }

    /// What is said of the newest version of an object on a node.
    fn withheld(&self, node: &str, name: &str) -> Option<(String, String)> {
        let key = ObjectKey::new(Kind::XdpFilter, "", name);
        self.planned.shortfalls.get(node)?.of(&self.index.state().held[&key].uid)
    }
}

fn object(value: &Value) -> (ObjectKey, Arc<Object>) {
    let name = value["metadata"]["name"].as_str().expect("a name");
    let (kind, object) = match value["kind"].as_str() {
        Some("XdpFilter") => {
            (Kind::XdpFilter, serde_json::from_value(value.clone()).map(Object::Filter).expect("a filter"))
        }
        _ => (Kind::XdpAddressSet, serde_json::from_value(value.clone()).map(Object::Set).expect("a set")),
    };
    (ObjectKey::new(kind, "", name), Arc::new(object))
}

/// Drops so many ports, a rule for each.
pub(super) fn filter(name: &str, hook: &str, rules: u16) -> Value {
    let rule = |port| json!({"name": format!("r{port}"), "action": "Drop", "match": {"protocols": ["UDP"], "destinationPorts": [format!("{port}")]}});
    json!({
        "apiVersion": "sluice.dev/v1alpha1", "kind": "XdpFilter", "metadata": {"name": name},
        "spec": {
            "interfaces": {"names": ["eth0"]}, "attach": {"hook": hook},
            "rules": (1..=rules).map(rule).collect::<Vec<_>>(),
        },
    })
}

fn uses_set(name: &str, set: &str) -> Value {
    let mut filter = filter(name, "Xdp", 1);
    filter["spec"]["rules"][0]["match"] = json!({"sources": {"sets": [set]}});
    filter
}

/// A set of so many prefixes of IPv4 and of IPv6.
fn set(name: &str, v4: u8, v6: u8) -> Value {
    let v4 = (0..v4).map(|number| format!("192.0.2.{}/32", 2 * number));
    let v6 = (0..v6).map(|number| format!("2001:db8:{number}::/64"));
    let entries: Vec<Value> = v4.chain(v6).map(|cidr| json!({"cidr": cidr})).collect();
    json!({
        "apiVersion": "sluice.dev/v1alpha1", "kind": "XdpAddressSet", "metadata": {"name": name},
        "spec": {"entries": entries},
    })
}

pub(super) const ALL: Capabilities =
    Capabilities { tcx: true, entries: 10_240, set_prefixes: 1 << 22, schema: Schema::NEWEST };
pub(super) const OLD_KERNEL: Capabilities = Capabilities { tcx: false, ..ALL };

pub(super) fn names(names: &[&str]) -> Option<Vec<String>> {
    Some(names.iter().map(|name| (*name).to_owned()).collect())
}

#[test]
fn what_a_node_never_had_is_left_out_there_and_nothing_else() {
    let mut operator = Operator::with(&[("new", ALL), ("old", OLD_KERNEL), ("older", OLD_KERNEL)]);
    operator.save(&[filter("edge", "Xdp", 2), filter("out", "TcEgress", 1)]);
    assert_eq!(operator.has("new"), names(&["edge 1", "out 1"]));
    assert_eq!(operator.has("old"), names(&["edge 1"]));
    assert_eq!(operator.agreed.node_class["old"], operator.agreed.node_class["older"], "one plan for both");
    assert_eq!((operator.withheld("new", "out"), operator.withheld("old", "edge")), (None, None));
    let (reason, message) = operator.withheld("old", "out").expect("refused");
    assert_eq!(reason, "HookRefused");
    assert!(message.starts_with("XdpFilter/out: attach.hook TcEgress needs tcx"), "{message}");
    // The rest goes on.
    operator.save(&[filter("edge", "Xdp", 3), filter("out", "TcEgress", 1)]);
    assert_eq!(operator.has("old"), names(&["edge 2"]));
}

#[test]
fn a_node_that_had_an_earlier_version_keeps_its_plan_until_it_can_take_a_newer_one() {
    let mut operator = Operator::with(&[("new", ALL), ("old", OLD_KERNEL)]);
    operator.save(&[filter("edge", "Xdp", 1), filter("more", "Xdp", 1)]);
    assert_eq!((operator.planned.classes.len(), operator.planned.shortfalls.len()), (1, 0), "compiled once");
    let mut marks = filter("edge", "Xdp", 1);
    marks["spec"]["rules"][0]["action"] = json!("Mark");
    marks["spec"]["rules"][0]["mark"] = json!({"value": 1});
    for generation in 2..4 {
        operator.save(&[marks.clone(), filter("more", "Xdp", generation)]);
        assert_eq!(operator.has("new"), Some(vec!["edge 2".to_owned(), format!("more {generation}")]));
        assert_eq!(operator.has("old"), names(&["edge 1", "more 1"]), "without it the node would be open");
    }
    let (reason, message) = operator.withheld("old", "edge").expect("refused");
    assert_eq!(reason, "MarksRefused");
    assert!(message.contains("remove rules with it, or select other nodes"), "{message}");
    assert_eq!(operator.withheld("old", "more"), Some((reason, message)), "and this is why it has no newer");
    operator.greet("old", ALL);
    operator.plan();
    assert_eq!(operator.has("old"), names(&["edge 2", "more 3"]));
    assert!(operator.planned.shortfalls.is_empty());
}

#[test]
fn more_rules_than_an_agent_takes_are_refused_with_number_and_bound() {
    let small = Capabilities { entries: 8, ..ALL };
    let mut operator = Operator::with(&[("large", ALL), ("small", small)]);
    operator.save(&[filter("a", "Xdp", 5)]);
    operator.save(&[filter("a", "Xdp", 5), filter("b", "Xdp", 5)]);
    assert_eq!(operator.has("large"), names(&["a 1", "b 1"]));
    assert_eq!(operator.has("small"), names(&["a 1"]));
    let (reason, message) = operator.withheld("small", "b").expect("refused");
    assert_eq!(reason, "TooManyRules");
    assert!(message.contains("to 10 rules and default actions, and it holds 8"), "{message}");
    assert!(message.contains("remove at least 2 rules"), "{message}");
}

#[test]
fn a_set_that_outgrows_a_node_stays_what_it_was_there() {
    let small = Capabilities { set_prefixes: 20, ..ALL };
    let mut operator = Operator::with(&[("large", ALL), ("small", small)]);
    let edge = uses_set("edge", "bad");
    operator.save(&[edge.clone(), set("bad", 8, 2)]);
    assert_eq!(operator.has("small"), names(&["edge 1"]));
    for larger in [9, 10] {
        operator.save(&[edge.clone(), set("bad", larger, 2)]);
        assert_eq!(operator.has("large"), names(&["edge 1"]));
        assert_eq!(operator.has("small"), None, "nothing is sent there");
    }
    let (reason, message) = operator.withheld("small", "edge").expect("refused");
    assert_eq!(reason, "TooManyPrefixes");
    assert!(message.contains("to 22 prefixes") && message.contains("takes 20"), "{message}");
    operator.save(&[edge, set("bad", 7, 2)]);
    assert_eq!(operator.has("small"), names(&["edge 1"]));
}

#[test]
fn a_set_that_a_node_never_had_room_for_is_left_out_with_its_filter() {
    let small = Capabilities { set_prefixes: 20, ..ALL };
    let mut operator = Operator::with(&[("small", small)]);
    let all = [uses_set("a", "few"), uses_set("b", "many"), set("few", 4, 0), set("many", 17, 0)];
    operator.save(&all);
    assert_eq!(operator.has("small"), names(&["a 1"]));
    assert_eq!(operator.planned.set_hashes.keys().collect::<Vec<_>>(), ["few"], "nobody needs the other");
}

/// As many objects as no node holds.
fn sixty_six() -> Vec<Value> {
    (0..66).map(|number| filter(&format!("f-{number:02}"), "Xdp", 1)).collect()
}

#[test]
fn what_goes_over_a_bound_is_refused_and_nothing_else() {
    let mut operator = Operator::with(&[("new", ALL), ("old", OLD_KERNEL)]);
    operator.save(&sixty_six());
    for node in ["new", "old"] {
        let has = operator.has(node).expect("a plan");
        assert_eq!((has.len(), has[63].as_str()), (64, "f-63 1"));
        assert_eq!(operator.withheld(node, "f-63"), None);
        let (reason, message) = operator.withheld(node, "f-65").expect("refused");
        assert_eq!(reason, "Invalid");
        assert!(message.starts_with("XdpFilter/f-65: is filter 65 of the node"), "{message}");
    }
    assert_eq!(operator.planned.refusals.len(), 2);
    // The rest goes on, and what was too much has its place once there is room.
    let mut objects = sixty_six();
    objects[0] = filter("f-00", "Xdp", 2);
    objects.remove(1);
    operator.save(&objects);
    let has = operator.has("new").expect("a plan");
    assert_eq!((has.len(), has[0].as_str(), has[63].as_str()), (64, "f-00 2", "f-64 1"));
    assert_eq!((operator.planned.refusals.len(), operator.withheld("old", "f-64")), (1, None));
}

#[test]
fn what_is_in_force_is_not_pushed_out_by_what_comes_before_it() {
    let mut operator = Operator::with(&[("new", ALL)]);
    let mut objects = sixty_six();
    objects.truncate(64);
    operator.save(&objects);
    objects.insert(0, filter("a", "Xdp", 1));
    operator.save(&objects);
    assert_eq!(operator.has("new").expect("a plan")[63], "f-63 1");
    for name in ["a", "f-63"] {
        let (reason, message) = operator.withheld("new", name).expect("withheld");
        assert_eq!(reason, "Invalid", "{name}");
        assert!(message.starts_with("XdpFilter/f-63: is filter 65 of the node"), "{message}");
    }
}

#[test]
fn rules_over_the_bound_of_every_node_leave_out_the_filter_that_brings_them() {
    let mut operator = Operator::with(&[("new", ALL), ("old", OLD_KERNEL)]);
    let many: Vec<Value> = (0..11).map(|number| filter(&format!("many-{number:02}"), "Xdp", 1000)).collect();
    operator.save(&[&[filter("edge", "Xdp", 1), filter("out", "TcEgress", 1)], &many[..]].concat());
    let mut has = vec!["edge 1".to_owned()];
    has.extend((0..10).map(|number| format!("many-{number:02} 1")));
    assert_eq!(operator.has("old"), Some(has.clone()));
    has.push("out 1".to_owned());
    assert_eq!(operator.has("new"), Some(has));
    assert_eq!(operator.planned.refusals.len(), 1);
}

#[test]
fn an_agent_that_does_not_say_is_sent_everything() {
    let mut operator = Operator::with(&[("silent", Capabilities::default())]);
    operator.save(&[filter("out", "TcEgress", 1), uses_set("edge", "bad"), set("bad", 20, 20)]);
    assert_eq!(operator.has("silent"), names(&["edge 1", "out 1"]));
}

pub(super) const PREVIOUS: Capabilities = Capabilities { schema: Schema::V2, ..ALL };

fn tried(name: &str, rules: u16) -> Value {
    let mut filter = filter(name, "Xdp", rules);
    filter["spec"]["rollout"] = json!({"confirmTimeout": "30s"});
    filter
}

#[test]
fn agents_of_the_version_before_get_the_same_plan_in_their_encoding() {
    let mut operator = Operator::with(&[("new", ALL)]);
    operator.save(&[filter("edge", "Xdp", 1)]);
    assert_eq!(operator.planned.classes.len(), 1, "nobody needs it in another encoding");
    ["old", "older"].iter().for_each(|node| operator.greet(node, PREVIOUS));
    operator.save(&[filter("edge", "Xdp", 2)]);
    assert_eq!(operator.planned.classes.len(), 2);
    let [new, old] = ["new", "old"].map(|node| operator.agreed.plan_of(node).expect("a plan").1);
    assert_eq!((operator.agreed.schema_of(new), operator.agreed.schema_of(old)), (3, 2));
    let [mut read, written] = [(Schema::V3, new), (Schema::V2, old)]
        .map(|(schema, plan)| NodePlan::decode(schema, &plan.bytes).expect("a plan"));
    read.schema = Schema::V2;
    assert_eq!(read, written);
    assert_eq!(operator.agreed.plan_of("older").expect("a plan").1.bytes.as_ptr(), old.bytes.as_ptr());
    assert_eq!(operator.planned.hash_of("old"), Some(old.hash), "by which its status counts");
    // An agent that is updated is one of the others.
    ["old", "older"].iter().for_each(|node| operator.greet(node, ALL));
    operator.plan();
    assert_eq!(operator.planned.classes.len(), 1);
}

#[test]
fn what_the_encoding_before_cannot_say_is_a_limit_of_its_agents() {
    let mut operator = Operator::with(&[("new", ALL), ("old", PREVIOUS)]);
    operator.save(&[filter("edge", "Xdp", 1), tried("tried", 1)]);
    assert_eq!(operator.has("new"), names(&["edge 1", "tried 1"]));
    assert_eq!(operator.has("old"), names(&["edge 1"]));
    let (reason, message) = operator.withheld("old", "tried").expect("refused");
    assert_eq!(reason, "UnknownSchema");
    assert!(
        message.contains("needs encoding 3 of plans, and this node's agent reads 2: update"),
        "{message}"
    );
    // One that has an earlier version goes on with it.
    operator.save(&[tried("edge", 1), filter("other", "Xdp", 1)]);
    assert_eq!(operator.has("old"), names(&["edge 1"]));
    let keeps = operator.agreed.plan_of("old").expect("a plan").1;
    assert_eq!(operator.agreed.schema_of(keeps), 2);
}
