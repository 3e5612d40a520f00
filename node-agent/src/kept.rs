//! The plan on disk, as far as it is still what the operator signed.

use sluice_plan::{Hash, NodePlan, fleet_hash};
use sluice_proto::{PLAN as PLAN_KEY, set_key};
use sluice_seal::{Statement, Trust};
use sluice_store::{PLAN, SEAL, SETS, Store};

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
    let Some(plan) = stored.plan() else {
        tracing::warn!(%epoch, "the plan on disk is another version's; the operator is asked for it");
        return Ok(None);
    };
    let origin = Origin {
        cluster: store.get(CLUSTER)?.unwrap_or_default(),
        epoch,
        seal: store.get(SEAL)?.unwrap_or_default(),
    };
    let kept = Kept { origin, hash: stored.hash, plan, manifests: store.get(SETS)?.unwrap_or_default() };
    if let Err(reason) = kept.prove(config) {
        tracing::error!(%epoch, "the plan on disk is not loaded, the operator is asked for it: {reason}");
        return Ok(None);
    }
    Ok(Some(kept))
}

impl Kept {
    /// # Errors
    /// Why it is not what the operator signed.
    pub fn prove(&self, config: &Config) -> Result<(), String> {
        let ca = std::fs::read_to_string(&config.ca);
        let ca = ca.map_err(|error| format!("--ca {}: {error}", config.ca.display()))?;
        let trust = Trust::from_pem(&ca).map_err(|error| format!("--ca {}: {error}", config.ca.display()))?;
        let sets = self.manifests.iter().map(|(name, bytes)| (set_key(name), Hash::of(bytes)));
        let resources: Vec<_> = sets.chain([(PLAN_KEY.to_owned(), self.hash)]).collect();
        let statement = Statement {
            cluster_id: &self.origin.cluster,
            node: &config.node,
            epoch: self.origin.epoch,
            fleet_hash: fleet_hash(resources.iter().map(|(key, hash)| (key.as_str(), *hash))),
        };
        trust.verify_kept(&statement, &self.origin.seal).map_err(|refused| refused.to_string())
    }
}
