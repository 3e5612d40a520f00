//! Who is a member: changed by the leader alone, one step after the other. Two changes at once could leave the cluster
//! between two memberships.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use openraft::{BasicNode, ChangeMembers, Membership, RaftMetrics, ServerState};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::call::Reply;
use crate::config::TypeConfig;
use crate::{Command, Identity};

/// An address that wants to be a member, and where the answer goes.
pub type Join = (String, oneshot::Sender<Reply>);
type Raft = openraft::Raft<TypeConfig>;
type Metrics = RaftMetrics<u64, BasicNode>;

/// Runs as long as `joins` is open.
pub async fn run(raft: Raft, cluster_id: String, own: String, mut joins: mpsc::Receiver<Join>) {
    let mut ticks = interval(PACE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            join = joins.recv() => {
                let Some((address, reply)) = join else { return };
                let answer = admit(&raft, &cluster_id, address).await;
                // It asks again if it hung up.
                _ = reply.send(answer);
            }
            _ = ticks.tick() => {
                let metrics = raft.metrics().borrow().clone();
                if let Some(change) = next_change(&metrics, &own) {
                    tracing::info!(?change, "the membership changes");
                    within(raft.change_membership(change, false)).await;
                }
            }
        }
    }
}

/// Gives a replica without a store an id that no replica ever had: the position of a command in the log.
async fn admit(raft: &Raft, cluster_id: &str, address: String) -> Reply {
    let written = raft.client_write(Command::PutBlobs { blobs: BTreeMap::new() });
    let Some(position) = within(written).await else { return Reply::Elsewhere(leader(raft)) };
    let node_id = position.log_id.index;
    let learner = BasicNode::new(&address);
    if within(raft.add_learner(node_id, learner, false)).await.is_none() {
        return Reply::Elsewhere(leader(raft));
    }
    tracing::info!(node_id, address, "a replica joins");
    Reply::Joined(Identity { cluster_id: cluster_id.to_owned(), node_id })
}

fn leader(raft: &Raft) -> Option<String> {
    leader_address(&raft.metrics().borrow())
}

/// Where the leader is reached, as far as this replica knows.
pub fn leader_address(metrics: &Metrics) -> Option<String> {
    let leader = metrics.current_leader?;
    let node = metrics.membership_config.membership().get_node(&leader)?;
    Some(node.addr.clone()).filter(|address| !address.is_empty())
}

/// One step towards a membership whose voters are the newest replica of each address.
fn next_change(metrics: &Metrics, own: &str) -> Option<ChangeMembers<u64, BasicNode>> {
    if metrics.state != ServerState::Leader {
        return None;
    }
    let members = metrics.membership_config.membership();
    let voters: BTreeSet<u64> = members.get_joint_config().last()?.clone();
    if members.get_joint_config().len() > 1 {
        return Some(ChangeMembers::ReplaceAllVoters(voters));
    }
    let moved = members.get_node(&metrics.id).is_some_and(|node| node.addr != own);
    if moved {
        return Some(ChangeMembers::SetNodes([(metrics.id, BasicNode::new(own))].into()));
    }
    superseded(members).or_else(|| promoted(metrics, members, voters))
}

/// Ids that an address was given before its last: it never came to use them.
fn superseded(members: &Membership<u64, BasicNode>) -> Option<ChangeMembers<u64, BasicNode>> {
    let newest =
        |address: &str| members.nodes().filter(|(_, node)| node.addr == address).map(|(id, _)| *id).max();
    let learners = members.learner_ids();
    let old = learners.filter(|id| {
        members.get_node(id).and_then(|node| newest(&node.addr)).is_some_and(|newest| newest != *id)
    });
    let old: BTreeSet<u64> = old.collect();
    (!old.is_empty()).then_some(ChangeMembers::RemoveNodes(old))
}

/// A replica that has caught up votes, in the place of the one that was there before.
fn promoted(
    metrics: &Metrics,
    members: &Membership<u64, BasicNode>,
    mut voters: BTreeSet<u64>,
) -> Option<ChangeMembers<u64, BasicNode>> {
    let last = metrics.last_log_index?;
    let replicated = metrics.replication.as_ref()?;
    let has_caught_up = |id: &u64| {
        replicated.get(id).copied().flatten().is_some_and(|matching| matching.index + BEHIND >= last)
    };
    let learner = members.learner_ids().find(has_caught_up)?;
    let address = &members.get_node(&learner)?.addr;
    voters.retain(|voter| members.get_node(voter).is_none_or(|node| node.addr != *address));
    voters.insert(learner);
    Some(ChangeMembers::ReplaceAllVoters(voters))
}

/// None where it fails or takes too long: it is tried again, perhaps by another leader.
async fn within<T, E: std::fmt::Display>(change: impl Future<Output = Result<T, E>>) -> Option<T> {
    match timeout(LONGEST, change).await {
        Ok(Ok(done)) => Some(done),
        Ok(Err(error)) => {
            tracing::debug!(%error, "the membership stays");
            None
        }
        Err(_) => {
            tracing::warn!("a change of the membership is not agreed on: are most replicas reachable?");
            None
        }
    }
}

const PACE: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(5);
/// Entries that a replica may lack and still count as there.
const BEHIND: u64 = 16;

#[cfg(test)]
mod tests {
    use openraft::StoredMembership;

    use super::*;

    /// What replica 1 knows as leader: configs of voters, addresses, and how far each has got in a log of 100 entries.
    fn metrics(configs: &[&[u64]], nodes: &[(u64, &str)], reached: &[(u64, u64)]) -> Metrics {
        let configs = configs.iter().map(|voters| voters.iter().copied().collect()).collect();
        let nodes: BTreeMap<u64, BasicNode> =
            nodes.iter().map(|(id, address)| (*id, BasicNode::new(*address))).collect();
        let position = |index| openraft::LogId::new(openraft::CommittedLeaderId::new(1, 1), index);
        let mut metrics = Metrics::new_initial(1);
        metrics.state = ServerState::Leader;
        metrics.last_log_index = Some(100);
        metrics.membership_config = StoredMembership::new(None, Membership::new(configs, nodes)).into();
        metrics.replication = Some(reached.iter().map(|(id, index)| (*id, Some(position(*index)))).collect());
        metrics
    }

    #[test]
    fn a_change_that_was_left_half_done_is_finished_before_anything_else() {
        let half = metrics(&[&[1, 2], &[1, 2, 7]], &[(1, "a"), (2, "b"), (7, "c"), (9, "d")], &[(9, 100)]);
        assert_eq!(next_change(&half, "a"), Some(ChangeMembers::ReplaceAllVoters([1, 2, 7].into())));
    }

    #[test]
    fn a_replica_votes_once_it_has_caught_up_and_in_the_place_of_who_was_there() {
        let nodes = [(1, "a"), (2, "b"), (3, "c"), (40, "c")];
        let behind = metrics(&[&[1, 2, 3]], &nodes, &[(40, 100 - BEHIND - 1)]);
        assert_eq!(next_change(&behind, "a"), None);
        let there = metrics(&[&[1, 2, 3]], &nodes, &[(40, 100 - BEHIND)]);
        assert_eq!(next_change(&there, "a"), Some(ChangeMembers::ReplaceAllVoters([1, 2, 40].into())));
    }

    #[test]
    fn an_id_that_its_replica_never_came_to_use_goes() {
        let twice = metrics(&[&[1, 2]], &[(1, "a"), (2, "b"), (7, "c"), (9, "c")], &[(7, 100), (9, 100)]);
        assert_eq!(next_change(&twice, "a"), Some(ChangeMembers::RemoveNodes([7].into())));
    }

    #[test]
    fn a_leader_that_moved_says_where_it_is() {
        let moved = metrics(&[&[1]], &[(1, "")], &[]);
        assert_eq!(
            next_change(&moved, "a"),
            Some(ChangeMembers::SetNodes([(1, BasicNode::new("a"))].into()))
        );
        let settled = metrics(&[&[1]], &[(1, "a")], &[]);
        assert_eq!(next_change(&settled, "a"), None);
    }

    #[test]
    fn nobody_but_the_leader_changes_anything() {
        let mut follower = metrics(&[&[1]], &[(1, "")], &[]);
        follower.state = ServerState::Follower;
        assert_eq!(next_change(&follower, "a"), None);
    }
}
