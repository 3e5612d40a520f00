//! What takes a version back.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::progress::Going;
use crate::{Before, Progress, Seen, Word};

/// Fewer packets a second say nothing of a ratio.
const ENOUGH: f64 = 100.0;
/// Nodes that a failure names.
const NAMED: usize = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Gate {
    Rejects,
    Heartbeats,
    DropRatio,
    BalancerErrorRatio,
    NsPerPacket,
}

/// Shares of packets in which nodes that have the version are compared with those that have it not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compared {
    Drops,
    BalancerErrors,
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
            Gate::BalancerErrorRatio => "maxBalancerErrorRatio",
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
            .or_else(|| failed(Gate::DropRatio, self.compare(Compared::Drops, progress, nodes)))
            .or_else(|| {
                failed(Gate::BalancerErrorRatio, self.compare(Compared::BalancerErrors, progress, nodes))
            })
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

    fn compare(&self, what: Compared, progress: &Progress, nodes: &[Seen]) -> Option<String> {
        let bound = self.bound(what)?;
        let (version, before) =
            (self.share(what, progress, nodes)?, self.share_before(what, progress, nodes)?);
        (version > before.saturating_add(bound)).then(|| {
            let (version, before, bound) = (percent(version), percent(before), percent(bound));
            match what {
                Compared::Drops => format!(
                    "it drops {version} of all packets, the version before {before}, and {bound} more is allowed"
                ),
                Compared::BalancerErrors => format!(
                    "with it {version} of the packets to virtual addresses reach no backend, with the version before \
                     {before}, and {bound} more is allowed"
                ),
            }
        })
    }

    fn bound(&self, what: Compared) -> Option<u32> {
        match what {
            Compared::Drops => self.rollout.gates.max_drop_ratio,
            Compared::BalancerErrors => self.rollout.gates.max_balancer_error_ratio,
        }
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
    pub(crate) fn blind(&self, progress: &Progress, nodes: &[Seen]) -> Option<String> {
        let says_nothing = |what: Compared| {
            self.bound(what)?;
            let whose = if self.share(what, progress, nodes).is_none() {
                "the nodes that have it"
            } else if self.share_before(what, progress, nodes).is_none() {
                "the nodes that have the version before"
            } else {
                return None;
            };
            let (gate, packets) = match what {
                Compared::Drops => (Gate::DropRatio, "packets a second"),
                Compared::BalancerErrors => {
                    (Gate::BalancerErrorRatio, "packets a second to virtual addresses")
                }
            };
            Some(format!("{gate} says nothing: fewer than 100 {packets} reach {whose}"))
        };
        says_nothing(Compared::Drops).or_else(|| says_nothing(Compared::BalancerErrors))
    }

    /// What the others show before more nodes are drawn in.
    pub(crate) fn before(&self, progress: &Progress, nodes: &[Seen]) -> Before {
        Before {
            drop_ratio_before: self.share_before(Compared::Drops, progress, nodes),
            balancer_error_ratio_before: self.share_before(Compared::BalancerErrors, progress, nodes),
        }
    }

    /// Of the nodes that have the new version, in millionths.
    fn share(&self, what: Compared, progress: &Progress, nodes: &[Seen]) -> Option<u32> {
        what.share(self.reached(progress, nodes).filter(|node| node.word == Word::Has))
    }

    /// The same of the others or, once there are none, as it was last seen. Where nothing was before, nothing was dropped.
    fn share_before(&self, what: Compared, progress: &Progress, nodes: &[Seen]) -> Option<u32> {
        let last = match what {
            Compared::Drops if self.is_new => return Some(0),
            Compared::Drops => progress.before.drop_ratio_before,
            Compared::BalancerErrors => progress.before.balancer_error_ratio_before,
        };
        let others = nodes.iter().filter(|node| !self.reaches(progress, node.name, node.canary));
        what.share(others.filter(|node| node.word == Word::Has)).or(last)
    }
}

impl Compared {
    fn share<'a>(self, nodes: impl Iterator<Item = &'a Seen<'a>>) -> Option<u32> {
        let parts = nodes.filter_map(|node| node.packets).map(|packets| match self {
            Compared::Drops => (packets.dropped, packets.met),
            Compared::BalancerErrors => (packets.failed, packets.balanced),
        });
        let (part, all) = parts.fold((0.0, 0.0), |sum, (part, all)| (sum.0 + part, sum.1 + all));
        (all >= ENOUGH).then(|| (part / all * 1e6).round() as u32)
    }
}

fn percent(millionths: u32) -> String {
    format!("{:.1} %", f64::from(millionths) / 1e4)
}

pub(crate) fn named(nodes: &[String]) -> String {
    let shown = nodes[..nodes.len().min(NAMED)].join("; ");
    match nodes.len().saturating_sub(NAMED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
