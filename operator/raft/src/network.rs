//! openraft's calls to other replicas.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use openraft::error::{
    Fatal, InstallSnapshotError, RPCError, RaftError, ReplicationClosed, StreamingError, Unreachable,
};
use openraft::network::{Backoff, RPCOption};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, InstallSnapshotResponse,
    SnapshotResponse, VoteRequest, VoteResponse,
};
use openraft::{BasicNode, OptionalSend, RaftNetwork, RaftNetworkFactory, Snapshot};
use tokio::task::JoinHandle;

use crate::Identity;
use crate::call::{Call, Reply};
use crate::config::{LogId, TypeConfig, Vote};
use crate::peers::Peers;

/// Makes a client for each member.
pub struct Network {
    pub cluster_id: String,
    /// None where this replica is to stay alone.
    pub peers: Option<Peers>,
    pub silent: Silent,
}

/// Members that the last entries did not reach.
#[derive(Clone, Default)]
pub struct Silent(Arc<Mutex<BTreeSet<u64>>>);

pub struct Client {
    to: Identity,
    address: String,
    peers: Option<Peers>,
    sending: Option<Sending>,
    silent: Silent,
}

/// Entries on their way. openraft gives an answer as long as a heartbeat takes and then sends the same again; a large
/// command on a slow link would never arrive, so what was begun goes on.
struct Sending {
    entries: Entries,
    answer: JoinHandle<Result<Reply, String>>,
}

/// Leader, the position before the entries, and the last of them.
type Entries = (Vote, Option<LogId>, Option<LogId>);

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = Client;

    async fn new_client(&mut self, target: u64, node: &BasicNode) -> Client {
        let to = Identity { cluster_id: self.cluster_id.clone(), node_id: target };
        Client {
            to,
            address: node.addr.clone(),
            peers: self.peers.clone(),
            sending: None,
            silent: self.silent.clone(),
        }
    }
}

impl Client {
    fn call(&self, call: Call, within: Duration) -> impl Future<Output = Result<Reply, String>> + use<> {
        let (peers, address, to) = (self.peers.clone(), self.address.clone(), self.to.clone());
        async move {
            let peers = peers.ok_or("this replica was started without the addresses of others")?;
            let reply = peers.ask(&address, Some(to.clone()), call, within).await;
            match reply.map_err(|error| error.to_string())? {
                Reply::Is(found) => Err(format!("{address} is {found}, not {to}")),
                Reply::Empty => Err(format!("{address} has lost the store of {to}")),
                Reply::Refused(reason) => Err(reason),
                reply => Ok(reply),
            }
        }
    }

    async fn append(&mut self, rpc: AppendEntriesRequest<TypeConfig>) -> Result<Reply, String> {
        let entries = (rpc.vote, rpc.prev_log_id, rpc.entries.last().map(|entry| entry.log_id));
        let sending = match self.sending.take().filter(|sending| sending.entries == entries) {
            Some(sending) => sending,
            None => Sending { entries, answer: tokio::spawn(self.call(Call::Append(rpc), LONGEST)) },
        };
        let answer = &mut self.sending.insert(sending).answer;
        let answer = answer.await.map_err(|error| error.to_string())?;
        self.sending = None;
        self.tell(answer.as_ref().err());
        answer
    }

    /// Once for each change: openraft itself says it five times a second.
    fn tell(&self, failed: Option<&String>) {
        let changed = self.silent.set(self.to.node_id, failed.is_some());
        match failed {
            Some(reason) if changed => {
                tracing::warn!(replica = %self.to, address = self.address, reason, "a replica is not reached");
            }
            None if changed => {
                tracing::info!(replica = %self.to, address = self.address, "a replica is reached again");
            }
            _ => {}
        }
    }
}

impl Silent {
    pub fn contains(&self, node_id: u64) -> bool {
        self.lock().contains(&node_id)
    }

    /// Whether that is new.
    fn set(&self, node_id: u64, silent: bool) -> bool {
        let mut members = self.lock();
        if silent { members.insert(node_id) } else { members.remove(&node_id) }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<u64>> {
        // No code that can panic runs under the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.answer.abort();
    }
}

type RpcResult<T, E = openraft::error::Infallible> = Result<T, RPCError<u64, BasicNode, RaftError<u64, E>>>;

impl RaftNetwork<TypeConfig> for Client {
    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<TypeConfig>,
        _option: RPCOption,
    ) -> RpcResult<AppendEntriesResponse<u64>> {
        match self.append(rpc).await {
            Ok(Reply::Append(response)) => Ok(response),
            other => Err(RPCError::Unreachable(unreachable(other))),
        }
    }

    async fn install_snapshot(
        &mut self,
        _rpc: InstallSnapshotRequest<TypeConfig>,
        _option: RPCOption,
    ) -> RpcResult<InstallSnapshotResponse<u64>, InstallSnapshotError> {
        // openraft calls full_snapshot instead.
        Err(RPCError::Unreachable(unreachable(Err("snapshots are sent whole".to_owned()))))
    }

    async fn vote(&mut self, rpc: VoteRequest<u64>, option: RPCOption) -> RpcResult<VoteResponse<u64>> {
        match self.call(Call::Vote(rpc), option.hard_ttl()).await {
            Ok(Reply::Vote(response)) => Ok(response),
            other => Err(RPCError::Unreachable(unreachable(other))),
        }
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot<TypeConfig>,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse<u64>, StreamingError<TypeConfig, Fatal<u64>>> {
        let Snapshot { meta, snapshot: state } = snapshot;
        let state: Bytes = *state;
        tokio::select! {
            biased;
            closed = cancel => Err(StreamingError::Closed(closed)),
            answer = self.call(Call::Snapshot { vote, meta, state }, option.hard_ttl()) => match answer {
                Ok(Reply::Snapshot(response)) => Ok(response),
                other => Err(StreamingError::Unreachable(unreachable(other))),
            },
        }
    }

    fn backoff(&self) -> Backoff {
        Backoff::new(std::iter::repeat(AGAIN))
    }
}

fn unreachable(answer: Result<Reply, String>) -> Unreachable {
    let reason = answer.map_or_else(|reason| reason, |reply| format!("{reply:?} is no answer to this"));
    Unreachable::new(&io::Error::other(reason))
}

/// Of one call, however slow the link is.
const LONGEST: Duration = Duration::from_secs(30);
/// Before a replica that could not be reached is called again.
const AGAIN: Duration = Duration::from_millis(200);
