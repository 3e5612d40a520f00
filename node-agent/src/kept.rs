//! The plan on disk, as far as it is still what the operator signed.

use std::sync::Arc;

use sluice_plan::{Hash, fleet_hash};
use sluice_proto::{PLAN as PLAN_KEY, set_key, successor_key};
use sluice_seal::{Statement, Trust};
use sluice_store::{PLAN, SEAL, SETS, SUCCESSORS, Store, StoredPlan, StoredSuccessors};

use crate::Config;
use crate::engine::sets::Manifests;
use crate::engine::standing::Origin;
use crate::records::CLUSTER;
use crate::succession::{Named, Succession};

/// Confirmed before this process began, and proven again.
pub struct Kept {
    pub origin: Origin,
    pub succession: Succession,
    pub manifests: Manifests,
}

/// `None` where there is none that may be loaded: the operator is asked for it, and what is attached goes on meanwhile.
///
/// # Errors
/// The store cannot be read.
pub fn read(config: &Config, store: &Store) -> sluice_store::Result<Option<Kept>> {
    let Some(stored) = store.get(PLAN)? else { return Ok(None) };
    let epoch = stored.epoch;
    let origin = Origin {
        cluster: store.get(CLUSTER)?.unwrap_or_default(),
        epoch,
        seal: store.get(SEAL)?.unwrap_or_default(),
    };
    let manifests = store.get(SETS)?.unwrap_or_default();
    let successors = store.get(SUCCESSORS)?.unwrap_or_default();
    match proven(config, &origin, &stored, &successors, &manifests) {
        Ok(succession) => Ok(Some(Kept { origin, succession, manifests })),
        Err(reason) => {
            tracing::error!(%epoch, "the plan on disk is not loaded, the operator is asked for it: {reason}");
            Ok(None)
        }
    }
}

/// The plan, in the encoding that it was signed in, with what follows it. A version that knows no successors may have left
/// some that are not this plan's.
///
/// # Errors
/// Why it is not what the operator signed.
pub fn proven(
    config: &Config,
    origin: &Origin,
    stored: &StoredPlan,
    successors: &StoredSuccessors,
    manifests: &Manifests,
) -> Result<Succession, String> {
    let ca = std::fs::read_to_string(&config.ca);
    let ca = ca.map_err(|error| format!("--ca {}: {error}", config.ca.display()))?;
    let trust = Trust::from_pem(&ca).map_err(|error| format!("--ca {}: {error}", config.ca.display()))?;
    let mut reason = "it is another version's".to_owned();
    for successors in [successors, &StoredSuccessors::default()] {
        let fleet_hash = signed_together(stored, successors, manifests);
        for plan in stored.plans() {
            let statement = Statement {
                cluster_id: &origin.cluster,
                node: &config.node,
                epoch: origin.epoch,
                fleet_hash,
                schema: plan.schema.number(),
            };
            match trust.verify_kept(&statement, &origin.seal) {
                Ok(()) => {
                    let first = Named { hash: stored.hash, plan: Arc::new(plan) };
                    return Succession::read(first, successors).map_err(|error| error.to_string());
                }
                Err(refused) => reason = refused.to_string(),
            }
        }
    }
    Err(reason)
}

fn signed_together(stored: &StoredPlan, successors: &StoredSuccessors, manifests: &Manifests) -> Hash {
    let sets = manifests.iter().map(|(name, bytes)| (set_key(name), Hash::of(bytes)));
    let next = successors.next.iter().map(|(at, bytes)| (successor_key(*at), Hash::of(bytes)));
    let resources: Vec<_> = sets.chain(next).chain([(PLAN_KEY.to_owned(), stored.hash)]).collect();
    fleet_hash(resources.iter().map(|(key, hash)| (key.as_str(), *hash)))
}
