//! What is said of a rollout.

use crate::gates::{Failure, named};
use crate::progress::{Going, Phase, Progress};
use crate::{Seen, Word};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    pub phase: Phase,
    /// Counted from 1, with how many there are.
    pub wave: (usize, usize),
    /// Nodes that have the version, and all that are to.
    pub updated: (usize, usize),
    /// What it waits for, or why it was taken back.
    pub words: String,
    /// When the hold is over, in Unix milliseconds.
    pub until: Option<i64>,
}

impl Going<'_> {
    /// `progress` is what was made of these nodes' words.
    pub fn standing(&self, progress: &Progress, nodes: &[Seen]) -> Standing {
        let reached: Vec<&Seen> = self.reached(progress, nodes).collect();
        let has = reached.iter().filter(|node| node.word == Word::Has).count();
        let waves = self.waves().len();
        let words = match &progress.phase {
            Phase::Advancing => {
                let blind = self.blind(progress, nodes);
                let said = [format!("{has} of the wave's {} nodes have it", reached.len())];
                said.into_iter()
                    .chain(self.waits(&reached, nodes.len()))
                    .chain(blind)
                    .collect::<Vec<_>>()
                    .join("; ")
            }
            Phase::Holding { .. } => {
                let blind = self.blind(progress, nodes).map(|blind| format!("; {blind}")).unwrap_or_default();
                format!("all {} nodes of the wave have it and are watched{blind}", reached.len())
            }
            Phase::Paused => "paused by annotation: resume, promote or abort it".to_owned(),
            Phase::Halted(gate) => {
                let found = self.failure(progress, nodes).map(|failure| failure.found);
                let found = found.unwrap_or_else(|| "it holds again".to_owned());
                format!("{gate} does not hold: {found}; promote or abort it, or save another version")
            }
            Phase::RolledBack(None) => {
                format!("taken back by annotation: promote it, or save another version{}", going_back(nodes))
            }
            Phase::RolledBack(Some(Failure { gate, found })) => {
                let back = going_back(nodes);
                format!("{gate} did not hold: {found}; promote it, or save another version{back}")
            }
            Phase::Done => String::new(),
        };
        Standing {
            phase: progress.phase.clone(),
            wave: ((progress.wave + 1).min(waves), waves),
            updated: (has, nodes.len()),
            words,
            until: self.holds_until(progress),
        }
    }

    fn waits(&self, reached: &[&Seen], all: usize) -> Option<String> {
        let silent: Vec<String> = reached
            .iter()
            .filter(|node| matches!(node.word, Word::Silent(_)))
            .map(|node| node.name.to_owned())
            .collect();
        (silent.len() > self.rollout.max_unreachable.at_most(all))
            .then(|| format!("waits for silent nodes: {}", named(&silent)))
    }
}

/// As long as not all of them have the version before again.
fn going_back(nodes: &[Seen]) -> String {
    let back = nodes.iter().filter(|node| node.word == Word::Has).count();
    if back == nodes.len() {
        return String::new();
    }
    format!("; {back} of {} nodes have the version before again", nodes.len())
}
