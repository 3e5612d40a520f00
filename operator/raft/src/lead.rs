//! The time in which this replica decides.

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
            // A leader that restarted, or that nobody reaches, believes in itself until a quorum is asked.
            if self.inner.raft.ensure_linearizable().await.is_ok() && holds(&metrics.borrow(), term) {
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
        // A store that closed has no leader either.
        _ = metrics.wait_for(|metrics| !holds(metrics, self.term)).await.map(drop);
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
const AGAIN: Duration = Duration::from_millis(50);
