//! Where the other replicas are, and what carries calls to them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use tokio::time::timeout;

use crate::Identity;
use crate::call::{Call, Reply, Request, decode, encode};

/// The replicas of a cluster, as this one is told of them.
#[derive(Clone)]
pub struct Peers {
    /// Where the others reach this replica; one of `all`.
    pub own: String,
    /// Every replica, in the same order everywhere: the first founds the cluster.
    pub all: Vec<String>,
    pub transport: Arc<dyn Transport>,
}

/// Carries calls between replicas, over connections that prove who is at both ends.
pub trait Transport: Send + Sync + 'static {
    /// Hands `request` to [`Raft::answer`](crate::Raft::answer) of the replica at `address`, and its answer back.
    /// How long an answer may take is the caller's: it drops the future.
    fn call(&self, address: &str, request: Bytes) -> BoxFuture<'static, Result<Bytes, Unreached>>;
}

/// Whether the replica has seen the request is not known.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unreached(pub String);

impl Peers {
    pub(crate) fn others(&self) -> impl Iterator<Item = &String> {
        self.all.iter().filter(|address| **address != self.own)
    }

    /// Asks the replica at `address`; with `to`, that one and no other that may be there.
    pub(crate) async fn ask(
        &self,
        address: &str,
        to: Option<Identity>,
        call: Call,
        within: Duration,
    ) -> Result<Reply, Unreached> {
        let answer = self.transport.call(address, encode(&Request { to, call }));
        let answer = timeout(within, answer).await;
        let answer = answer.map_err(|_| Unreached(format!("no answer within {within:?}")))?;
        decode(&answer?).map_err(Unreached)
    }

    pub(crate) fn founds(&self) -> bool {
        self.all.first() == Some(&self.own)
    }
}

impl fmt::Debug for Peers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.own, self.all.join(", "))
    }
}
