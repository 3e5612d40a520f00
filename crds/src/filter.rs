use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::condition::conditions_schema;
use crate::selector::node_selector_schema;
use crate::{
    Condition, FilterRule, InterfaceSelector, InterfaceSummary, LabelSelector, NodeSummary, PointInTime,
    Rollout, RolloutStatus,
};

/// How many rules a filter may have.
pub const MAX_RULES: usize = 1000;

/// How many warnings a status carries.
pub const MAX_WARNINGS: usize = 16;

/// An XdpFilter is an ordered list of rules that packets meet in the driver of selected interfaces, before
/// the node's network stack.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "sluice.dev",
    version = "v1alpha1",
    kind = "XdpFilter",
    plural = "xdpfilters",
    shortname = "xf",
    category = "sluice",
    status = "XdpFilterStatus",
    derive = "PartialEq",
    doc = "An XdpFilter is an ordered list of rules that packets meet in the driver of selected interfaces, \
        before the node's network stack.",
    printcolumn(name = "Mode", type_ = "string", json_path = ".spec.mode"),
    printcolumn(name = "Rules", type_ = "integer", json_path = ".status.rules"),
    printcolumn(name = "Nodes", type_ = "string", json_path = ".status.nodes.summary"),
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
    printcolumn(name = "Hash", type_ = "string", json_path = ".status.hash", priority = "1"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("self.metadata.name.size() <= 63")
        .message("the name is longer than 63 characters, which counters and metrics carry: shorten it"),
    validation = Rule::new("!has(self.spec.attach) || self.spec.attach.hook != 'TcEgress' || \
            !has(self.spec.allowEstablished) || !self.spec.allowEstablished")
        .message("allowEstablished is about packets that come in: remove it, or write another hook")
)]
#[serde(rename_all = "camelCase")]
pub struct XdpFilterSpec {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "node_selector_schema")]
    pub node_selector: Option<LabelSelector>,
    /// The interfaces of a selected node that the filter is attached to.
    pub interfaces: InterfaceSelector,
    /// How the program is attached.
    #[serde(default)]
    pub attach: Attach,
    /// Filters on one interface run highest priority first, equal ones by name. Default: 0.
    #[serde(default)]
    #[schemars(range(min = -32768, max = 32767))]
    pub priority: i32,
    /// Enforce, or Audit: nothing is decided, what would have been dropped is counted. Default: Enforce.
    #[serde(default)]
    pub mode: Mode,
    /// What happens to a packet that no rule decided. Next: the next filter, and after the last one the load
    /// balancer and the stack. Pass: ends the filters. Drop: the packet ends here, whatever it is; only
    /// failsafe traffic (ARP, neighbour discovery, the node's own control connections) has passed before.
    /// Default: Next.
    #[serde(default)]
    pub default_action: DefaultAction,
    /// What happens to a packet with a broken or truncated header (runts, bad lengths) that no rule decided;
    /// the fields of its intact layers are matched first. Counted in either case. Default: Pass.
    #[serde(default)]
    pub malformed: MalformedAction,
    /// Whether replies to the node's own connections pass before any rule is asked; `_established` counts them. A reply
    /// is a TCP segment, but for one that begins a connection, or a UDP datagram, for which the interface's network
    /// namespace has a socket that is connected to where it comes from, or an ICMP error about a packet that such a
    /// socket has sent. Sockets that listen, or are connected to nobody, open nothing. Not covered: later fragments,
    /// other protocols, connections of pods and of those that the node forwards or translates addresses for, sockets
    /// bound to another interface. Not with hook TcEgress. Default: false.
    #[serde(default)]
    pub allow_established: bool,
    /// The rules in the order in which they are tried; the first match decides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = "MAX_RULES"))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    #[x_kube(validation = Rule::new("self.transformMapEntry(i, r, {r.name: i}).size() == self.size()")
        .message("rule names must be unique: rename one of the two"))]
    pub rules: Vec<FilterRule>,
    /// When the filter ends by itself (RFC 3339, 2027-01-31T00:00:00Z): from then on it is in force nowhere, although the
    /// object stays. Default: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<PointInTime>,
    /// How a new version comes to the nodes, wave by wave, and what takes it back. A deletion goes the same way.
    /// Default: to all nodes at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Rollout>,
}

/// How a program is attached to an interface.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.hook == 'Xdp' || self.mode == 'Auto'")
    .message("mode says how XDP is attached, and hook is another: remove mode, or write hook: Xdp"))]
pub struct Attach {
    /// Native: in the driver, or the node rejects the filter. Generic: in the network stack, slower, with any
    /// driver. Auto: Native, and Generic where the driver has no native XDP, which status then says. Default:
    /// Auto.
    #[serde(default)]
    pub mode: AttachMode,
    /// Where packets meet the filter. Xdp: as they come in, in the driver. TcIngress: as they come in, behind XDP, in
    /// the network stack; with any interface, and slower. TcEgress: as they go out. The last two need tcx (Linux
    /// 6.6); filters of one hook do not see what those of another decide. Default: Xdp.
    #[serde(default)]
    pub hook: Hook,
}

/// Where in the kernel packets meet a filter.
#[derive(
    JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash,
)]
#[schemars(inline)]
pub enum Hook {
    #[default]
    Xdp,
    TcIngress,
    TcEgress,
}

/// Where in the kernel a program runs.
#[derive(
    JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash,
)]
#[schemars(inline)]
pub enum AttachMode {
    #[default]
    Auto,
    Native,
    Generic,
}

/// Whether verdicts take effect.
#[derive(
    JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash,
)]
#[schemars(inline)]
pub enum Mode {
    #[default]
    Enforce,
    Audit,
}

/// What happens to a packet that no rule decided.
#[derive(
    JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash,
)]
#[schemars(inline)]
pub enum DefaultAction {
    #[default]
    Next,
    Pass,
    Drop,
}

/// What happens to a malformed packet that no rule decided.
#[derive(
    JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash,
)]
#[schemars(inline)]
pub enum MalformedAction {
    #[default]
    Pass,
    Drop,
}

/// What the operator knows of the filter.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct XdpFilterStatus {
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
    /// How many rules this generation has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules: Option<u32>,
    /// How far this generation has come on the selected nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes: Option<NodeSummary>,
    /// How many interfaces of these nodes it selects, and on how many this generation is in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interfaces: Option<InterfaceSummary>,
    /// How far the newest version has come, of a filter with a rollout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<RolloutStatus>,
    /// A coarse summary of what was dropped; metrics and `kubectl sluice get counters` have the exact
    /// counters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropped: Option<DroppedSummary>,
    /// What is valid in this generation and yet hardly meant: rules that can never match, an allow-list that
    /// forgets the node itself, drops that failsafe traffic does not heed, a set that was deleted. `kubectl sluice lint
    /// -f` says the same of a file. Before it what nodes say that enforce it: marks that do not reach their packets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = "MAX_WARNINGS"))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub warnings: Vec<FilterWarning>,
}

/// One thing that is hardly meant.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct FilterWarning {
    /// The rule; absent where it is about the filter as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub rule: Option<String>,
    /// One word for programs: Shadowed, MatchesEverything, NeverMatches, ShadowedByFailsafe,
    /// OverlappingRateLimits, BurstTooSmall, AllowListIncomplete, SetGone, of nodes MarkNotPossible, GenericFallback;
    /// More stands for those that have no room here.
    #[schemars(length(max = 63))]
    pub reason: String,
    /// What it is, and what to do.
    #[schemars(length(max = 1024))]
    pub message: String,
}

/// Packets dropped on all nodes together.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct DroppedSummary {
    /// Packets dropped since the filter was made; under Audit those that would have been.
    pub packets: u64,
    /// Packets a second over the last interval, rounded.
    pub per_second: u64,
    /// When the numbers were taken (RFC 3339).
    #[schemars(length(max = 64))]
    pub observed_at: String,
}
