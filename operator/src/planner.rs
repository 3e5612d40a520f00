//! From a snapshot to the plans of every class. Pure: the same snapshot, rings and health give the same bytes.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use sluice_admit::ClaimRefused;
use sluice_balance::{Rings, repair_all};
use sluice_compile::{BalancerInput, ClassInput, compile};
use sluice_index::{Class, Snapshot};
use sluice_lint::Warning;
use sluice_plan::{Hash, NodePlan, encode};
use sluice_policy::Balancer;
use sluice_raft::{Bytes, ClassKey, State};

/// The agreed rings of every balancer, by uid.
pub type AllRings = BTreeMap<String, Rings>;

/// What is to be agreed on, and what is left out of it.
#[derive(Debug, Default)]
pub struct Planned {
    /// What the plans are made of.
    pub snapshot: Snapshot,
    pub classes: BTreeMap<ClassKey, Bytes>,
    pub hashes: BTreeMap<ClassKey, Hash>,
    pub node_class: BTreeMap<String, ClassKey>,
    pub rings: AllRings,
    /// By policy uid: (reason, message).
    pub refusals: BTreeMap<String, (String, String)>,
    /// By filter uid: what is hardly meant in it.
    pub warnings: BTreeMap<String, Vec<Warning>>,
}

impl Planned {
    /// Nothing is planned anew: what is agreed on is in force.
    pub fn agreed(snapshot: Snapshot, agreed: &State) -> Planned {
        let refusals = refusals(&snapshot);
        let hashes = agreed.classes.iter().map(|(key, plan)| (key.clone(), plan.hash)).collect();
        let node_class = (*agreed.node_class).clone();
        Planned { snapshot, refusals, hashes, node_class, ..Planned::default() }
    }

    /// Balancers whose newest versions these plans bring into force.
    pub fn in_force(&self) -> impl Iterator<Item = &Balancer> {
        let refused = |balancer: &&Balancer| self.refusals.contains_key(&balancer.object.uid);
        self.snapshot.balancers.iter().map(AsRef::as_ref).filter(move |balancer| !refused(balancer))
    }
}

pub fn plan(snapshot: Snapshot, agreed: &State, unhealthy: &BTreeMap<String, BTreeSet<IpAddr>>) -> Planned {
    let previous: AllRings = sluice_plan::decode(&agreed.rings).unwrap_or_default();
    let rings = rings(&snapshot, &previous, unhealthy);
    let mut planned = Planned { rings, refusals: refusals(&snapshot), ..Planned::default() };
    planned.node_class =
        snapshot.node_class.iter().map(|(node, class)| (node.clone(), ClassKey(class.clone()))).collect();
    for (key, class) in &snapshot.classes {
        let key = ClassKey(key.clone());
        match compile(&input(&snapshot, class, &planned.rings, unhealthy)) {
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
    Planned { snapshot, ..planned }
}

/// Claims that are refused, by uid.
fn refusals(snapshot: &Snapshot) -> BTreeMap<String, (String, String)> {
    let words = |why: &ClaimRefused| (why.reason().to_owned(), why.to_string());
    snapshot.refused.iter().map(|(uid, why)| (uid.clone(), words(why))).collect()
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
