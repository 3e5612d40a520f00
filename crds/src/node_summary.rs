use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// How many failing nodes a status names.
pub const MAX_FAILING_NODES: usize = 10;

/// How far this generation has come on the selected nodes.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct NodeSummary {
    /// Nodes that the selector matches and whose agent has been heard.
    pub desired: u32,
    /// Nodes whose agent has taken this generation, programmed or not.
    pub accepted: u32,
    /// Nodes that have read this generation back from their kernel and whose heartbeat is fresh.
    pub programmed: u32,
    /// Nodes that refused this generation; they go on with the last good one.
    pub rejected: u32,
    /// Nodes that have fallen silent; their kernel goes on with what it enforces.
    pub unreachable: u32,
    /// Programmed over desired, as `3/3`.
    #[schemars(length(max = 32))]
    pub summary: String,
    /// The first nodes, by name, that rejected this generation or are unreachable.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = "MAX_FAILING_NODES"))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub failing: Vec<FailingNode>,
}

/// How far this generation has come on the interfaces of the selected nodes.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct InterfaceSummary {
    /// Interfaces that it selects on those nodes, and those that it names and that are missing there.
    pub desired: u32,
    /// Interfaces where a node that answers has read this generation back from its kernel.
    pub ready: u32,
}

/// A node that does not enforce this generation, and why.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct FailingNode {
    /// The node's name.
    #[schemars(length(max = 253))]
    pub node: String,
    /// One word for programs, `VlanTagsStripped`.
    #[schemars(length(max = 63))]
    pub reason: String,
    /// What was found, and the way out.
    #[schemars(length(max = 1024))]
    pub message: String,
}
