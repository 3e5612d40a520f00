//! The side that is called.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::{Stream, StreamExt};
use sluice_distribute::{AgentEvent, AgentEventKind};
use sluice_pki::Peer;
use sluice_proto::v1::relayed::Kind;
use sluice_proto::v1::replication_server::Replication;
use sluice_proto::v1::{Addressee, Part, RelayOrder, Relayed};
use sluice_raft::{Bytes, Identity, Raft, answer_without_store};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::wire::{parts, whole};
use crate::{Heard, Intake};

/// Who answers calls of the consensus.
pub enum Answers {
    WithoutStore,
    Replica(Raft),
}

pub struct ReplicationService {
    pub answers: Answers,
    /// None while this replica does not decide.
    pub intake: watch::Receiver<Option<Intake>>,
    relays: AtomicU64,
}

impl ReplicationService {
    pub fn new(answers: Answers, intake: watch::Receiver<Option<Intake>>) -> ReplicationService {
        ReplicationService { answers, intake, relays: AtomicU64::default() }
    }

    /// Takes in what a replica relays, until that ends or this one decides no more.
    ///
    /// # Errors
    /// This replica does not decide. A relay that is for another ends with an error.
    pub fn take_in(
        &self,
        mut relayed: impl Words,
    ) -> Result<ReceiverStream<Result<RelayOrder, Status>>, Status> {
        let mut intake = self.intake.clone();
        let open = intake.borrow_and_update().clone();
        let Some((Answers::Replica(raft), open)) = open.map(|open| (&self.answers, open)) else {
            return Err(Status::failed_precondition("this replica does not decide"));
        };
        let own = raft.identity().clone();
        let replica = self.relays.fetch_add(1, Ordering::Relaxed) + 1;
        let (orders, answer) = mpsc::channel(1);
        tokio::spawn(async move {
            match addressed(&own, &mut relayed).await {
                Ok(()) => take_in(replica, open, intake, relayed, orders).await,
                // Whoever relays may have gone.
                Err(status) => _ = orders.send(Err(status)).await,
            }
        });
        Ok(ReceiverStream::new(answer))
    }

    async fn answer(&self, request: &[u8]) -> Bytes {
        match &self.answers {
            Answers::WithoutStore => answer_without_store(request),
            Answers::Replica(raft) => raft.answer(request).await,
        }
    }
}

#[tonic::async_trait]
impl Replication for ReplicationService {
    type CallStream = Pin<Box<dyn Stream<Item = Result<Part, Status>> + Send>>;
    type RelayStream = ReceiverStream<Result<RelayOrder, Status>>;

    async fn call(&self, request: Request<Streaming<Part>>) -> Result<Response<Self::CallStream>, Status> {
        require_operator(&request)?;
        let request = whole(request.into_inner()).await?;
        let answer = self.answer(&request).await;
        Ok(Response::new(Box::pin(parts(answer).map(Ok))))
    }

    async fn relay(
        &self,
        request: Request<Streaming<Relayed>>,
    ) -> Result<Response<Self::RelayStream>, Status> {
        require_operator(&request)?;
        Ok(Response::new(self.take_in(request.into_inner())?))
    }
}

fn require_operator<T>(request: &Request<T>) -> Result<(), Status> {
    match Peer::of(request) {
        Ok(Some(Peer::Operator(_))) => Ok(()),
        _ => Err(Status::permission_denied("only replicas of this operator may call this")),
    }
}

/// What a replica relays.
pub trait Words: Stream<Item = Result<Relayed, Status>> + Send + Unpin + 'static {}

impl<S: Stream<Item = Result<Relayed, Status>> + Send + Unpin + 'static> Words for S {}

/// Whether a relay is for this replica, as its first word says.
async fn addressed(own: &Identity, relayed: &mut impl Words) -> Result<(), Status> {
    let first = relayed.next().await.transpose()?.and_then(|first| first.kind);
    match first {
        Some(Kind::To(Addressee { cluster_id, node_id }))
            if cluster_id == own.cluster_id && node_id == own.node_id =>
        {
            Ok(())
        }
        other => {
            Err(Status::failed_precondition(format!("this replica is {own}, the relay is for {other:?}")))
        }
    }
}

/// Runs until the relay ends or this replica decides no more.
async fn take_in(
    replica: u64,
    open: Intake,
    mut intake: watch::Receiver<Option<Intake>>,
    mut relayed: impl Words,
    orders: mpsc::Sender<Result<RelayOrder, Status>>,
) {
    let mut watched = open.drops.watched();
    watched.mark_changed();
    loop {
        tokio::select! {
            biased;
            _ = intake.changed() => break,
            Ok(()) = watched.changed() => {
                let nodes = watched.borrow_and_update().values().cloned().collect();
                if orders.send(Ok(RelayOrder { watched: nodes })).await.is_err() {
                    break;
                }
            }
            message = relayed.next() => {
                let Some(Ok(message)) = message else { break };
                if !pass_on(replica, &open, message).await {
                    break;
                }
            }
        }
    }
    // If nobody hears it, nobody decides here any more.
    _ = open.heard.send(Heard::RelayEnded(replica)).await;
}

async fn pass_on(replica: u64, open: &Intake, message: Relayed) -> bool {
    let Relayed { node, session, kind } = message;
    let kind = match kind {
        Some(Kind::Connected(hello)) => AgentEventKind::Connected(Box::new(hello)),
        Some(Kind::Disconnected(_)) => AgentEventKind::Disconnected,
        Some(Kind::Ahead(ahead)) => AgentEventKind::Ahead {
            epoch: ahead.epoch.map(Into::into).unwrap_or_default(),
            cluster_id: ahead.cluster_id,
        },
        Some(Kind::Verdicts(verdicts)) => AgentEventKind::Verdicts(verdicts),
        Some(Kind::Report(report)) => AgentEventKind::Report(Box::new(report)),
        Some(Kind::Samples(samples)) => {
            open.drops.publish(&node, samples);
            return true;
        }
        // Of a newer version; whom it is for was said before.
        Some(Kind::To(_)) | None => return true,
    };
    let event = AgentEvent { node, session, kind };
    open.heard.send(Heard::Agent { replica, event }).await.is_ok()
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    #[tokio::test]
    async fn a_relay_is_for_the_replica_that_it_names() {
        let own = Identity { cluster_id: "a".to_owned(), node_id: 1 };
        let to =
            |cluster: &str, node_id| Some(Kind::To(Addressee { cluster_id: cluster.to_owned(), node_id }));
        for (first, is_ours) in [
            (to("a", 1), true),
            (to("a", 7), false),
            (to("b", 1), false),
            (Some(Kind::Disconnected(Default::default())), false),
            (None, false),
        ] {
            let word = Relayed { kind: first.clone(), ..Relayed::default() };
            let asked = addressed(&own, &mut stream::iter([Ok(word)])).await;
            assert_eq!(asked.is_ok(), is_ours, "{first:?}");
        }
        assert!(addressed(&own, &mut stream::iter([])).await.is_err(), "it ended before it began");
    }
}
