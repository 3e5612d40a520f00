//! The state machine of one version.

use serde::{Deserialize, Serialize};
use sluice_policy::Rollout;

use crate::gates::{Failure, Gate};
use crate::order::Order;
use crate::waves::{Wave, waves};
use crate::{Reach, Seen, Word};

/// A version that goes out, and how.
#[derive(Clone, Copy, Debug)]
pub struct Going<'a> {
    pub rollout: &'a Rollout,
    /// Its uid: two policies begin with different nodes.
    pub policy: &'a str,
    /// There was no version before.
    pub is_new: bool,
    /// Of this very version.
    pub order: Option<Order>,
}

/// How far it is. Agreed on by all replicas.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    pub phase: Phase,
    /// Counted from 0.
    pub wave: usize,
    pub reach: Reach,
    /// When the wave began, in Unix milliseconds.
    pub since: i64,
    #[serde(flatten)]
    pub before: Before,
}

/// What the version before did where it was last, in millionths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Before {
    /// Of all packets, those that it dropped.
    pub drop_ratio_before: Option<u32>,
    /// Of those to virtual addresses, those that reached no backend.
    pub balancer_error_ratio_before: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// The wave's nodes are getting it.
    Advancing,
    /// They have had it since then, in Unix milliseconds.
    Holding {
        since: i64,
    },
    Paused,
    /// The gate does not hold, and the rollout waits for it or for an order.
    Halted(Gate),
    /// The version before is to be in force everywhere; none: by order.
    RolledBack(Option<Failure>),
    Done,
}

impl Progress {
    pub fn done() -> Progress {
        Progress { phase: Phase::Done, wave: 0, reach: Reach::ALL, since: 0, before: Before::default() }
    }
}

impl Going<'_> {
    /// The first wave that has nodes. Where there are none at all it is over before it begins.
    pub fn begin(&self, nodes: &[Seen], now: i64) -> Progress {
        let nobody = Progress { reach: Reach::default(), ..Progress::done() };
        let begun = self.draw(&nobody, 0, nodes, now);
        if self.order == Some(Order::Promote) { self.promote(&begun, nodes, now) } else { begun }
    }

    /// What follows from what was heard; the same as before if nothing does.
    pub fn step(&self, progress: &Progress, nodes: &[Seen], now: i64) -> Progress {
        let turned = |phase: Phase| Progress { phase, ..progress.clone() };
        match (&progress.phase, self.order) {
            (Phase::Done, Some(Order::Abort)) => self.roll_back(progress, None, now),
            (Phase::Done, _) => progress.clone(),
            (_, Some(Order::Promote)) => self.promote(progress, nodes, now),
            (Phase::RolledBack(_), _) => progress.clone(),
            (_, Some(Order::Abort)) => self.roll_back(progress, None, now),
            (phase, order) => match self.failure(progress, nodes) {
                Some(failure) if self.rollout.auto_rollback => self.roll_back(progress, Some(failure), now),
                Some(failure) => turned(Phase::Halted(failure.gate)),
                None if order == Some(Order::Pause) => turned(Phase::Paused),
                None => self.advance(progress, phase, nodes, now),
            },
        }
    }

    pub fn reaches(&self, progress: &Progress, node: &str, canary: bool) -> bool {
        progress.reach.covers(self.policy, node, canary)
    }

    /// Which wave will draw a node in as things are now, counted from 1, and how many there are; none if one has, or if
    /// it is not among these nodes.
    pub fn wave_of(&self, progress: &Progress, nodes: &[Seen], node: &str) -> Option<(usize, usize)> {
        let node = nodes.iter().find(|seen| seen.name == node)?;
        if self.reaches(progress, node.name, node.canary) {
            return None;
        }
        let (waves, mut reach) = (self.waves(), progress.reach);
        let to_come = waves.iter().enumerate().skip(progress.wave + 1);
        let drawn = to_come.map(|(wave, (kind, _))| {
            reach = kind.reach(self.policy, nodes, reach);
            (wave, reach)
        });
        let covers = |reach: Reach| reach.covers(self.policy, node.name, node.canary);
        drawn.filter(|(_, reach)| covers(*reach)).map(|(wave, _)| (wave + 1, waves.len())).next()
    }

    pub(crate) fn reached<'s>(
        &self,
        progress: &Progress,
        nodes: &'s [Seen<'s>],
    ) -> impl Iterator<Item = &'s Seen<'s>> {
        nodes.iter().filter(|node| self.reaches(progress, node.name, node.canary))
    }

    pub(crate) fn waves(&self) -> Vec<(Wave, i64)> {
        waves(self.rollout)
    }

    /// When the hold of the wave is over, if it holds.
    pub fn holds_until(&self, progress: &Progress) -> Option<i64> {
        let Phase::Holding { since } = progress.phase else { return None };
        Some(since.saturating_add(self.hold(progress)))
    }

    fn hold(&self, progress: &Progress) -> i64 {
        self.waves().get(progress.wave).map_or(0, |(_, hold)| *hold)
    }

    fn advance(&self, progress: &Progress, phase: &Phase, nodes: &[Seen], now: i64) -> Progress {
        let complete = self.is_complete(progress, nodes);
        let since = match phase {
            // A clock that was set back begins the hold anew instead of drawing it out.
            Phase::Holding { since } => (*since).min(now),
            _ if complete => now,
            _ => return Progress { phase: Phase::Advancing, ..progress.clone() },
        };
        // Whoever comes to decide has to hear of all of them before it goes on.
        if !complete || now < since.saturating_add(self.hold(progress)) {
            return Progress { phase: Phase::Holding { since }, ..progress.clone() };
        }
        self.draw(progress, progress.wave + 1, nodes, now)
    }

    /// Draws in the nodes of the first wave from this one on that has any of its own.
    fn draw(&self, progress: &Progress, from: usize, nodes: &[Seen], now: i64) -> Progress {
        let before = self.before(progress, nodes);
        let waves = self.waves();
        for (wave, (kind, _)) in waves.iter().enumerate().skip(from) {
            let reach = kind.reach(self.policy, nodes, progress.reach);
            if reach.count(self.policy, nodes) > progress.reach.count(self.policy, nodes) {
                return Progress { phase: Phase::Advancing, wave, reach, since: now, before };
            }
        }
        Progress { wave: waves.len() - 1, since: now, before, ..Progress::done() }
    }

    fn promote(&self, progress: &Progress, nodes: &[Seen], now: i64) -> Progress {
        let last = self.waves().len() - 1;
        let all = Progress { wave: last, reach: Reach::ALL, ..progress.clone() };
        let pending = nodes.iter().any(|node| node.word == Word::Pending);
        match progress.phase {
            Phase::RolledBack(_) => Progress { phase: Phase::Advancing, since: now, ..all },
            _ if progress.reach != Reach::ALL => Progress { phase: Phase::Advancing, since: now, ..all },
            _ if pending => Progress { phase: Phase::Advancing, ..all },
            _ => Progress { phase: Phase::Done, ..all },
        }
    }

    fn roll_back(&self, progress: &Progress, failure: Option<Failure>, now: i64) -> Progress {
        let phase = Phase::RolledBack(failure);
        Progress { phase, reach: Reach::default(), since: now, ..progress.clone() }
    }

    /// Every node of the wave that can be reached has it, and no more than allowed cannot.
    fn is_complete(&self, progress: &Progress, nodes: &[Seen]) -> bool {
        let count =
            |is: fn(&Word) -> bool| self.reached(progress, nodes).filter(|node| is(&node.word)).count();
        let silent = count(|word| matches!(word, Word::Silent(_)));
        count(|word| *word == Word::Pending) == 0
            && silent <= self.rollout.max_unreachable.at_most(nodes.len())
    }
}
