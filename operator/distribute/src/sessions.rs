//! Which stream is a node's. The newest wins: an agent that restarted is back before its old stream is seen to end.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

#[derive(Clone, Default)]
pub struct Sessions(Arc<Mutex<Table>>);

#[derive(Default)]
struct Table {
    last: u64,
    current: HashMap<String, (u64, CancellationToken)>,
}

/// A node's place; leaves it when dropped.
pub struct Session {
    pub id: u64,
    /// Cancelled when a newer stream of the node takes over.
    pub superseded: CancellationToken,
    node: String,
    sessions: Sessions,
}

impl Sessions {
    pub fn enter(&self, node: &str) -> Session {
        let mut table = self.lock();
        table.last += 1;
        let id = table.last;
        let superseded = CancellationToken::new();
        if let Some((_, old)) = table.current.insert(node.to_owned(), (id, superseded.clone())) {
            old.cancel();
        }
        Session { id, superseded, node: node.to_owned(), sessions: self.clone() }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // No code that can panic runs under the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Entry::Occupied(entry) = self.sessions.lock().current.entry(self.node.clone())
            && entry.get().0 == self.id
        {
            entry.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_stream_of_a_node_wins() {
        let sessions = Sessions::default();
        let old = sessions.enter("edge-1");
        let other = sessions.enter("edge-2");
        let new = sessions.enter("edge-1");
        assert!(old.superseded.is_cancelled());
        assert!(!new.superseded.is_cancelled() && !other.superseded.is_cancelled());
        assert!(new.id > old.id);
        drop(old);
        let newest = sessions.enter("edge-1");
        assert!(new.superseded.is_cancelled(), "the late end of an old stream does not evict the new one");
        drop((new, newest, other));
        assert!(sessions.lock().current.is_empty());
    }
}
