//! The state machine itself: pure, so that every replica computes the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sluice_plan::{Epoch, Hash};

use crate::{ClassKey, Command};

/// What all replicas agree on. Parts are shared between versions, so a clone is cheap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// `term` and `index` of the last change of the plans; index 0 before the first.
    pub epoch: Epoch,
    pub classes: Arc<BTreeMap<ClassKey, Plan>>,
    pub node_class: Arc<BTreeMap<String, ClassKey>>,
    pub rings: Bytes,
    pub blobs: Arc<BTreeMap<String, Bytes>>,
}

/// An encoded `NodePlan`, with the hash that names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub hash: Hash,
    pub bytes: Bytes,
}

impl State {
    /// None as long as the node has no class.
    pub fn plan_of(&self, node: &str) -> Option<(&ClassKey, &Plan)> {
        let key = self.node_class.get(node)?;
        Some((key, self.classes.get(key)?))
    }

    /// The state after `command`, agreed at this place of the log.
    pub(crate) fn apply(&self, command: Command, term: u64, index: u64) -> State {
        let mut next = self.clone();
        match command {
            Command::PutPlans { classes, node_class, rings, blobs } => {
                next.classes =
                    Arc::new(classes.into_iter().map(|(key, bytes)| (key, Plan::new(bytes))).collect());
                next.node_class = Arc::new(node_class);
                next.rings = rings;
                // The same plans keep their epoch: an operator that compiles anew after a restart moves nobody.
                if next != *self || self.epoch.index == 0 {
                    next.epoch = Epoch { term, index, ..self.epoch };
                }
                Arc::make_mut(&mut next.blobs).extend(blobs);
            }
            Command::PutBlob { key, bytes } => {
                Arc::make_mut(&mut next.blobs).insert(key, bytes);
            }
            Command::RemoveBlob { key } => {
                Arc::make_mut(&mut next.blobs).remove(&key);
            }
            Command::Recover { seen_incarnation } => {
                let incarnation = self.epoch.incarnation.max(seen_incarnation) + 1;
                next.epoch = Epoch { incarnation, term, index };
            }
        }
        next
    }
}

impl Plan {
    pub fn new(bytes: Bytes) -> Plan {
        Plan { hash: Hash::of(&bytes), bytes }
    }
}

impl Default for State {
    fn default() -> Self {
        State {
            epoch: Epoch { incarnation: 1, term: 0, index: 0 },
            classes: Arc::default(),
            node_class: Arc::default(),
            rings: Bytes::new(),
            blobs: Arc::default(),
        }
    }
}
