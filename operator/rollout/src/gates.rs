//! What takes a version back.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::progress::Going;
use crate::{Packets, Progress, Seen, Word};

/// Fewer packets a second say nothing of a ratio.
const ENOUGH: f64 = 100.0;
/// Nodes that a failure names.
const NAMED: usize = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Gate {
    Rejects,
    Heartbeats,
    DropRatio,
    NsPerPacket,
}

/// A gate that does not hold, and what was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub gate: Gate,
    pub found: String,
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Gate::Rejects => "maxRejects",
            Gate::Heartbeats => "maxUnreachable",
            Gate::DropRatio => "maxDropRatio",
            Gate::NsPerPacket => "maxNsPerPacket",
        })
    }
}

impl Going<'_> {
    /// The first gate that fails.
    pub(crate) fn failure(&self, progress: &Progress, nodes: &[Seen]) -> Option<Failure> {
        let reached: Vec<&Seen> = self.reached(progress, nodes).collect();
        let failed = |gate, found: Option<String>| found.map(|found| Failure { gate, found });
        failed(Gate::Rejects, self.rejects(&reached))
            .or_else(|| failed(Gate::Heartbeats, self.fell_silent(progress, &reached, nodes.len())))
            .or_else(|| failed(Gate::DropRatio, self.drops(progress, nodes)))
            .or_else(|| failed(Gate::NsPerPacket, self.takes_long(&reached)))
    }

    fn rejects(&self, reached: &[&Seen]) -> Option<String> {
        let refusing: Vec<String> = reached
            .iter()
            .filter_map(|node| match &node.word {
                Word::Refuses(why) => Some(format!("{}: {why}", node.name)),
                _ => None,
            })
            .collect();
        let count = refusing.len();
        (count > self.rollout.gates.max_rejects as usize)
            .then(|| format!("{count} of {} nodes refuse it: {}", reached.len(), named(&refusing)))
    }

    /// Those that were heard of after the wave began, and no more.
    fn fell_silent(&self, progress: &Progress, reached: &[&Seen], all: usize) -> Option<String> {
        let fell = |node: &&&Seen| matches!(node.word, Word::Silent(Some(last)) if last >= progress.since);
        let silent: Vec<String> = reached.iter().filter(fell).map(|node| node.name.to_owned()).collect();
        let count = silent.len();
        (count > self.rollout.max_unreachable.at_most(all)).then(|| {
            format!(
                "{count} of {} nodes fell silent after they were sent it: {}",
                reached.len(),
                named(&silent)
            )
        })
    }

    fn drops(&self, progress: &Progress, nodes: &[Seen]) -> Option<String> {
        let bound = self.rollout.gates.max_drop_ratio?;
        let (version, before) = (self.drop_ratio(progress, nodes)?, self.drop_ratio_before(progress, nodes)?);
        (version > before.saturating_add(bound)).then(|| {
            format!(
                "it drops {} of all packets, the version before {}, and {} more is allowed",
                share(version),
                share(before),
                share(bound)
            )
        })
    }

    /// Of the nodes that have it; what the others take is not its fault.
    fn takes_long(&self, reached: &[&Seen]) -> Option<String> {
        let bound = self.rollout.gates.max_ns_per_packet?;
        let has_it = reached.iter().filter(|node| node.word == Word::Has);
        let measured = has_it.filter_map(|node| Some((node.name, node.ns_per_packet?)));
        let slow = measured.filter(|(_, ns)| *ns > bound).map(|(name, ns)| format!("{name}: {ns} ns"));
        let slow: Vec<String> = slow.collect();
        (!slow.is_empty())
            .then(|| format!("a packet takes more than {bound} ns on {} nodes: {}", slow.len(), named(&slow)))
    }

    /// What is asked for and cannot be answered now.
    pub(crate) fn blind(&self, progress: &Progress, nodes: &[Seen]) -> Option<&'static str> {
        self.rollout.gates.max_drop_ratio?;
        if self.drop_ratio(progress, nodes).is_none() {
            return Some(
                "maxDropRatio says nothing: fewer than 100 packets a second reach the nodes that have it",
            );
        }
        let says_nothing = "maxDropRatio says nothing: fewer than 100 packets a second reach the nodes that have the version before";
        self.drop_ratio_before(progress, nodes).is_none().then_some(says_nothing)
    }

    /// Of the nodes that have the new version, in millionths.
    fn drop_ratio(&self, progress: &Progress, nodes: &[Seen]) -> Option<u32> {
        ratio(self.reached(progress, nodes).filter(|node| node.word == Word::Has))
    }

    /// The same of the others or, once there are none, as it was last seen. Where nothing was before, nothing was dropped.
    pub(crate) fn drop_ratio_before(&self, progress: &Progress, nodes: &[Seen]) -> Option<u32> {
        if self.is_new {
            return Some(0);
        }
        let others = nodes.iter().filter(|node| !self.reaches(progress, node.name, node.canary));
        ratio(others.filter(|node| node.word == Word::Has)).or(progress.drop_ratio_before)
    }
}

fn ratio<'a>(nodes: impl Iterator<Item = &'a Seen<'a>>) -> Option<u32> {
    let Packets { met, dropped } =
        nodes.filter_map(|node| node.packets).fold(Packets::default(), |sum, node| Packets {
            met: sum.met + node.met,
            dropped: sum.dropped + node.dropped,
        });
    (met >= ENOUGH).then(|| (dropped / met * 1e6).round() as u32)
}

fn share(millionths: u32) -> String {
    format!("{:.1} %", f64::from(millionths) / 1e4)
}

pub(crate) fn named(nodes: &[String]) -> String {
    let shown = nodes[..nodes.len().min(NAMED)].join("; ");
    match nodes.len().saturating_sub(NAMED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
