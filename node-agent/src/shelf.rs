//! The client's shards in the agent's store.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use sluice_client::Shelf;
use sluice_plan::Hash;
use sluice_store::Store;

pub struct StoreShelf {
    store: Arc<Store>,
    /// Of the update that is on its way.
    awaited: Mutex<BTreeSet<Hash>>,
}

impl StoreShelf {
    pub fn new(store: Arc<Store>) -> StoreShelf {
        StoreShelf { store, awaited: Mutex::default() }
    }

    /// Forgets the shards of sets that are no longer in force. Those of an update that is on its way stay.
    pub fn forget_all_but(&self, used: BTreeSet<Hash>) {
        let awaited = self.lock();
        let kept = awaited.union(&used).copied().collect();
        if let Err(error) = self.store.retain_shards(&kept) {
            tracing::warn!(%error, "shards of former address sets stay on disk");
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<Hash>> {
        // No code that can panic runs under the lock.
        self.awaited.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelf for StoreShelf {
    fn missing(&self, shards: &[Hash]) -> Result<Vec<Hash>, String> {
        let mut awaited = self.lock();
        *awaited = shards.iter().copied().collect();
        self.store.missing_shards(shards).map_err(|error| error.to_string())
    }

    fn put(&self, shards: &[(Hash, Bytes)]) -> Result<(), String> {
        self.store.put_shards(shards).map_err(|error| error.to_string())
    }
}
