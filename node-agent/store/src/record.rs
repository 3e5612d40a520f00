//! The records that the store itself knows; other crates add keys for their own.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sluice_plan::{Epoch, Hash, NodePlan, Schema};
use sluice_seal::Seal;

use crate::Key;

/// The plan confirmed last: what a starting agent enforces.
pub const PLAN: Key<StoredPlan> = Key::new("plan");
/// What proves that the plan and its sets are the operator's. A record of its own: versions that signed nothing wrote
/// none.
pub const SEAL: Key<Seal> = Key::new("seal");
/// Encoded manifest of each address set that is in force, by name.
pub const SETS: Key<BTreeMap<String, Vec<u8>>> = Key::new("sets");
/// What takes the plan's place, and when. A record of its own: versions before kept none.
pub const SUCCESSORS: Key<StoredSuccessors> = Key::new("successors");
pub const IDENTITY: Key<Identity> = Key::new("identity");
pub const BOOT: Key<BootFacts> = Key::new("boot");

/// A plan in its canonical encoding, under the number that the control plane gave it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredPlan {
    pub epoch: Epoch,
    pub hash: Hash,
    bytes: Vec<u8>,
}

impl StoredPlan {
    pub fn new(epoch: Epoch, plan: &NodePlan) -> StoredPlan {
        let bytes = plan.encode();
        StoredPlan { epoch, hash: Hash::of(&bytes), bytes }
    }

    /// `None` if the bytes are not what their hash says, or no plan in this encoding.
    pub fn plan(&self, schema: Schema) -> Option<NodePlan> {
        (Hash::of(&self.bytes) == self.hash).then(|| NodePlan::decode(schema, &self.bytes).ok())?
    }

    /// What it may be: which encoding it has is said by what proves it.
    pub fn plans(&self) -> impl Iterator<Item = NodePlan> {
        Schema::ALL.into_iter().filter_map(|schema| self.plan(schema))
    }
}

/// Plans that follow the one that they are stored with, in its encoding.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredSuccessors {
    /// How many have had their turn: a clock that is set back brings nothing back.
    pub turns: u32,
    /// Each with the moment of its turn, in Unix milliseconds.
    pub next: Vec<(i64, Vec<u8>)>,
}

/// What the agent shows to the operator; PEM.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub certificate: String,
    pub private_key: String,
    /// Certificates that the operator's own may be signed by.
    pub authorities: String,
    /// Unix seconds.
    pub not_after: i64,
}

impl std::fmt::Debug for Identity {
    /// Without the key: this ends in logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("not_after", &self.not_after).finish_non_exhaustive()
    }
}

/// Tells a restart of the agent from a restart of the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootFacts {
    /// `/proc/sys/kernel/random/boot_id` at the last start.
    pub boot_id: String,
    /// Starts of the agent since the store was made.
    pub starts: u64,
}
