use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::condition::conditions_schema;
use crate::{Condition, InterfaceSummary, MAX_BACKENDS, MAX_PORTS, NodeSummary};

/// What the operator knows of the balancer.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct XdpLoadBalancerStatus {
    /// The metadata.generation that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions_schema")]
    pub conditions: Vec<Condition>,
    /// The hash of what this generation compiles to, which nodes read back from their kernel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub hash: Option<String>,
    /// Healthy over all backends, as `3/4`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub healthy: Option<String>,
    /// How far this generation has come on the selected nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes: Option<NodeSummary>,
    /// How many interfaces of these nodes it selects, and on how many this generation is in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interfaces: Option<InterfaceSummary>,
    /// Backends per port.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = "MAX_PORTS"))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub ports: Vec<PortStatus>,
    /// The agreed health of each backend.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = "MAX_BACKENDS"))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["address".into()]))]
    pub backends: Vec<BackendStatus>,
    /// Packets, on all nodes together, that were too large once encapsulated and so were dropped: raise the
    /// MTU on the way to the backends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oversize_packets: Option<u64>,
}

/// The backends of one port.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct PortStatus {
    /// The port's name in spec.
    #[schemars(length(max = 63))]
    pub name: String,
    /// Backends that pass their check.
    pub healthy: u32,
    /// All backends of the spec.
    pub total: u32,
}

/// The agreed health of a backend.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct BackendStatus {
    /// The backend's address in spec.
    #[schemars(length(max = 39))]
    pub address: String,
    /// Healthy, Unhealthy, or Unknown before the first result.
    pub health: BackendHealth,
    /// What the last failed check found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub message: Option<String>,
}

/// What checks say of a backend.
#[derive(
    JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash,
)]
#[schemars(inline)]
pub enum BackendHealth {
    Healthy,
    Unhealthy,
    #[default]
    Unknown,
}
