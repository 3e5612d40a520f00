//! Whether an update may be taken: whole, unaltered, and not older than what is enforced.

use std::collections::BTreeMap;

use bytes::Bytes;
use sluice_address_set::Damaged;
use sluice_plan::{Epoch, Hash, SCHEMA};
use sluice_proto::{PLAN, v1};

use crate::Held;

/// An update whose hashes hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    pub nonce: u64,
    pub epoch: Epoch,
    pub cluster_id: String,
    /// Key, hash and bytes of each resource that differs from what is held.
    pub set: Vec<(String, Hash, Bytes)>,
    pub removed: Vec<String>,
}

/// Why an update is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the update names no epoch")]
    NoEpoch,
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
        "the plan is in encoding {found}, this agent reads {SCHEMA}: update the older of agent and operator"
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

pub(crate) fn verify(update: &v1::Update, held: &Held) -> Result<Update, Refusal> {
    let epoch = update.epoch.map(Epoch::from).ok_or(Refusal::NoEpoch)?;
    no_time_travel(update, epoch, held)?;
    let set = update.set.iter().map(resource).collect::<Result<Vec<_>, _>>()?;
    let mut after = held.resources.clone();
    update.removed.iter().for_each(|key| _ = after.remove(key));
    after.extend(set.iter().map(|(key, hash, _)| (key.clone(), *hash)));
    let after = Held { resources: after, ..Held::default() };
    if update.fleet_hash != after.fleet_hash().0 {
        return Err(Refusal::FleetHash);
    }
    let (cluster_id, removed) = (update.cluster_id.clone(), update.removed.clone());
    Ok(Update { nonce: update.nonce, epoch, cluster_id, set, removed })
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

fn resource(resource: &v1::Resource) -> Result<(String, Hash, Bytes), Refusal> {
    let hash = Hash::of(&resource.bytes);
    if resource.hash != hash.0 {
        return Err(Refusal::Altered { key: resource.key.clone() });
    }
    if resource.key == PLAN && resource.schema != SCHEMA {
        return Err(Refusal::Schema { found: resource.schema });
    }
    Ok((resource.key.clone(), hash, resource.bytes.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(incarnation: u64, index: u64) -> Epoch {
        Epoch { incarnation, term: 1, index }
    }

    fn held(epoch: Epoch) -> Held {
        Held {
            cluster_id: "a".into(),
            epoch: Some(epoch),
            resources: [("old".into(), Hash::of(b"old"))].into(),
        }
    }

    /// Replaces `old` by `plan`.
    fn update(epoch: Epoch) -> v1::Update {
        let after = Held { resources: [("plan".into(), Hash::of(b"new"))].into(), ..Held::default() };
        let resource = v1::Resource {
            key: "plan".into(),
            hash: Hash::of(b"new").0.into(),
            bytes: Bytes::from_static(b"new"),
            schema: SCHEMA,
        };
        v1::Update {
            epoch: Some(epoch.into()),
            nonce: 7,
            set: vec![resource],
            removed: vec!["old".into()],
            fleet_hash: after.fleet_hash().0.into(),
            signature: Vec::new(),
            cluster_id: "a".into(),
        }
    }

    #[test]
    fn a_whole_and_newer_update_is_taken() {
        let taken = verify(&update(at(1, 6)), &held(at(1, 5))).expect("a good update");
        assert_eq!((taken.nonce, taken.epoch, taken.set[0].0.as_str()), (7, at(1, 6), "plan"));
        assert!(
            verify(&update(at(1, 5)), &held(at(1, 5))).is_ok(),
            "the same epoch again is no travel in time"
        );
        let virgin = Held { resources: held(at(0, 0)).resources, ..Held::default() };
        assert!(verify(&update(at(0, 0)), &virgin).is_ok(), "a node without an epoch takes any");
    }

    #[test]
    fn an_older_epoch_is_refused_and_named() {
        let refusal = verify(&update(at(1, 4)), &held(at(1, 5))).expect_err("older");
        assert_eq!(refusal, Refusal::StaleEpoch { offered: at(1, 4), held: at(1, 5) });
        let verdicts = refusal.verdicts(&update(at(1, 4)), &held(at(1, 5)));
        let keys: Vec<_> = verdicts.resources.iter().map(|resource| resource.key.as_str()).collect();
        assert_eq!(keys, ["old", "plan"]);
        assert_eq!(verdicts.resources[1].stage(), v1::VerdictStage::Rejected);
        assert_eq!(verdicts.resources[1].detail, "epoch 1.1.4 is older than 1.1.5, which is enforced");
    }

    #[test]
    fn another_store_needs_a_higher_incarnation() {
        let other = |epoch| v1::Update { cluster_id: "b".into(), ..update(epoch) };
        let refusal = verify(&other(at(1, 900)), &held(at(1, 5))).expect_err("another store");
        assert_eq!(refusal.reason(), "OtherStore");
        assert!(verify(&other(at(2, 1)), &held(at(1, 5))).is_ok());
    }

    #[test]
    fn altered_bytes_are_refused() {
        let mut altered = update(at(1, 6));
        altered.set[0].bytes = Bytes::from_static(b"neW");
        assert_eq!(verify(&altered, &held(at(1, 5))), Err(Refusal::Altered { key: "plan".into() }));
    }

    #[test]
    fn a_plan_in_another_encoding_is_refused() {
        let mut other = update(at(1, 6));
        other.set[0].schema = 0;
        let refusal = verify(&other, &held(at(1, 5))).expect_err("a plan that this agent would misread");
        assert_eq!((&refusal, refusal.reason()), (&Refusal::Schema { found: 0 }, "UnknownSchema"));
    }

    #[test]
    fn the_whole_is_checked_too() {
        let mut partial = update(at(1, 6));
        partial.removed.clear();
        assert_eq!(verify(&partial, &held(at(1, 5))), Err(Refusal::FleetHash));
    }
}
