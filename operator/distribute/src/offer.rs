//! What one agent is sent next: pure, one per stream.

use sluice_plan::{Epoch, Hash, fleet_hash};
use sluice_proto::v1::{Resource, Update, VerdictStage, Verdicts};
use sluice_raft::State;

use crate::fence::to_wire;

/// The protocol's name of a node's plan.
pub const PLAN: &str = "plan";

pub struct Offer {
    node: String,
    cluster_id: String,
    /// Over what the node enforces, as far as it has said so.
    enforced: Option<Hash>,
    /// Of the last update on this stream.
    sent: Option<Epoch>,
    in_flight: Option<InFlight>,
    nonce: u64,
}

struct InFlight {
    nonce: u64,
    plan: Hash,
    fleet: Hash,
}

impl Offer {
    /// `fleet_hash` is the Hello's; empty for a node that enforces nothing.
    pub fn new(node: String, cluster_id: String, fleet_hash: &[u8]) -> Offer {
        let enforced = Hash::from_slice(fleet_hash);
        Offer { node, cluster_id, enforced, sent: None, in_flight: None, nonce: 0 }
    }

    /// Whether [`Offer::next`] would give an update.
    pub fn is_due(&self, state: &State) -> bool {
        self.in_flight.is_none() && self.sent != Some(state.epoch) && state.plan_of(&self.node).is_some()
    }

    pub fn waits_for_verdict(&self) -> bool {
        self.in_flight.is_some()
    }

    /// The newest state for this node. Each stream hears every epoch at least once, so that the node confirms what it
    /// enforces; the plan itself only goes to a node that does not enforce it.
    pub fn next(&mut self, state: &State) -> Option<Update> {
        if !self.is_due(state) {
            return None;
        }
        let (_, plan) = state.plan_of(&self.node)?;
        let fleet = fleet_hash([(PLAN, plan.hash)]);
        let resource =
            || Resource { key: PLAN.into(), hash: plan.hash.0.to_vec(), bytes: plan.bytes.clone() };
        self.nonce += 1;
        self.sent = Some(state.epoch);
        self.in_flight = Some(InFlight { nonce: self.nonce, plan: plan.hash, fleet });
        Some(Update {
            epoch: Some(to_wire(state.epoch)),
            nonce: self.nonce,
            set: if self.enforced == Some(fleet) { Vec::new() } else { vec![resource()] },
            removed: Vec::new(),
            fleet_hash: fleet.0.to_vec(),
            signature: Vec::new(),
            cluster_id: self.cluster_id.clone(),
        })
    }

    /// A final verdict on the update in flight makes room for the next. A rejected plan leaves the node on what it had,
    /// so the next epoch offers its plan whole again.
    pub fn hear(&mut self, verdicts: &Verdicts) {
        let Some(current) = self.in_flight.take_if(|current| current.nonce == verdicts.nonce) else { return };
        let plan = verdicts.resources.iter().find(|resource| resource.key == PLAN);
        match plan.map(|plan| (plan.stage(), Hash::from_slice(&plan.hash))) {
            Some((VerdictStage::Programmed, hash)) => {
                self.enforced = (hash == Some(current.plan)).then_some(current.fleet);
            }
            Some((VerdictStage::Rejected | VerdictStage::RolledBack, _)) => {}
            Some((VerdictStage::Accepted | VerdictStage::Unspecified, _)) | None => {
                self.in_flight = Some(current)
            }
        }
    }
}

#[cfg(test)]
mod tests;
