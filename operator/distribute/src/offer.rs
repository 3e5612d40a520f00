//! What one agent is sent next: pure, one per stream.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use sluice_plan::{Epoch, Hash, fleet_hash};
use sluice_proto::v1::server_message::Kind;
use sluice_proto::v1::{
    AskHave, Have, Hello, Resource, ResourceVerdict, Shards, Update, VerdictStage, Verdicts, Want,
};
use sluice_proto::{PLAN, moment_of, set_key, successor_key};
use sluice_raft::{Bytes, Plan, SetManifest, State, Step};
use sluice_seal::{Signer, Statement};

use crate::errand::Errand;
use crate::fence::to_wire;

pub struct Offer {
    node: String,
    cluster_id: String,
    /// Over what the node enforces, as long as it has not said which resources these are.
    unnamed: Option<Hash>,
    /// They were asked for, and no answer came yet.
    asked: bool,
    /// What it enforces, as far as it has said so.
    held: BTreeMap<String, Hash>,
    /// Numbers of the encodings of plans that it reads.
    reads: Vec<u32>,
    /// How many successors of its plan it keeps.
    keeps: usize,
    now: i64,
    /// Hash of the signer's certificate that it has.
    knows: Option<Hash>,
    /// The last state that was sent or changed nothing here.
    told: Option<Told>,
    in_flight: Option<InFlight>,
    nonce: u64,
}

/// Which state it was.
#[derive(Clone, Copy)]
struct Told {
    epoch: Epoch,
    step: Step,
}

struct InFlight {
    nonce: u64,
    /// Sent, and without a final verdict.
    open: BTreeSet<String>,
    shards: Errand,
}

impl Offer {
    pub fn new(node: String, cluster_id: String, hello: &Hello) -> Offer {
        let named = !hello.have.is_empty();
        Offer {
            node,
            cluster_id,
            unnamed: Hash::from_slice(&hello.fleet_hash).filter(|_| !named),
            asked: false,
            held: resources(&hello.have),
            reads: hello.plan_schemas.clone(),
            keeps: hello.capabilities.as_ref().map_or(0, |takes| takes.successors as usize),
            now: 0,
            knows: Hash::from_slice(&hello.signer),
            told: None,
            in_flight: None,
            nonce: 0,
        }
    }

    /// By which plans have come to their successors, in Unix milliseconds.
    pub fn set_time(&mut self, now: i64) {
        self.now = now;
    }

    /// Whether [`Offer::next`] would give anything: the first of a stream, so that the node confirms what it enforces, and
    /// from then on what is news to it.
    ///
    /// An epoch that changes other nodes only is passed over, so that an edit costs the nodes that it concerns. If there
    /// was another in between that this stream did not see, the node is told, though: it may have been meant to enforce
    /// something else then, and a replica that lags behind must not bring that back.
    pub fn is_due(&mut self, state: &State, signer: &Signer) -> bool {
        let now = Told { epoch: state.epoch, step: state.step };
        if self.waits_for_answer() || self.told.is_some_and(|told| told.epoch == now.epoch) {
            return false;
        }
        let Some((_, plan)) = state.plan_of(&self.node) else { return false };
        let follows = self.told.is_some_and(|told| now.step.follows(told.step));
        if follows && self.knows == Some(signer.id()) && self.enforces(state, plan) {
            self.told = Some(now);
            return false;
        }
        true
    }

    fn enforces(&self, state: &State, plan: &Plan) -> bool {
        let has = |key: &str, hash| self.held.get(key) == Some(hash);
        let (plan, next) = self.succession(state, plan);
        let sets = || state.sets_of(plan);
        self.held.len() == 1 + next.len() + sets().count()
            && has(PLAN, &plan.hash)
            && next.iter().all(|(at, next)| has(&successor_key(*at), &next.hash))
            && sets().all(|(name, set)| has(&set_key(name), &set.hash))
    }

    /// The plan that the node is to have now, and the successors that it keeps.
    fn succession<'a>(&self, state: &'a State, plan: &'a Plan) -> (&'a Plan, Vec<(i64, &'a Plan)>) {
        let (plan, mut next) = state.succession(plan, self.now);
        next.truncate(self.keeps);
        (plan, next)
    }

    pub fn waits_for_answer(&self) -> bool {
        self.asked || self.in_flight.is_some()
    }

    /// The newest state for this node, or first the question of what it has. Plan and sets only go to a node that does not
    /// enforce them, and so does the signer's certificate.
    pub fn next(&mut self, state: &Arc<State>, signer: &Signer) -> Option<Kind> {
        if !self.is_due(state, signer) {
            return None;
        }
        let schema = state.plan_of(&self.node).map_or(0, |(_, plan)| state.schema_of(plan));
        if !self.reads.contains(&schema) {
            // Until there is another for it.
            self.told = Some(Told { epoch: state.epoch, step: state.step });
            return None;
        }
        let wanted = self.wanted(state, schema);
        let hashes = || wanted.iter().map(|resource| (resource.key.as_str(), resource.hash));
        let fleet = fleet_hash(hashes());
        if let Some(unnamed) = self.unnamed {
            if unnamed != fleet {
                self.asked = true;
                return Some(Kind::AskHave(AskHave {}));
            }
            self.unnamed = None;
            self.held = hashes().map(|(key, hash)| (key.to_owned(), hash)).collect();
        }
        let named: BTreeSet<&str> = wanted.iter().map(|resource| resource.key.as_str()).collect();
        let removed = self.held.keys().filter(|key| !named.contains(key.as_str())).cloned().collect();
        // What the node keeps as a successor need not be sent for it to turn to.
        let mut held = self.held.clone();
        wanted.first().inspect(|plan| turn(&mut held, plan.hash));
        let differs = |resource: &&Wanted| held.get(&resource.key) != Some(&resource.hash);
        let set: Vec<Resource> = wanted.iter().filter(differs).map(Wanted::resource).collect();
        let brings = !set.is_empty();
        self.nonce += 1;
        self.told = Some(Told { epoch: state.epoch, step: state.step });
        let open = set.iter().map(|resource| resource.key.clone()).chain([PLAN.to_owned()]).collect();
        self.in_flight = Some(InFlight { nonce: self.nonce, open, shards: Errand::new(state.clone()) });
        let (cluster_id, node) = (self.cluster_id.as_str(), self.node.as_str());
        let statement = Statement { cluster_id, node, epoch: state.epoch, fleet_hash: fleet, schema };
        let is_news = self.knows.replace(signer.id()) != Some(signer.id());
        Some(Kind::Update(Update {
            epoch: Some(to_wire(state.epoch)),
            nonce: self.nonce,
            set,
            removed,
            fleet_hash: fleet.0.to_vec(),
            signature: signer.signature(&statement),
            signer: if is_news { signer.certificate().to_vec() } else { Vec::new() },
            cluster_id: self.cluster_id.clone(),
            traces: if brings { state.traces(node) } else { Vec::new() },
        }))
    }

    /// All resources of the node, whose plan is in the encoding `schema`.
    fn wanted(&self, state: &State, schema: u32) -> Vec<Wanted> {
        let Some((_, plan)) = state.plan_of(&self.node) else { return Vec::new() };
        let (plan, next) = self.succession(state, plan);
        let of_plan =
            |key: String, plan: &Plan| Wanted { key, hash: plan.hash, bytes: plan.bytes.clone(), schema };
        let next = next.into_iter().map(|(at, next)| of_plan(successor_key(at), next));
        let of_set = |(name, set): (&str, &SetManifest)| Wanted {
            key: set_key(name),
            hash: set.hash,
            bytes: set.bytes.clone(),
            schema: 0,
        };
        let sets = state.sets_of(plan).map(of_set);
        [of_plan(PLAN.to_owned(), plan)].into_iter().chain(next).chain(sets).collect()
    }

    /// The node says which resources it enforces.
    pub fn have(&mut self, have: &Have) {
        if std::mem::take(&mut self.asked) {
            self.unnamed = None;
            self.held = resources(&have.resources);
        }
    }

    /// The node has not got all of the sets in the update in flight.
    pub fn want(&mut self, want: &Want) {
        if let Some(current) = self.in_flight.as_mut().filter(|current| current.nonce == want.nonce) {
            current.shards.ask(&want.hashes);
        }
    }

    pub fn owes_shards(&self) -> bool {
        self.in_flight.as_ref().is_some_and(|current| current.shards.is_open())
    }

    /// The next of what the node wants.
    pub fn shards(&mut self) -> Option<Shards> {
        self.in_flight.as_mut()?.shards.next()
    }

    /// Final verdicts on all of the update in flight make room for the next. What was rejected leaves the node on what
    /// it had, so the next epoch offers it whole again.
    pub fn hear(&mut self, verdicts: &Verdicts) {
        let Some(current) = self.in_flight.as_mut().filter(|current| current.nonce == verdicts.nonce) else {
            // It may have turned to a successor by itself.
            let is_plan = |one: &&ResourceVerdict| one.key == PLAN && one.stage() == VerdictStage::Programmed;
            let plan = verdicts.resources.iter().find(is_plan);
            plan.and_then(|plan| Hash::from_slice(&plan.hash)).inspect(|hash| turn(&mut self.held, *hash));
            return;
        };
        for resource in verdicts.resources.iter().filter(|resource| is_final(resource)) {
            current.open.remove(&resource.key);
            match (resource.stage(), Hash::from_slice(&resource.hash)) {
                (VerdictStage::Programmed | VerdictStage::Accepted, Some(hash)) => {
                    self.held.insert(resource.key.clone(), hash);
                }
                // It could not make sense of the whole, so nothing is known of its parts.
                _ if resource.reason == "HashMismatch" => {
                    self.held.insert(resource.key.clone(), Hash::default());
                }
                _ => {}
            }
        }
        // A node that refuses the plan need not say more of the sets that came for it.
        let refused = |resource: &ResourceVerdict| {
            resource.key == PLAN && is_final(resource) && resource.stage() != VerdictStage::Programmed
        };
        if current.open.is_empty() || verdicts.resources.iter().any(refused) {
            self.in_flight = None;
            let named = |key: &String| verdicts.resources.iter().any(|resource| resource.key == *key);
            self.held.retain(|key, _| named(key));
        }
    }
}

fn resources(said: &HashMap<String, Vec<u8>>) -> BTreeMap<String, Hash> {
    said.iter().filter_map(|(key, hash)| Some((key.clone(), Hash::from_slice(hash)?))).collect()
}

/// What is held once the plan has come to the successor with this hash, if it is one that is held.
fn turn(held: &mut BTreeMap<String, Hash>, plan: Hash) {
    let moments = held.iter().filter(|(_, hash)| **hash == plan).filter_map(|(key, _)| moment_of(key));
    let Some(moment) = moments.min().filter(|_| held.get(PLAN) != Some(&plan)) else { return };
    held.retain(|key, _| moment_of(key).is_none_or(|at| at > moment));
    held.insert(PLAN.to_owned(), plan);
}

fn is_final(verdict: &ResourceVerdict) -> bool {
    match verdict.stage() {
        VerdictStage::Programmed | VerdictStage::Rejected | VerdictStage::RolledBack => true,
        // Its turn in the kernel comes without a word.
        VerdictStage::Accepted => moment_of(&verdict.key).is_some(),
        VerdictStage::Unspecified => false,
    }
}

struct Wanted {
    key: String,
    hash: Hash,
    bytes: Bytes,
    /// Of a plan.
    schema: u32,
}

impl Wanted {
    fn resource(&self) -> Resource {
        let Wanted { key, hash, bytes, schema } = self;
        Resource { key: key.clone(), hash: hash.0.to_vec(), bytes: bytes.clone(), schema: *schema }
    }
}

#[cfg(test)]
mod tests;
