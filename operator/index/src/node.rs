//! A node as the index needs it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// Known since its agent's first greeting; kept when the agent is gone, because a silent node is still one that a policy
/// selects and that does not confirm.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// The agent's own labels (directory mode).
    pub labels: BTreeMap<String, String>,
    pub addresses: BTreeSet<IpAddr>,
    /// Digest of what the kernel can do; nodes that differ in it are never in one class.
    pub capabilities: String,
}
