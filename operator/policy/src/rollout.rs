//! How a new version of a policy comes to its nodes.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::selection::NodeSelector;

/// The waves in which nodes get a version, and what ends them. After the last step come all other nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollout {
    /// Nodes that come first.
    pub canary: Option<NodeSelector>,
    pub steps: Vec<Step>,
    pub gates: Gates,
    /// Nodes that may be silent, of all that the policy selects.
    pub max_unreachable: Share,
    /// Whether a gate that fails brings the former version back; otherwise the rollout stands still.
    pub auto_rollback: bool,
    /// Within this a node that has it must hear of the operator, or it goes back by itself.
    #[serde(default)]
    pub confirm_timeout: Option<Duration>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Nodes that have the version from this step on, those of the steps before included.
    pub nodes: Share,
    /// From the moment when they all have it.
    pub hold: Duration,
}

/// A part of the nodes that a policy selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Share {
    Percent(u8),
    Count(u32),
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gates {
    /// Nodes that may refuse the version.
    pub max_rejects: u32,
    /// In millionths: how much more of a node's packets the version may drop than the former one does where it still is.
    pub max_drop_ratio: Option<u32>,
    /// In millionths: how much more of the packets to virtual addresses may fail to reach a backend.
    #[serde(default)]
    pub max_balancer_error_ratio: Option<u32>,
    /// What a plain packet may take on any node that has it.
    #[serde(default)]
    pub max_ns_per_packet: Option<u32>,
}

impl Share {
    /// Of so many nodes, at least so many.
    pub fn at_least(self, nodes: usize) -> usize {
        match self {
            Share::Percent(percent) => (nodes * usize::from(percent)).div_ceil(100),
            Share::Count(count) => nodes.min(count as usize),
        }
    }

    /// Of so many nodes, no more than so many.
    pub fn at_most(self, nodes: usize) -> usize {
        match self {
            Share::Percent(percent) => nodes * usize::from(percent) / 100,
            Share::Count(count) => nodes.min(count as usize),
        }
    }
}
