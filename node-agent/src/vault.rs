//! The client's identity in the agent's store.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use sluice_client::{Identity, Vault};
use sluice_store::{IDENTITY, Store};

pub struct StoreVault(pub Arc<Store>);

impl Vault for StoreVault {
    fn load(&self) -> Option<Identity> {
        let kept =
            self.0.get(IDENTITY).inspect_err(|error| tracing::warn!(%error, "no certificate from the store"));
        let kept = kept.ok().flatten()?;
        Some(Identity { certificate: kept.certificate, private_key: kept.private_key })
    }

    /// Without it the agent goes on and needs its token once more after a restart.
    fn save(&self, identity: &Identity) {
        let not_after = identity.not_after().unwrap_or(UNIX_EPOCH).duration_since(UNIX_EPOCH);
        let kept = sluice_store::Identity {
            certificate: identity.certificate.clone(),
            private_key: identity.private_key.clone(),
            authorities: String::new(),
            not_after: not_after.unwrap_or(Duration::ZERO).as_secs().try_into().unwrap_or(i64::MAX),
        };
        if let Err(error) = self.0.put(IDENTITY, &kept) {
            tracing::warn!(%error, "the certificate could not be kept");
        }
    }
}
