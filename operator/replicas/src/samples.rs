//! Samples of drops that somebody watches at the replica that decides.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::future::select_all;
use sluice_distribute::{Drops, NodeBatch, Watcher};
use sluice_proto::v1::SampleBatch;
use tokio::sync::watch;

/// Follows what is watched there, here.
pub struct Watched {
    drops: Drops,
    wanted: watch::Receiver<BTreeSet<String>>,
    watchers: Vec<Watcher>,
}

impl Watched {
    pub fn new(drops: Drops, wanted: watch::Receiver<BTreeSet<String>>) -> Watched {
        Watched { drops, wanted, watchers: Vec::new() }
    }

    /// The next batch, with what was missed before it counted in; never, once nobody can watch any more.
    pub async fn next(&mut self) -> (String, SampleBatch) {
        loop {
            tokio::select! {
                biased;
                changed = self.wanted.changed() => match changed {
                    Ok(()) => self.follow(),
                    Err(_) => std::future::pending().await,
                },
                (found, missed) = next(&mut self.watchers) => {
                    let batch = SampleBatch { lost: found.batch.lost + missed, ..found.batch.clone() };
                    return (found.node.clone(), batch);
                }
            }
        }
    }

    fn follow(&mut self) {
        let wanted = self.wanted.borrow_and_update().clone();
        // Who watches all of them gets each sample once.
        let nodes = if wanted.contains("") { BTreeSet::from([String::new()]) } else { wanted };
        self.watchers = nodes.iter().filter_map(|node| self.drops.watch(node)).collect();
    }
}

async fn next(watchers: &mut [Watcher]) -> (Arc<NodeBatch>, u64) {
    if watchers.is_empty() {
        std::future::pending::<()>().await;
    }
    let each = watchers.iter_mut().map(|watcher| Box::pin(watcher.next()));
    select_all(each).await.0
}
