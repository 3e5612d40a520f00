use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Condition;
use crate::condition::conditions_schema;

/// How many network cards a status lists.
pub const MAX_NICS: usize = 256;

/// An XdpNode holds what a node's agent found: kernel, network cards, drivers, XDP modes, what is broken. The
/// operator writes it.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "sluice.dev",
    version = "v1alpha1",
    kind = "XdpNode",
    plural = "xdpnodes",
    shortname = "xn",
    category = "sluice",
    status = "XdpNodeStatus",
    derive = "PartialEq",
    doc = "An XdpNode holds what a node's agent found: kernel, network cards, drivers, XDP modes, what is \
        broken. The operator writes it.",
    printcolumn(name = "Kernel", type_ = "string", json_path = ".status.kernel"),
    printcolumn(name = "Agent", type_ = "string", json_path = ".status.agentVersion"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason",
        priority = "1"
    ),
    printcolumn(name = "Nics", type_ = "string", json_path = ".status.nics[*].name", priority = "1"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct XdpNodeSpec {}

/// What the node's agent found. Written on change only; it holds no plan, hash or epoch.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct XdpNodeStatus {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions_schema")]
    pub conditions: Vec<Condition>,
    /// The kernel's release, as `uname -r` prints it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub kernel: Option<String>,
    /// The version of the agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub agent_version: Option<String>,
    /// The node's network interfaces that could carry a program.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = "MAX_NICS"))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub nics: Vec<Nic>,
    /// What the kernel's receive path loses behind the driver (/proc/net/softnet_stat, over all CPUs).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub softnet: Option<Softnet>,
}

/// A network interface.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Nic {
    /// The interface's name.
    #[schemars(length(max = 15))]
    pub name: String,
    /// The driver (ethtool).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub driver: Option<String>,
    /// The link's speed in Mbit/s; absent where the driver does not know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speed_mbps: Option<u32>,
    /// The largest layer-3 packet in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// The hardware queues in use (ethtool channels).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queues: Option<NicQueues>,
    /// How Sluice's program is attached; absent where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub xdp_mode: Option<XdpMode>,
    /// What the driver offers, in the words of the kernel's netdev family (basic, redirect, ndo-xmit, rx-sg
    /// …).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(max = 32)))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub xdp_features: Vec<String>,
    /// True where the hardware takes VLAN tags off before XDP sees the frame.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlan_stripping: Option<bool>,
    /// True where the hardware merges received packets, which XDP must not see (large receive offload).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lro: Option<bool>,
    /// Packets that the interface dropped on receive since boot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rx_dropped: Option<u64>,
    /// Receive errors since boot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rx_errors: Option<u64>,
    /// Frames with a wrong checksum since boot: a bad cable, plug or card.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rx_fcs_errors: Option<u64>,
    /// How often the link has gone down since the agent saw the interface first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link_flaps: Option<u64>,
    /// Another's XDP program on this interface, which is never displaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub foreign_program: Option<ForeignProgram>,
}

/// The hardware queues of an interface.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct NicQueues {
    /// Receive queues, combined ones included.
    pub rx: u32,
    /// Transmit queues, combined ones included.
    pub tx: u32,
}

/// How an XDP program is attached.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[schemars(inline)]
pub enum XdpMode {
    Native,
    Generic,
    Offload,
}

/// An XDP program that is not Sluice's.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ForeignProgram {
    /// The kernel's id of the program, as `bpftool prog` shows it.
    pub id: u32,
    /// How it is attached.
    pub mode: XdpMode,
    /// Its name, where the kernel lets the agent read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub name: Option<String>,
}

/// Losses behind the driver since boot.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Softnet {
    /// Packets dropped because a CPU's backlog was full.
    pub dropped: u64,
    /// How often a CPU stopped receiving because its budget was used up, with packets left.
    pub time_squeeze: u64,
}
