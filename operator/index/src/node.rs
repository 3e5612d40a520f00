//! A node as the index needs it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use sluice_plan::Schema;

/// Known since its agent's first greeting; kept when the agent is gone, because a silent node is still one that a policy
/// selects and that does not confirm.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// The agent's own labels (directory mode).
    pub labels: BTreeMap<String, String>,
    pub addresses: BTreeSet<IpAddr>,
    /// Stored under a name of its own: older versions had a text of another meaning in `capabilities`.
    #[serde(default, rename = "takes")]
    pub capabilities: Capabilities,
}

/// What a node can take, as far as plans ask for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Capabilities {
    /// Programs can be linked at tcx.
    pub tcx: bool,
    /// Most entries of a plan.
    pub entries: u64,
    /// Most that a plan's address sets may weigh together.
    pub set_prefixes: u64,
    /// The newest encoding of plans that its agent reads.
    #[serde(default, with = "stored_schema")]
    pub schema: Schema,
}

/// Of an agent that does not say: what it cannot take, it refuses itself.
impl Default for Capabilities {
    fn default() -> Self {
        Capabilities { tcx: true, entries: u64::MAX, set_prefixes: u64::MAX, schema: Schema::NEWEST }
    }
}

/// As its number; one that only a later version knew is the newest here.
mod stored_schema {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use sluice_plan::Schema;

    pub fn serialize<S: Serializer>(schema: &Schema, to: S) -> Result<S::Ok, S::Error> {
        schema.number().serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Schema, D::Error> {
        Ok(Schema::numbered(u32::deserialize(from)?).unwrap_or_default())
    }
}
