//! What nodes say to a rollout, and what is said of it.

use sluice_crds::{RolloutPhase, RolloutStatus, reason};
use sluice_index::Assigned;
use sluice_policy::Share;
use sluice_proto::v1::VerdictStage;
use sluice_rollout::{Packets, Phase, Seen, Standing, Word};

use crate::book::{NodeState, RATE_MS};
use crate::object_status::MESSAGE_CHARS;
use crate::policy::{Expected, OnNode, pending};

/// A rollout as the status has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RollingFacts {
    pub standing: Standing,
    /// What is wrong with the annotation.
    pub misordered: Option<String>,
    pub max_unreachable: Share,
}

impl RollingFacts {
    /// A reason of the conditions, and the message, unless the version is on all nodes.
    pub(crate) fn abnormal(&self) -> Option<(&'static str, String)> {
        let reason = match self.standing.phase {
            Phase::Advancing | Phase::Holding { .. } => reason::ROLLING_OUT,
            Phase::Paused => reason::PAUSED,
            Phase::Halted(_) => reason::HALTED,
            Phase::RolledBack(_) => reason::ROLLED_BACK,
            Phase::Done => return None,
        };
        Some((reason, self.message()))
    }

    pub fn wave(&self) -> String {
        let (wave, waves) = self.standing.wave;
        format!("{wave}/{waves}")
    }

    pub fn message(&self) -> String {
        let Standing { phase, words, until, .. } = &self.standing;
        let mut said = match phase {
            Phase::Advancing | Phase::Holding { .. } => format!("wave {}: {words}", self.wave()),
            _ => words.clone(),
        };
        if let Some(until) = until.and_then(|until| jiff::Timestamp::from_millisecond(until).ok()) {
            said.push_str(&format!(" until {until:.0}"));
        }
        let parts = [Some(said).filter(|said| !said.is_empty()), self.misordered.clone()];
        parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
    }
}

pub fn rollout_status(facts: &RollingFacts) -> RolloutStatus {
    let (updated, total) = facts.standing.updated;
    let number = |nodes: usize| u32::try_from(nodes).unwrap_or(u32::MAX);
    RolloutStatus {
        phase: phase(&facts.standing.phase),
        wave: facts.wave(),
        updated: number(updated),
        total: number(total),
        message: facts.message().chars().take(MESSAGE_CHARS).collect(),
    }
}

fn phase(phase: &Phase) -> RolloutPhase {
    match phase {
        Phase::Advancing => RolloutPhase::Advancing,
        Phase::Holding { .. } => RolloutPhase::Holding,
        Phase::Paused => RolloutPhase::Paused,
        Phase::Halted(_) => RolloutPhase::Halted,
        Phase::RolledBack(_) => RolloutPhase::RolledBack,
        Phase::Done => RolloutPhase::Done,
    }
}

/// What a node says of the version of a policy that it is to have.
pub fn seen<'a>(
    uid: &str,
    expected: &'a Expected,
    assigned: &Assigned,
    node: &NodeState,
    now: i64,
) -> Seen<'a> {
    Seen {
        name: &expected.node,
        canary: assigned.canary,
        word: word(uid, expected, node, now),
        packets: (now - node.last_report <= RATE_MS).then(|| packets(uid, node)),
        ns_per_packet: node.program.map(|program| program.ns_per_packet).filter(|ns| *ns > 0),
    }
}

fn word(uid: &str, expected: &Expected, node: &NodeState, now: i64) -> Word {
    if node.is_silent(now) {
        return Word::Silent(node.greeted.then_some(node.last_seen));
    }
    let has_plan = node.plan == Some((expected.plan, VerdictStage::Programmed));
    match (expected.generation, node.policies.get(uid).map(|known| &known.verdict)) {
        // Also in an older plan, and where a newer one is refused: what that changes is another policy's.
        (Some(generation), Some(verdict)) if verdict.generation == generation => match verdict.stage() {
            VerdictStage::Programmed => return Word::Has,
            VerdictStage::Rejected => {
                return Word::Refuses(format!("{}: {}", verdict.reason, verdict.detail));
            }
            _ => {}
        },
        (None, None) if has_plan && expected.withheld.is_none() => return Word::Has,
        _ => {}
    }
    if let Some((_, reason, detail)) = node.refused.as_ref().filter(|(hash, ..)| *hash == expected.plan) {
        return Word::Refuses(format!("{reason}: {detail}"));
    }
    match expected.withheld().unwrap_or_else(|| pending(node)) {
        OnNode::Rejected(reason, detail) => Word::Refuses(format!("{reason}: {detail}")),
        OnNode::Programmed | OnNode::Pending | OnNode::Unreachable(_) => Word::Pending,
    }
}

fn packets(uid: &str, node: &NodeState) -> Packets {
    let dropped = node
        .counters
        .iter()
        .filter(|((policy, _, verdict), _)| policy == uid && verdict == "drop")
        .map(|(_, total)| total.packets_per_second)
        .sum();
    Packets {
        met: node.packets_per_second,
        dropped,
        balanced: node.balanced_per_second,
        failed: node.failed_per_second,
    }
}
