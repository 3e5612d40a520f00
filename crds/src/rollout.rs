use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::selector::canary_schema;
use crate::text::text_type;
use crate::{Duration, LabelSelector};

/// How many steps a rollout may have.
pub const MAX_STEPS: usize = 10;

/// How a new version comes to the nodes, and what takes it back.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Rollout {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "canary_schema")]
    pub canary: Option<LabelSelector>,
    /// The waves after the canaries. Which nodes they are follows from the names of object and node, so a node that joins
    /// moves no other. After the last step all other nodes get the version. Default: no steps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = "MAX_STEPS"))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    #[x_kube(validation = Rule::new("self.all(i, s, i == 0 || !s.nodes.matches('^[0-9]{1,3}%$') || \
            !self[i - 1].nodes.matches('^[0-9]{1,3}%$') || \
            int(s.nodes.replace('%', '')) > int(self[i - 1].nodes.replace('%', '')))")
        .message("a step has no more nodes than the one before: nodes counts those of earlier steps too, so write more"))]
    #[x_kube(validation = Rule::new("self.all(i, s, i == 0 || !s.nodes.matches('^[0-9]{1,5}$') || \
            !self[i - 1].nodes.matches('^[0-9]{1,5}$') || int(s.nodes) > int(self[i - 1].nodes))")
        .message("a step has no more nodes than the one before: nodes counts those of earlier steps too, so write more"))]
    pub steps: Vec<RolloutStep>,
    /// What a version must do to go on.
    #[serde(default)]
    pub gates: RolloutGates,
    /// How many of the selected nodes may be silent, 5 or 1% (rounded down). With more of them in the waves that have the
    /// version a wave does not go on, and if they fell silent after they got it, the version is rolled back. Default: 1%.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_unreachable: Option<NodeShare>,
    /// Whether a gate that fails brings back the version before. Otherwise the rollout stands still until the gate holds
    /// again or somebody decides. Default: true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_rollback: Option<bool>,
    /// Within this time, 10s to 1h, an agent must hear of the operator once a plan with this filter is in force, or it goes
    /// back to the plan before by itself, also after a restart. If the operator is not heard of then either, in the same time
    /// again, the plan was not the cause and comes into force once more. Of several filters on a node the shortest time holds.
    /// Default: plans stay in any case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("!self.matches('^([0-9]{1,5}(ms|s|m|h)){1,3}$') || duration(self) >= duration('10s')")
        .message("confirmTimeout is shorter than a few of the operator's heartbeats: write 10s or more"))]
    pub confirm_timeout: Option<Duration>,
}

/// One wave.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct RolloutStep {
    /// How many of the selected nodes have the version in this step, canaries and earlier steps included: 3, or 10%
    /// (rounded up).
    #[x_kube(validation = Rule::new("!(self in ['0', '0%'])")
        .message("a step without nodes does nothing: write 1 or more, or remove the step"))]
    pub nodes: NodeShare,
    /// How long the gates are watched once they all have it, up to 168h. Default: not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
}

/// What a version must do to go on.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct RolloutGates {
    /// How many nodes may refuse it. Default: 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100_000))]
    pub max_rejects: Option<u32>,
    /// How much more of all packets that reach a node it may drop than the version before, as "0.05": the nodes that have
    /// it are compared with those that have it not yet. Needs a hundred packets a second. Default: not compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_drop_ratio: Option<Ratio>,
    /// How much more of the packets to virtual addresses a node may fail to hand to a backend than where the version before
    /// is, as "0.01": packets without a backend, without a way to it, or too long for it. Needs a hundred packets a second.
    /// Default: not compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_balancer_error_ratio: Option<Ratio>,
    /// How many nanoseconds a plain packet that no rule expects may take on any node that has it, all of the node's policies
    /// included, as the node measures when it loads the program. Default: not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub max_ns_per_packet: Option<u32>,
}

text_type! {
    /// A part of the nodes.
    NodeShare, {
        "type": "string",
        "maxLength": 5,
        "x-kubernetes-validations": [{
            "rule": "self.matches('^((100|[1-9]?[0-9])%|0|[1-9][0-9]{0,4})$')",
            "messageExpression": "'\"' + self + '\" is no part of the nodes: write a number as 3 or a share as 10%'"
        }]
    }
}

text_type! {
    /// A number from 0 to 1.
    Ratio, {
        "type": "string",
        "maxLength": 8,
        "x-kubernetes-validations": [{
            "rule": "self.matches('^(0([.][0-9]{1,6})?|1([.]0{1,6})?)$')",
            "messageExpression": "'\"' + self + '\" is no ratio: write a number from 0 to 1, as 0.05'"
        }]
    }
}

text_type! {
    /// As `Duration`, from nothing to a week.
    Hold, {
        "type": "string",
        "maxLength": 16,
        "x-kubernetes-validations": [{
            "rule": "self.matches('^([0-9]{1,5}(ms|s|m|h)){1,3}$')",
            "messageExpression": "'\"' + self + '\" is not a length of time: write \"30s\", \"10m\" or \"24h\"'"
        }, {
            "rule": "!self.matches('^([0-9]{1,5}(ms|s|m|h)){1,3}$') || duration(self) <= duration('168h')",
            "messageExpression": "'\"' + self + '\" is out of range: write a time up to 168h'"
        }]
    }
}

impl Rollout {
    pub const DEFAULT_MAX_UNREACHABLE: &str = "1%";
}

impl Hold {
    /// None where the text is no length of time, which the schema refuses.
    pub fn to_std(&self) -> Option<std::time::Duration> {
        Duration(self.0.clone()).to_std()
    }
}

/// How far the newest version has come.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct RolloutStatus {
    /// Advancing, Holding, Paused, Halted, RolledBack or Done.
    pub phase: RolloutPhase,
    /// The wave that has it, over all waves, as `2/3`.
    #[schemars(length(max = 32))]
    pub wave: String,
    /// Nodes that have it.
    pub updated: u32,
    /// Nodes that are to have it in the end.
    pub total: u32,
    /// What it waits for, or why it was taken back, and the way out.
    #[schemars(length(max = 1024))]
    pub message: String,
}

/// What a rollout does.
#[derive(
    JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash,
)]
#[schemars(inline)]
pub enum RolloutPhase {
    /// Nodes of the wave are getting the version.
    #[default]
    Advancing,
    /// They have it, and are watched.
    Holding,
    /// Somebody wants it to wait.
    Paused,
    /// A gate fails, and autoRollback is false.
    Halted,
    /// A gate failed, or somebody aborted it: the version before is in force again.
    RolledBack,
    /// All nodes have it.
    Done,
}
