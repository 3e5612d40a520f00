//! The time in which this replica decides.

use std::collections::BTreeMap;
use std::time::Duration;

use openraft::{BasicNode, RaftMetrics, ServerState};
use tokio::time::sleep;

use crate::{Applied, Command, ProposeError, Raft};

/// One replica has it at a time, and has seen all that was agreed before.
#[derive(Clone)]
pub struct Lead {
    raft: Raft,
    term: u64,
}

impl Raft {
    /// Waits until this replica leads: a quorum has said so after it began to wait, and what earlier leaders decided is in
    /// the state.
    ///
    /// # Errors
    /// The store failed.
    pub async fn lead(&self) -> Result<Lead, ProposeError> {
        let mut metrics = self.inner.raft.metrics();
        loop {
            // The guard must be gone before the next await: it would block the core.
            let term = metrics.wait_for(|metrics| metrics.state == ServerState::Leader).await;
            let term = term.map(|metrics| metrics.current_term).map_err(|_| ended())?;
            // A leader that restarted, or that nobody reaches, believes in itself until a quorum is asked. What an earlier
            // lead of this replica had begun to agree on comes before this, and so into the state that the next starts from.
            let nothing = Command::PutBlobs { blobs: BTreeMap::new() };
            let begun = self.write(nothing.decided_in(term)).await;
            if begun.is_ok_and(|applied| !applied.void) && holds(&metrics.borrow(), term) {
                return Ok(Lead { raft: self.clone(), term });
            }
            if self.has_failed() {
                return Err(ended());
            }
            sleep(AGAIN).await;
        }
    }
}

impl Lead {
    /// Agrees on `command` only if this replica has decided without a break.
    ///
    /// # Errors
    /// [`ProposeError::Overtaken`] if another one may have decided meanwhile.
    pub async fn propose(&self, command: Command) -> Result<Applied, ProposeError> {
        match self.raft.write(command.decided_in(self.term)).await {
            Ok(applied) if applied.void => Err(ProposeError::Overtaken),
            Err(ProposeError::Elsewhere(_)) => Err(ProposeError::Overtaken),
            other => other,
        }
    }

    /// Waits until this replica may no longer decide.
    pub async fn ended(&self) {
        let mut metrics = self.raft.inner.raft.metrics();
        loop {
            let left = left(&metrics.borrow_and_update(), self.term);
            let Some(left) = left else { return };
            tokio::select! {
                biased;
                // A store that closed has no leader either.
                changed = metrics.changed() => if changed.is_err() { return },
                // What is known of the quorum gets older without a word.
                () = sleep(left) => return,
            }
        }
    }

    pub fn term(&self) -> u64 {
        self.term
    }

    pub fn raft(&self) -> &Raft {
        &self.raft
    }
}

/// Whether a leader of this term was confirmed by a quorum so lately that there can be no other.
fn holds(metrics: &RaftMetrics<u64, BasicNode>, term: u64) -> bool {
    metrics.current_term == term && leads(metrics)
}

/// For how long a leader of this term may go on without another word of a quorum.
fn left(metrics: &RaftMetrics<u64, BasicNode>, term: u64) -> Option<Duration> {
    if !holds(metrics, term) {
        return None;
    }
    let lone = metrics.membership_config.membership().voter_ids().count() == 1;
    let old = metrics.millis_since_quorum_ack.filter(|_| !lone);
    Some(old.map_or(FOR_EVER, |old| Duration::from_millis(LEASE_MS.saturating_sub(old))))
}

pub fn leads(metrics: &RaftMetrics<u64, BasicNode>) -> bool {
    let lone = metrics.membership_config.membership().voter_ids().count() == 1;
    metrics.state == ServerState::Leader
        && (lone || metrics.millis_since_quorum_ack.is_some_and(|ms| ms < LEASE_MS))
}

fn ended() -> ProposeError {
    ProposeError::Stopped("consensus ended".to_owned())
}

/// Shorter than what a follower waits before it votes for another, see `config`.
const LEASE_MS: u64 = 1000;
/// A lone replica asks nobody.
const FOR_EVER: Duration = Duration::MAX;
const AGAIN: Duration = Duration::from_millis(50);
