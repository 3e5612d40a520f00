//! The plan on disk, as far as it is still what the operator signed.

use sluice_plan::{Hash, NodePlan, fleet_hash};
use sluice_proto::{PLAN as PLAN_KEY, set_key};
use sluice_seal::{Statement, Trust};
use sluice_store::{PLAN, SEAL, SETS, Store, StoredPlan};

use crate::Config;
use crate::engine::sets::Manifests;
use crate::engine::standing::Origin;
use crate::records::CLUSTER;

/// Confirmed before this process began, and proven again.
pub struct Kept {
    pub origin: Origin,
    pub hash: Hash,
    pub plan: NodePlan,
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
    match proven(config, &origin, &stored, &manifests) {
        Ok(plan) => Ok(Some(Kept { origin, hash: stored.hash, plan, manifests })),
        Err(reason) => {
            tracing::error!(%epoch, "the plan on disk is not loaded, the operator is asked for it: {reason}");
            Ok(None)
        }
    }
}

/// The plan, in the encoding that it was signed in.
///
/// # Errors
/// Why it is not what the operator signed.
pub fn proven(
    config: &Config,
    origin: &Origin,
    stored: &StoredPlan,
    manifests: &Manifests,
) -> Result<NodePlan, String> {
    let ca = std::fs::read_to_string(&config.ca);
    let ca = ca.map_err(|error| format!("--ca {}: {error}", config.ca.display()))?;
    let trust = Trust::from_pem(&ca).map_err(|error| format!("--ca {}: {error}", config.ca.display()))?;
    let sets = manifests.iter().map(|(name, bytes)| (set_key(name), Hash::of(bytes)));
    let resources: Vec<_> = sets.chain([(PLAN_KEY.to_owned(), stored.hash)]).collect();
    let fleet_hash = fleet_hash(resources.iter().map(|(key, hash)| (key.as_str(), *hash)));
    let mut reason = "it is another version's".to_owned();
    for plan in stored.plans() {
        let statement = Statement {
            cluster_id: &origin.cluster,
            node: &config.node,
            epoch: origin.epoch,
            fleet_hash,
            schema: plan.schema.number(),
        };
        match trust.verify_kept(&statement, &origin.seal) {
            Ok(()) => return Ok(plan),
            Err(refused) => reason = refused.to_string(),
        }
    }
    Err(reason)
}
