//! From a snapshot to the plans of every class. Pure: the same snapshot, rings and health give the same bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use sluice_balance::{Rings, repair_all};
use sluice_compile::{BalancerInput, ClassInput, compile};
use sluice_index::{Class, Snapshot};
use sluice_plan::{Hash, NodePlan, encode};
use sluice_policy::Balancer;
use sluice_raft::{Bytes, ClassKey, State};

/// The agreed rings of every balancer, by uid.
pub type AllRings = BTreeMap<String, Rings>;

/// What is to be agreed on, and what could not be compiled.
#[derive(Debug, Default)]
pub struct Planned {
    pub classes: BTreeMap<ClassKey, Bytes>,
    pub hashes: BTreeMap<ClassKey, Hash>,
    pub node_class: BTreeMap<String, ClassKey>,
    pub rings: AllRings,
    /// By policy uid: (reason, message).
    pub refusals: BTreeMap<String, (String, String)>,
}

pub fn plan(snapshot: &Snapshot, agreed: &State, unhealthy: &BTreeMap<String, BTreeSet<IpAddr>>) -> Planned {
    let previous: AllRings = sluice_plan::decode(&agreed.rings).unwrap_or_default();
    let mut planned = Planned { rings: rings(snapshot, &previous, unhealthy), ..Planned::default() };
    planned.node_class =
        snapshot.node_class.iter().map(|(node, class)| (node.clone(), ClassKey(class.clone()))).collect();
    for (key, class) in &snapshot.classes {
        let key = ClassKey(key.clone());
        match compile(&input(snapshot, class, &planned.rings, unhealthy)) {
            Ok(plan) => {
                let bytes = Bytes::from(encode::<NodePlan>(&plan));
                planned.hashes.insert(key.clone(), Hash::of(&bytes));
                planned.classes.insert(key, bytes);
            }
            Err(error) => {
                let reason = "Invalid".to_owned();
                planned.refusals.insert(error.object().uid.clone(), (reason, error.to_string()));
                // The class keeps its last good plan.
                if let Some(plan) = agreed.classes.get(&key) {
                    planned.hashes.insert(key.clone(), plan.hash);
                    planned.classes.insert(key, plan.bytes.clone());
                } else {
                    planned.node_class.retain(|_, class| *class != key);
                }
            }
        }
    }
    planned
}

fn rings(
    snapshot: &Snapshot,
    previous: &AllRings,
    unhealthy: &BTreeMap<String, BTreeSet<IpAddr>>,
) -> AllRings {
    let (none, empty) = (BTreeSet::new(), Rings::new());
    let balancers: BTreeMap<&str, &Balancer> = snapshot
        .classes
        .values()
        .flat_map(|class| &class.balancers)
        .map(|chosen| (chosen.balancer.object.uid.as_str(), chosen.balancer.as_ref()))
        .collect();
    let repaired = |(uid, balancer): (&str, &Balancer)| {
        let rings =
            repair_all(previous.get(uid).unwrap_or(&empty), balancer, unhealthy.get(uid).unwrap_or(&none));
        (uid.to_owned(), rings)
    };
    balancers.into_iter().map(repaired).collect()
}

fn input<'a>(
    snapshot: &'a Snapshot,
    class: &'a Class,
    rings: &'a AllRings,
    unhealthy: &BTreeMap<String, BTreeSet<IpAddr>>,
) -> ClassInput<'a> {
    let balancer = |chosen: &'a sluice_index::ClassBalancer| {
        let uid = &chosen.balancer.object.uid;
        BalancerInput {
            balancer: chosen.balancer.as_ref(),
            balances: chosen.balances,
            rings: rings.get(uid).expect("rings were made for every balancer of the snapshot"),
            unhealthy: unhealthy.get(uid).cloned().unwrap_or_default(),
        }
    };
    let nodes =
        class.balancers.iter().filter_map(|chosen| snapshot.balancer_nodes.get(&chosen.balancer.object.uid));
    ClassInput {
        filters: class.filters.iter().map(AsRef::as_ref).collect(),
        balancers: class.balancers.iter().map(balancer).collect(),
        failsafe: snapshot.fleet.failsafe.clone(),
        balancer_nodes: nodes.flatten().copied().collect(),
    }
}
