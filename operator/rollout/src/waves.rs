//! Which nodes a wave has. Canaries come first; the others come by a hash of policy and node, and a wave reaches all up to
//! some hash. That hash is chosen when the wave begins and agreed on, so a node that joins later moves no other.

use serde::{Deserialize, Serialize};
use sluice_plan::Hash;
use sluice_policy::{Rollout, Share};

use crate::Seen;

/// How far a version goes. Grows from wave to wave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Reach {
    canaries: bool,
    /// The highest place that it reaches.
    up_to: Option<u64>,
}

impl Reach {
    pub const ALL: Reach = Reach { canaries: true, up_to: Some(u64::MAX) };

    pub fn covers(self, policy: &str, node: &str, canary: bool) -> bool {
        (self.canaries && canary) || self.up_to.is_some_and(|up_to| place(policy, node) <= up_to)
    }

    /// How many of these nodes it covers.
    pub(crate) fn count(self, policy: &str, nodes: &[Seen]) -> usize {
        nodes.iter().filter(|node| self.covers(policy, node.name, node.canary)).count()
    }

    fn or(self, other: Reach) -> Reach {
        Reach { canaries: self.canaries || other.canaries, up_to: self.up_to.max(other.up_to) }
    }
}

/// A node's place among those of a policy, the same wherever it is asked.
fn place(policy: &str, node: &str) -> u64 {
    let Hash(bytes) = Hash::of(format!("{policy}\n{node}").as_bytes());
    bytes.iter().take(8).fold(0, |place, byte| place << 8 | u64::from(*byte))
}

/// What follows one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wave {
    Canaries,
    Step(Share),
    Rest,
}

/// The waves of a rollout, each with its hold in milliseconds.
pub(crate) fn waves(rollout: &Rollout) -> Vec<(Wave, i64)> {
    let hold = |hold: std::time::Duration| i64::try_from(hold.as_millis()).unwrap_or(i64::MAX);
    let first = rollout.steps.first().map_or(0, |step| hold(step.hold));
    let mut waves: Vec<_> = rollout.canary.iter().map(|_| (Wave::Canaries, first)).collect();
    waves.extend(rollout.steps.iter().map(|step| (Wave::Step(step.nodes), hold(step.hold))));
    if rollout.steps.last().is_none_or(|step| step.nodes != Share::Percent(100)) {
        waves.push((Wave::Rest, 0));
    }
    waves
}

impl Wave {
    /// Beyond what was reached before.
    pub fn reach(self, policy: &str, nodes: &[Seen], before: Reach) -> Reach {
        let reach = match self {
            Wave::Canaries => Reach { canaries: true, up_to: None },
            Wave::Step(Share::Percent(100)) | Wave::Rest => Reach::ALL,
            Wave::Step(share) => Reach { canaries: true, up_to: up_to(share, policy, nodes) },
        };
        before.or(reach)
    }
}

/// The place of the last node of a share; none where the canaries are as many.
fn up_to(share: Share, policy: &str, nodes: &[Seen]) -> Option<u64> {
    let mut places: Vec<u64> =
        nodes.iter().filter(|node| !node.canary).map(|node| place(policy, node.name)).collect();
    places.sort_unstable();
    let canaries = nodes.len() - places.len();
    let others = share.at_least(nodes.len()).saturating_sub(canaries);
    places.get(others.checked_sub(1)?).copied()
}
