//! Whether an update may be taken: the operator's, whole, unaltered, and not older than what is enforced.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use bytes::Bytes;
use sluice_address_set::Damaged;
use sluice_plan::{Epoch, Hash, Schema};
use sluice_proto::{PLAN, v1};
use sluice_seal::{Refused, Seal, Statement, Trust};

use crate::Held;

/// An update whose signature and hashes hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    pub nonce: u64,
    pub epoch: Epoch,
    pub cluster_id: String,
    /// Proves the whole that is held after it.
    pub seal: Seal,
    /// Of the plan, whether it is among `set` or was held before.
    pub schema: Schema,
    /// Key, hash and bytes of each resource that differs from what is held.
    pub set: Vec<(String, Hash, Bytes)>,
    pub removed: Vec<String>,
    /// Which of [`Held::steps`] it goes by: how many successors took their turn before it.
    pub step: usize,
    /// Trace contexts of the edits that it brings.
    pub traces: Vec<String>,
}

/// Why an update is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the update names no epoch")]
    NoEpoch,
    #[error("this update is not the operator's: {0}")]
    Seal(Refused),
    #[error("epoch {offered} is older than {held}, which is enforced")]
    StaleEpoch { offered: Epoch, held: Epoch },
    #[error(
        "epoch {offered} is of store `{from}`, but {held} of store `{of}` is enforced: run `kubectl sluice recover`"
    )]
    OtherStore { offered: Epoch, from: String, held: Epoch, of: String },
    #[error("resource `{key}` does not have the hash that it is sent with")]
    Altered { key: String },
    #[error("the update does not lead to the fleet hash that it names")]
    FleetHash,
    #[error(
        "the plan is in encoding {found}, this agent reads {}: update the older of agent and operator",
        Schema::ALL.map(|schema| schema.to_string()).join(" and ")
    )]
    Schema { found: u32 },
    #[error("address set `{key}`: {problem}")]
    Set { key: String, problem: Damaged },
    #[error("shard {0} does not have the hash that it is sent with")]
    AlteredShard(Hash),
    #[error("the address sets' shards cannot be kept: {0}")]
    NotKept(String),
}

impl Refusal {
    /// As conditions have it.
    pub fn reason(&self) -> &'static str {
        match self {
            Refusal::NoEpoch => "InvalidUpdate",
            Refusal::Seal(Refused::Unsigned) => "Unsigned",
            Refusal::Seal(Refused::Foreign(_)) => "ForeignSigner",
            Refusal::Seal(Refused::Expired) => "SignerExpired",
            Refusal::Seal(Refused::Altered) => "BadSignature",
            Refusal::StaleEpoch { .. } => "StaleEpoch",
            Refusal::OtherStore { .. } => "OtherStore",
            Refusal::Altered { .. } | Refusal::AlteredShard(_) | Refusal::FleetHash => "HashMismatch",
            Refusal::Schema { .. } => "UnknownSchema",
            Refusal::Set { .. } => "InvalidSet",
            Refusal::NotKept(_) => "StateNotKept",
        }
    }

    /// The answer to the operator: every resource is rejected, what is enforced stays. An update that sets none is
    /// about those that are held.
    pub(crate) fn verdicts(&self, update: &v1::Update, held: &Held) -> v1::Verdicts {
        let set = update.set.iter().map(|resource| (resource.key.clone(), resource.hash.clone()));
        let held = held.resources.iter().map(|(key, hash)| (key.clone(), hash.0.to_vec()));
        let resources: BTreeMap<_, _> = held.chain(set).collect();
        let resource = |(key, hash)| v1::ResourceVerdict {
            key,
            hash,
            stage: v1::VerdictStage::Rejected.into(),
            reason: self.reason().into(),
            detail: self.to_string(),
            ..v1::ResourceVerdict::default()
        };
        v1::Verdicts {
            nonce: update.nonce,
            epoch: update.epoch,
            resources: resources.into_iter().map(resource).collect(),
        }
    }
}

/// By which an update is judged.
pub(crate) struct Judge<'a> {
    pub node: &'a str,
    pub trust: &'a Trust,
    /// Certificate of updates that bring none.
    pub signer: &'a [u8],
    pub now: SystemTime,
}

impl Judge<'_> {
    /// The signature first: nothing else of what a stranger sent is worth a look.
    pub fn verify(&self, update: &v1::Update, held: &Held) -> Result<Update, Refusal> {
        let epoch = update.epoch.map(Epoch::from).ok_or(Refusal::NoEpoch)?;
        let number = schema(update, held);
        let seal = self.proven(update, epoch, number)?;
        no_time_travel(update, epoch, held)?;
        let schema = Schema::numbered(number).ok_or(Refusal::Schema { found: number })?;
        let set = update.set.iter().map(resource).collect::<Result<Vec<_>, _>>()?;
        let keys: BTreeSet<&str> = set.iter().map(|(key, ..)| key.as_str()).collect();
        if keys.len() != set.len() {
            // The fleet hash proves one of each.
            return Err(Refusal::FleetHash);
        }
        let step = step(update, &set, held).ok_or(Refusal::FleetHash)?;
        let (cluster_id, removed) = (update.cluster_id.clone(), update.removed.clone());
        Ok(Update {
            nonce: update.nonce,
            epoch,
            cluster_id,
            seal,
            schema,
            set,
            removed,
            step,
            traces: update.traces.clone(),
        })
    }

    fn proven(&self, update: &v1::Update, epoch: Epoch, schema: u32) -> Result<Seal, Refusal> {
        let certificate = if update.signer.is_empty() { self.signer } else { &update.signer };
        let seal = Seal { certificate: certificate.to_vec(), signature: update.signature.clone() };
        let fleet_hash = Hash::from_slice(&update.fleet_hash).ok_or(Refusal::FleetHash)?;
        let cluster_id = &update.cluster_id;
        let statement = Statement { cluster_id, node: self.node, epoch, fleet_hash, schema };
        self.trust.verify(&statement, &seal, self.now).map_err(Refusal::Seal)?;
        Ok(seal)
    }
}

/// Epochs of one store are ordered; another store must have taken a higher incarnation.
fn no_time_travel(update: &v1::Update, offered: Epoch, held: &Held) -> Result<(), Refusal> {
    let Some(now) = held.epoch else { return Ok(()) };
    let other = !held.cluster_id.is_empty() && held.cluster_id != update.cluster_id;
    if other && offered.incarnation <= now.incarnation {
        let (from, of) = (update.cluster_id.clone(), held.cluster_id.clone());
        return Err(Refusal::OtherStore { offered, from, held: now, of });
    }
    if offered < now {
        return Err(Refusal::StaleEpoch { offered, held: now });
    }
    Ok(())
}

/// Number of the encoding of the plan that is in force after the update.
fn schema(update: &v1::Update, held: &Held) -> u32 {
    let plan = update.set.iter().find(|resource| resource.key == PLAN);
    plan.map_or(held.schema.number(), |plan| plan.schema)
}

/// From where the update leads to the fleet hash that it names. The operator may not have heard yet that a successor took its
/// turn, or may say so before the node's own clock does.
fn step(update: &v1::Update, set: &[(String, Hash, Bytes)], held: &Held) -> Option<usize> {
    let leads = |resources: &BTreeMap<String, Hash>| {
        let mut after = resources.clone();
        update.removed.iter().for_each(|key| _ = after.remove(key));
        after.extend(set.iter().map(|(key, hash, _)| (key.clone(), *hash)));
        update.fleet_hash == Held { resources: after, ..Held::default() }.fleet_hash().0
    };
    if leads(&held.resources) { Some(held.step) } else { held.steps.iter().position(leads) }
}

fn resource(resource: &v1::Resource) -> Result<(String, Hash, Bytes), Refusal> {
    let hash = Hash::of(&resource.bytes);
    if resource.hash != hash.0 {
        return Err(Refusal::Altered { key: resource.key.clone() });
    }
    Ok((resource.key.clone(), hash, resource.bytes.clone()))
}

#[cfg(test)]
mod tests;
