//! Samples of dropped packets, from the streams to whoever watches. They go beside the events, and whoever is slow loses
//! some and is told how many, so that no flood of them holds up anything.

mod asking;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use sluice_proto::v1::SampleBatch;
use tokio::sync::{broadcast, watch};

pub(crate) use asking::Asking;

/// Batches of all nodes that wait for a watcher.
const WAITING: usize = 256;
/// Each has what it watches sent to it: a bound on memory and on the network.
const WATCHERS: usize = 32;

/// Where streams leave samples and watchers find them.
#[derive(Clone, Debug)]
pub struct Drops {
    /// The node that each watches; empty for all of them.
    watchers: watch::Sender<HashMap<u64, String>>,
    feed: broadcast::Sender<Arc<NodeBatch>>,
    count: Arc<Mutex<Count>>,
}

#[derive(Debug, Default)]
struct Count {
    watchers: u64,
    samples: u64,
}

#[derive(Debug)]
pub struct NodeBatch {
    pub node: String,
    pub batch: SampleBatch,
    /// Samples that were published before it, those of all nodes.
    before: u64,
}

/// While it lives, the nodes are asked for samples.
pub struct Watcher {
    id: u64,
    node: String,
    drops: Drops,
    feed: broadcast::Receiver<Arc<NodeBatch>>,
    /// Samples that were published, as far as it has seen.
    seen: u64,
    /// Of those, what it has not got and was not told of yet.
    missed: u64,
}

impl NodeBatch {
    /// One that was never published.
    pub fn new(node: &str, batch: SampleBatch) -> NodeBatch {
        NodeBatch { node: node.to_owned(), batch, before: 0 }
    }
}

impl Default for Drops {
    fn default() -> Drops {
        let (watchers, feed) = (watch::Sender::default(), broadcast::Sender::new(WAITING));
        Drops { watchers, feed, count: Arc::default() }
    }
}

impl Drops {
    /// Begins to watch a node, or all of them; `None` if too many do.
    pub fn watch(&self, node: &str) -> Option<Watcher> {
        let (id, seen, feed) = self.count(|count| {
            count.watchers += 1;
            (count.watchers, count.samples, self.feed.subscribe())
        });
        let is_in = self.watchers.send_if_modified(|watchers| {
            let has_room = watchers.len() < WATCHERS;
            if has_room {
                watchers.insert(id, node.to_owned());
            }
            has_room
        });
        is_in.then(|| Watcher { id, node: node.to_owned(), drops: self.clone(), feed, seen, missed: 0 })
    }

    /// The nodes that are watched, by watcher; empty for all of them.
    pub fn watched(&self) -> watch::Receiver<HashMap<u64, String>> {
        self.watchers.subscribe()
    }

    /// Gives samples of a node to whoever watches it.
    pub fn publish(&self, node: &str, batch: SampleBatch) {
        self.count(|count| {
            let before = count.samples;
            count.samples += batch.samples.len() as u64;
            // Without a watcher nobody misses it.
            _ = self.feed.send(Arc::new(NodeBatch { node: node.to_owned(), batch, before }));
        });
    }

    /// What the agent of a node is to be told.
    pub(crate) fn asking(&self, node: &str) -> Asking {
        Asking::new(node, self.watchers.subscribe())
    }

    fn count<R>(&self, change: impl FnOnce(&mut Count) -> R) -> R {
        // No code that can panic runs under the lock.
        change(&mut self.count.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Watcher {
    /// The next batch of its node, and how many samples it missed before that: of any node, if it was too slow.
    pub async fn next(&mut self) -> (Arc<NodeBatch>, u64) {
        loop {
            match self.feed.recv().await {
                Ok(batch) => {
                    self.missed += batch.before - self.seen;
                    self.seen = batch.before + batch.batch.samples.len() as u64;
                    if self.node.is_empty() || self.node == batch.node {
                        return (batch, std::mem::take(&mut self.missed));
                    }
                }
                // The next batch says how many samples that were.
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => {
                    unreachable!("a watcher holds a sender of its feed")
                }
            }
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.drops.watchers.send_modify(|watchers| _ = watchers.remove(&self.id));
    }
}

#[cfg(test)]
mod tests {
    use sluice_proto::v1::DropSample;

    use super::*;

    fn batch(samples: usize) -> SampleBatch {
        SampleBatch { samples: vec![DropSample::default(); samples], ..SampleBatch::default() }
    }

    #[tokio::test]
    async fn a_slow_watcher_holds_up_nobody_and_learns_what_it_missed() {
        let drops = Drops::default();
        drops.publish("edge-1", batch(7));
        let mut watcher = drops.watch("edge-2").unwrap();
        for _ in 0..WAITING {
            drops.publish("edge-1", batch(3));
            drops.publish("edge-2", batch(2));
        }
        let mut found = (0, 0);
        for _ in 0..WAITING / 2 {
            let (batch, missed) = watcher.next().await;
            assert_eq!(batch.node, "edge-2");
            found = (found.0 + batch.batch.samples.len(), found.1 + missed);
        }
        assert_eq!(found, (WAITING, WAITING as u64 * 5 / 2));
    }

    #[test]
    fn only_so_many_watch_at_a_time() {
        let drops = Drops::default();
        let mut watchers: Vec<_> = (0..WATCHERS).map(|_| drops.watch("").unwrap()).collect();
        assert!(drops.watch("").is_none());
        watchers.pop();
        assert!(drops.watch("").is_some());
    }
}
