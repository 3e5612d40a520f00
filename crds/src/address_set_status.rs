use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::condition::conditions_schema;
use crate::{Condition, MAX_SET_FEEDS, NodeSummary};

/// What the operator knows of the set.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct XdpAddressSetStatus {
    /// The metadata.generation that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions_schema")]
    pub conditions: Vec<Condition>,
    /// The hash of the addresses, which nodes read back from their kernel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub hash: Option<String>,
    /// Entries of all of its lists together, those of other sets included, before anything is collapsed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entries: Option<u64>,
    /// Prefixes that are left once overlaps and neighbours are one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefixes: Option<u32>,
    /// Bytes that it takes in the kernel of the node where it takes most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel_bytes: Option<u64>,
    /// How far its present addresses have come on the nodes whose filters use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes: Option<NodeSummary>,
    /// When a feed was fetched last (RFC 3339); of several, the one that it is longest ago of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub last_fetch: Option<String>,
    /// What is wrong with a list or feed, with its line where it has one. The last good reading of it is in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub error: Option<String>,
    /// Its feeds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = "MAX_SET_FEEDS"))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["url".into()]))]
    pub feeds: Vec<FeedStatus>,
}

/// What is known of a feed.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct FeedStatus {
    /// The feed's address in spec.
    #[schemars(length(max = 1024))]
    pub url: String,
    /// Entries of its last good reading.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entries: Option<u64>,
    /// When it was fetched last, or found unchanged (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub last_fetch: Option<String>,
    /// Why the newest reading is not in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub error: Option<String>,
}
