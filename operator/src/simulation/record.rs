//! What was seen, held against what must never be.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sluice_plan::{Epoch, Hash, fleet_hash};
use sluice_proto::{PLAN, set_key};
use sluice_raft::State;

use super::AGENTS;
use super::world::{World, agent, replica};

#[derive(Default)]
pub struct Record(Mutex<Seen>);

#[derive(Default)]
struct Seen {
    /// What each node is to enforce in an epoch.
    agreed: BTreeMap<Epoch, Vec<Option<Hash>>>,
    /// The newest that each replica showed.
    shown: BTreeMap<usize, Epoch>,
    /// What must never be: told here, because a panic of a simulated process ends that alone.
    wrong: Vec<String>,
}

impl Record {
    /// A replica shows this state.
    pub fn shown(&self, index: usize, state: &State) {
        let mut seen = self.seen();
        let epoch = state.epoch;
        let content: Vec<_> = (0..AGENTS).map(|node| wanted_of(state, &agent(node))).collect();
        if *seen.agreed.entry(epoch).or_insert_with(|| content.clone()) != content {
            seen.wrong.push(format!("epoch {epoch} is two things"));
        }
        let before = seen.shown.insert(index, epoch).unwrap_or_default();
        if before > epoch {
            seen.wrong.push(format!("{} went from {before} to {epoch}", replica(index)));
        }
    }

    /// A replica lost its disk.
    pub fn forget(&self, index: usize) {
        self.seen().shown.remove(&index);
    }

    /// An agent took an update.
    pub fn taken(&self, index: usize, before: Option<Epoch>, epoch: Epoch, fleet: Hash) {
        let mut seen = self.seen();
        let node = agent(index);
        if before.is_some_and(|before| before > epoch) {
            seen.wrong.push(format!("{node} went from {before:?} to {epoch}"));
        }
        if seen.agreed.get(&epoch).and_then(|nodes| nodes[index]) != Some(fleet) {
            seen.wrong.push(format!("{node} was sent under {epoch} what was not agreed on"));
        }
    }

    pub fn wrong(&self, what: String) {
        self.seen().wrong.push(what);
    }

    /// At this moment.
    pub fn check(&self, world: &World, seed: u64) {
        let running = world.running();
        let decide = running.iter().enumerate().filter(|(_, one)| {
            one.as_ref()
                .is_some_and(|one| !one.failed && one.view.has_changed().is_ok() && one.view.borrow().known)
        });
        let decide: Vec<usize> = decide.map(|(index, _)| index).collect();
        assert!(decide.len() <= 1, "seed {seed}: replicas {decide:?} decide at once");
        let wrong = self.seen().wrong.join("; ");
        assert!(wrong.is_empty(), "seed {seed}: {wrong}");
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub fn wanted_of(state: &State, node: &str) -> Option<Hash> {
    let (_, plan) = state.plan_of(node)?;
    let sets = state.sets_of(plan).map(|(name, set)| (set_key(name), set.hash)).collect::<Vec<_>>();
    let all = std::iter::once((PLAN, plan.hash)).chain(sets.iter().map(|(key, hash)| (key.as_str(), *hash)));
    Some(fleet_hash(all))
}
