//! What is to be said of the replicas.

use crate::Raft;
use crate::lead::leads;

/// What one replica knows of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// It decides.
    pub leads: bool,
    pub term: u64,
    /// Of the last log entry that is in its state.
    pub applied: u64,
    pub voters: usize,
}

/// A replica as the one that decides sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub node_id: u64,
    /// Empty of one that was never told its own.
    pub address: String,
    pub leads: bool,
    pub votes: bool,
    /// Log entries that it is not known to have.
    pub behind: u64,
    /// What was sent to it last did not arrive.
    pub silent: bool,
}

impl Raft {
    pub fn report(&self) -> Report {
        let metrics = self.inner.raft.metrics();
        let metrics = metrics.borrow();
        Report {
            leads: leads(&metrics),
            term: metrics.current_term,
            applied: metrics.last_applied.map_or(0, |at| at.index),
            voters: metrics.membership_config.membership().voter_ids().count(),
        }
    }

    /// Of the replica that decides.
    pub fn members(&self) -> Vec<Member> {
        let metrics = self.inner.raft.metrics();
        let metrics = metrics.borrow();
        let members = metrics.membership_config.membership();
        let voters: Vec<u64> = members.voter_ids().collect();
        let last = metrics.last_log_index.unwrap_or(0);
        let reached = |id: &u64| metrics.replication.as_ref()?.get(id).copied().flatten().map(|at| at.index);
        let member = |(id, node): (&u64, &openraft::BasicNode)| {
            let own = *id == metrics.id;
            Member {
                node_id: *id,
                address: node.addr.clone(),
                leads: own && leads(&metrics),
                votes: voters.contains(id),
                behind: if own { 0 } else { last.saturating_sub(reached(id).unwrap_or(0)) },
                silent: self.inner.silent.contains(*id),
            }
        };
        members.nodes().map(member).collect()
    }
}
