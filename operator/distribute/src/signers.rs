//! The key that signs, read once for all streams.

use std::sync::{Arc, Mutex, PoisonError};

use sluice_raft::{Bytes, State};
use sluice_seal::Signer;

#[derive(Default)]
pub struct Signers(Mutex<Option<(Bytes, Option<Arc<Signer>>)>>);

impl Signers {
    /// `None` as long as the state has none, or one of a later version.
    pub fn of(&self, state: &State) -> Option<Arc<Signer>> {
        let stored = state.signer()?;
        // No code that can panic runs under the lock.
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, signer)) = last.as_ref().filter(|(bytes, _)| bytes == stored) {
            return signer.clone();
        }
        let signer = Signer::decode(stored).map(Arc::new);
        if signer.is_none() {
            tracing::error!(
                "the key that signs plans cannot be read: nothing is sent to agents until it is replaced"
            );
        }
        *last = Some((stored.clone(), signer.clone()));
        signer
    }
}
