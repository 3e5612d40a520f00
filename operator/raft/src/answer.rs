//! What a replica answers to the others.

use bytes::Bytes;
use openraft::Snapshot;
use tokio::sync::oneshot;

use crate::call::{Call, Reply, Request, decode, encode};
use crate::{ProposeError, Raft};

/// The answer of a replica that has no store yet.
pub fn answer_without_store(request: &[u8]) -> Bytes {
    encode(&match decode::<Request>(request) {
        Ok(_) => Reply::Empty,
        Err(reason) => Reply::Refused(reason),
    })
}

impl Raft {
    /// Answers a call that another replica's [`Transport`](crate::Transport) carried here; who is at the other end must
    /// be known to be a replica.
    pub async fn answer(&self, request: &[u8]) -> Bytes {
        let reply = match decode::<Request>(request) {
            Ok(Request { to: Some(to), .. }) if to != *self.identity() => Reply::Is(self.identity().clone()),
            Ok(Request { call, .. }) => self.reply(call).await,
            Err(reason) => Reply::Refused(reason),
        };
        encode(&reply)
    }

    async fn reply(&self, call: Call) -> Reply {
        let refused = |error: &dyn std::fmt::Display| Reply::Refused(error.to_string());
        let raft = &self.inner.raft;
        match call {
            Call::Who => Reply::Is(self.identity().clone()),
            Call::Join { address } => self.join(address).await,
            Call::Append(rpc) => {
                raft.append_entries(rpc).await.map_or_else(|error| refused(&error), Reply::Append)
            }
            Call::Vote(rpc) => raft.vote(rpc).await.map_or_else(|error| refused(&error), Reply::Vote),
            Call::Snapshot { vote, meta, state } => {
                if let Err(error) = self.inner.log.receive(meta.clone(), state.clone()).await {
                    return refused(&error);
                }
                let snapshot = Snapshot { meta, snapshot: Box::new(state) };
                let installed = raft.install_full_snapshot(vote, snapshot).await;
                installed.map_or_else(|error| refused(&error), Reply::Snapshot)
            }
            Call::Propose(command) => match self.write(command).await {
                Ok(applied) => Reply::Proposed(applied),
                Err(ProposeError::Elsewhere(leader)) => Reply::Elsewhere(leader),
                Err(error) => refused(&error),
            },
            Call::Agreed => match raft.ensure_linearizable().await {
                Ok(position) => Reply::Agreed(position.map(|position| position.index)),
                Err(_) => Reply::Elsewhere(self.leader_address()),
            },
        }
    }

    async fn join(&self, address: String) -> Reply {
        let (reply, answer) = oneshot::channel();
        match &self.inner.joins {
            Some(joins) if joins.send((address, reply)).await.is_ok() => {
                answer.await.unwrap_or(Reply::Elsewhere(None))
            }
            _ => Reply::Refused("this replica was started without the addresses of others".to_owned()),
        }
    }
}
