//! From a snapshot to the plans of every class. Pure: the same snapshot, rings and health give the same bytes.

mod classes;
mod encoded;
mod ends;
#[cfg(test)]
mod ends_tests;
mod fit;
#[cfg(test)]
mod fit_tests;
#[cfg(test)]
mod set_tests;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use sluice_balance::{Rings, repair_all};
use sluice_crds::reason;
use sluice_index::{Refused, Snapshot};
use sluice_lint::Warning;
use sluice_plan::Hash;
use sluice_policy::{Balancer, Filter};
use sluice_raft::{Bytes, ClassKey, ClassPlan, Command, Schemas, State, Successors, shard_key};
use sluice_sets::Contents;

use classes::Planner;
pub use fit::Shortfall;

/// The agreed rings of every balancer, by uid.
pub type AllRings = BTreeMap<String, Rings>;

/// What is to be agreed on, and what is left out of it.
#[derive(Debug, Default)]
pub struct Planned {
    /// What the plans are made of.
    pub snapshot: Snapshot,
    pub classes: BTreeMap<ClassKey, Bytes>,
    pub hashes: BTreeMap<ClassKey, Hash>,
    /// In which encoding each plan is.
    pub schemas: Schemas,
    /// What comes of each plan by itself; these plans are among `classes`, and no node has them.
    pub successors: Successors,
    pub node_class: BTreeMap<String, ClassKey>,
    /// Address sets that each class uses.
    pub class_sets: BTreeMap<ClassKey, Vec<String>>,
    /// What names the contents of each of them.
    pub set_hashes: BTreeMap<String, Hash>,
    pub rings: AllRings,
    /// By policy uid: (reason, message).
    pub refusals: BTreeMap<String, (String, String)>,
    /// By node, why its plan is not its class's.
    pub shortfalls: BTreeMap<String, Shortfall>,
    /// By filter uid: what is hardly meant in it.
    pub warnings: BTreeMap<String, Vec<Warning>>,
}

impl Planned {
    /// Nothing is planned anew: what is agreed on is in force.
    pub fn agreed(snapshot: Snapshot, agreed: &State) -> Planned {
        let refusals = refusals(&snapshot);
        let hashes = agreed.classes.iter().map(|(key, plan)| (key.clone(), plan.hash)).collect();
        let class_sets = agreed.classes.iter().map(|(key, plan)| (key.clone(), plan.sets.clone())).collect();
        let set_hashes = agreed.sets.iter().map(|(name, set)| (name.clone(), set.hash)).collect();
        let node_class = (*agreed.node_class).clone();
        Planned { snapshot, refusals, hashes, class_sets, set_hashes, node_class, ..Planned::default() }
    }

    /// None as long as nothing is planned for the node, or where it stays on what the operator has no plan of.
    pub fn hash_of(&self, node: &str) -> Option<Hash> {
        self.hashes.get(self.node_class.get(node)?).copied()
    }

    /// Whether the node is to hold the set: its plan uses it or, where it stays on what it has, a filter that is meant for it.
    pub fn holds(&self, node: &str, set: &str) -> bool {
        if let Some(sets) = self.node_class.get(node).and_then(|class| self.class_sets.get(class)) {
            return sets.iter().any(|name| name == set);
        }
        let class = self.snapshot.node_class.get(node).and_then(|class| self.snapshot.classes.get(class));
        class.is_some_and(|class| class.filters.iter().any(|filter| filter.sets().any(|name| name == set)))
    }

    /// Plans and contents of sets as they are agreed on. Contents that cannot be had now stay what they are.
    pub fn fleet(&self, agreed: &State) -> (BTreeMap<ClassKey, ClassPlan>, BTreeMap<String, Bytes>) {
        let plan = |(key, plan): (&ClassKey, &Bytes)| {
            let sets = self.class_sets.get(key).cloned().unwrap_or_default();
            (key.clone(), ClassPlan { plan: plan.clone(), sets })
        };
        let manifest = |name: &String| match self.snapshot.sets.get(name) {
            Some(contents) => Some((name.clone(), Bytes::from(contents.shards().0.encode()))),
            None => agreed.sets.get(name).map(|set| (name.clone(), set.bytes.clone())),
        };
        (self.classes.iter().map(plan).collect(), self.used_sets().filter_map(manifest).collect())
    }

    /// Shards of the sets in use that are not agreed on yet, in parts that are agreed on one after the other.
    pub fn shards(&self, agreed: &State) -> Vec<BTreeMap<String, Bytes>> {
        let used = self.used_sets().filter_map(|name| self.snapshot.sets.get(name));
        missing_shards(used.map(AsRef::as_ref), agreed)
    }

    fn used_sets(&self) -> impl Iterator<Item = &String> {
        self.class_sets.values().flatten().collect::<BTreeSet<_>>().into_iter()
    }

    /// Filters that these plans bring into force.
    pub fn filters_in_force(&self) -> impl Iterator<Item = &Filter> {
        let kept = |filter: &&Filter| match self.refusals.get(&filter.object.uid) {
            // Of a version whose sets are not there: the one in force is another, and goes on.
            Some((reason, _)) => reason == reason::UNKNOWN_SET,
            None => true,
        };
        self.snapshot.filters.iter().map(AsRef::as_ref).filter(kept)
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
    let planned = Planned { refusals: refusals(&snapshot), ..Planned::default() };
    let mut planner = Planner { snapshot: &snapshot, agreed, unhealthy, rings: &rings, planned };
    for (key, class) in &snapshot.classes {
        planner.class(key, class);
    }
    let mut planned = planner.planned;
    planned.set_hashes = set_hashes(&planned, &snapshot, agreed);
    Planned { snapshot, rings, ..planned }
}

fn set_hashes(planned: &Planned, snapshot: &Snapshot, agreed: &State) -> BTreeMap<String, Hash> {
    let hash = |name: &String| match snapshot.sets.get(name) {
        Some(contents) => Some((name.clone(), contents.hash())),
        None => agreed.sets.get(name).map(|set| (name.clone(), set.hash)),
    };
    planned.used_sets().filter_map(hash).collect()
}

/// As much as one command may well carry.
const PART_BYTES: usize = Command::MAX_BYTES / 4;

/// Shards that are not agreed on yet.
pub fn missing_shards<'a>(
    sets: impl Iterator<Item = &'a Contents>,
    agreed: &State,
) -> Vec<BTreeMap<String, Bytes>> {
    let (mut parts, mut part, mut bytes) = (Vec::new(), BTreeMap::new(), 0);
    for shard in sets.flat_map(|contents| &contents.shards().1) {
        if agreed.shard(shard.hash).is_some() {
            continue;
        }
        bytes += shard.bytes.len();
        part.insert(shard_key(shard.hash), shard.bytes.clone());
        if bytes > PART_BYTES {
            parts.push(std::mem::take(&mut part));
            bytes = 0;
        }
    }
    if !part.is_empty() {
        parts.push(part);
    }
    parts
}

/// Versions that other objects keep from being in force, by uid.
fn refusals(snapshot: &Snapshot) -> BTreeMap<String, (String, String)> {
    let words = |why: &Refused| (why.reason().to_owned(), why.to_string());
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
