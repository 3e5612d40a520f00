//! A blob as it was read last.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use serde::de::DeserializeOwned;
use sluice_plan::decode;

/// What was read last, and from which bytes: each of thousands of streams asks for its plan after an edit. Nothing that is
/// agreed on, so it is equal to every other.
pub struct LastRead<T>(Arc<Mutex<(Bytes, Arc<T>)>>);

impl<T: DeserializeOwned + Default> LastRead<T> {
    /// The default of what cannot be read.
    pub(crate) fn of(&self, bytes: &Bytes) -> Arc<T> {
        // No code that can panic runs under the lock.
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The same memory, as long as it is held here.
        if last.0.as_ptr() != bytes.as_ptr() || last.0.len() != bytes.len() {
            *last = (bytes.clone(), Arc::new(decode(bytes).unwrap_or_default()));
        }
        last.1.clone()
    }
}

impl<T: Default> Default for LastRead<T> {
    fn default() -> Self {
        LastRead(Arc::default())
    }
}

impl<T> Clone for LastRead<T> {
    fn clone(&self) -> Self {
        LastRead(self.0.clone())
    }
}

impl<T> PartialEq for LastRead<T> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl<T> Eq for LastRead<T> {}

impl<T> fmt::Debug for LastRead<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LastRead").finish_non_exhaustive()
    }
}
