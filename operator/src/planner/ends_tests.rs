//! Plans that come to others by themselves.

use serde_json::{Value, json};
use sluice_index::Capabilities;
use sluice_plan::Hash;
use sluice_proto::MAX_SUCCESSORS;

use super::fit_tests::{ALL, OLD_KERNEL, Operator, PREVIOUS, filter, names};

/// Ends at so many seconds.
fn until(second: i64, mut filter: Value) -> Value {
    let at = jiff::Timestamp::from_second(second).expect("a moment");
    filter["spec"]["expiresAt"] = json!(at.to_string());
    filter
}

impl Operator {
    /// By the clock alone.
    fn comes_to(&mut self, now: i64) {
        assert!(self.index.set_time(now), "something ends");
        self.plan();
    }

    /// Hash of the node's plan, and of what it comes to, and when.
    fn succession(&self, node: &str, now: i64) -> (Hash, Vec<(i64, Hash)>) {
        let (_, plan) = self.agreed.plan_of(node).expect("a plan");
        let (plan, next) = self.agreed.succession(plan, now);
        (plan.hash, next.into_iter().map(|(at, plan)| (at, plan.hash)).collect())
    }
}

#[test]
fn a_plan_comes_to_what_is_planned_after_each_moment() {
    let nodes: [(&str, Capabilities); 2] = [("new", ALL), ("older", PREVIOUS)];
    let mut operator = Operator::with(&nodes);
    let [brief, longer] = [until(1, filter("brief", "Xdp", 1)), until(2, filter("longer", "Xdp", 2))];
    operator.save(&[brief, filter("edge", "Xdp", 3), longer]);
    assert_eq!(operator.has("new"), names(&["brief 1", "edge 1", "longer 1"]));
    let foreseen = nodes.map(|(node, _)| [0, 1000, 2000].map(|now| operator.succession(node, now)));
    for (now, left) in [(1000, &["edge 1", "longer 1"][..]), (2000, &["edge 1"])] {
        operator.comes_to(now);
        assert_eq!((operator.has("new"), operator.has("older")), (names(left), names(left)));
        let planned = nodes.map(|(node, _)| operator.succession(node, now));
        assert_eq!(planned, foreseen.clone().map(|of_node| of_node[now as usize / 1000].clone()));
    }
    assert!(operator.planned.successors.is_empty());
}

#[test]
fn a_plan_of_which_nothing_ends_is_what_it_was() {
    let plain = filter("edge", "Xdp", 2);
    let plan = |filter: &Value| {
        let mut operator = Operator::with(&[("new", ALL)]);
        operator.save(std::slice::from_ref(filter));
        let plans = operator.planned.classes.values().cloned().collect::<Vec<_>>();
        (plans, operator.planned.successors.is_empty())
    };
    let (plans, none) = plan(&plain);
    assert_eq!((plans.len(), none), (1, true));
    let (ending, none) = plan(&until(1, plain));
    assert_eq!((ending.len(), none), (2, false));
    assert!(ending.contains(&plans[0]), "when it ends is beside the plan");
}

#[test]
fn the_first_moments_are_kept_and_the_others_follow() {
    let mut operator = Operator::with(&[("new", ALL)]);
    let filters: Vec<Value> = (1..=6).map(|at| until(at, filter(&format!("f{at}"), "Xdp", 1))).collect();
    operator.save(&filters);
    let moments = |operator: &Operator, now| {
        operator.succession("new", now).1.into_iter().map(|(at, _)| at).collect::<Vec<_>>()
    };
    assert_eq!(moments(&operator, 0), (1..=MAX_SUCCESSORS as i64).map(|at| at * 1000).collect::<Vec<_>>());
    operator.comes_to(3000);
    assert_eq!(moments(&operator, 3000), [4000, 5000, 6000]);
    assert_eq!(operator.has("new"), names(&["f4 1", "f5 1", "f6 1"]));
}

#[test]
fn a_node_that_is_left_on_its_plan_or_on_less_comes_to_its_successors_too() {
    let mut operator = Operator::with(&[("new", ALL), ("old", OLD_KERNEL)]);
    let (brief, out) = (until(1, filter("brief", "Xdp", 1)), filter("out", "TcEgress", 1));
    operator.save(&[brief.clone(), filter("edge", "Xdp", 1), out.clone()]);
    assert_eq!(operator.has("old"), names(&["brief 1", "edge 1"]), "less");
    let (_, next) = operator.succession("old", 0);
    assert_eq!(operator.succession("old", 1000), (next[0].1, vec![]));
    operator.save(&[brief, filter("edge", "TcIngress", 1), out]);
    assert_eq!(operator.has("old"), names(&["brief 1", "edge 1"]), "the last good one");
    assert_eq!(operator.succession("old", 0).1, next);
    operator.comes_to(1000);
    assert_eq!(operator.has("old"), names(&["edge 1"]));
    assert_eq!(operator.succession("old", 1000), (next[0].1, vec![]), "by itself or by the operator's word");
}
