//! From this replica's desk to the replica that decides.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::StreamExt;
use sluice_distribute::{AgentEvent, AgentEventKind, Drops};
use sluice_proto::v1::relayed::Kind;
use sluice_proto::v1::{Addressee, Ahead, Gone, Relayed};
use sluice_raft::Raft;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;
use tonic::Status;

use crate::samples::Watched;
use crate::{Desk, Lines};

/// Relays to whichever other replica decides, for as long as it is polled.
pub async fn relay(raft: &Raft, lines: &dyn Lines, desk: &Desk, drops: &Drops) -> std::convert::Infallible {
    loop {
        let ended = tokio::select! {
            biased;
            ended = once(raft, lines, desk, drops) => ended,
            () = raft.leader_changed() => continue,
        };
        if let Err(status) = ended {
            tracing::debug!(reason = status.message(), "the relay to the deciding replica ended");
        }
        sleep(AGAIN).await;
    }
}

/// Until the stream ends.
async fn once(raft: &Raft, lines: &dyn Lines, desk: &Desk, drops: &Drops) -> Result<(), Status> {
    // It leads and does not decide yet: its own desk will be heard without a relay, and not twice.
    let Some((decides, leader)) = raft.leader().filter(|(leader, _)| leader != raft.identity()) else {
        return Ok(());
    };
    let (outgoing, queue) = mpsc::channel(QUEUE);
    let to = Addressee { cluster_id: decides.cluster_id, node_id: decides.node_id };
    let first = Relayed { kind: Some(Kind::To(to)), ..Relayed::default() };
    outgoing.try_send(first).expect("an empty queue has room");
    let mut orders = lines.relay(&leader, queue).await?;
    tracing::info!(leader, "what agents say goes to the replica that decides");
    let (ear, mut heard) = mpsc::channel(1);
    let _listening = desk.listen(ear);
    let (watched, wanted) = watch::channel(BTreeSet::new());
    let mut samples = Watched::new(drops.clone(), wanted);
    loop {
        let next = tokio::select! {
            biased;
            order = orders.next() => match order.transpose()? {
                Some(order) => {
                    watched.send_replace(order.watched.into_iter().collect());
                    continue;
                }
                None => return Ok(()),
            },
            event = heard.recv() => match event {
                Some(event) => to_wire(event),
                None => return Ok(()),
            },
            (node, batch) = samples.next() => Relayed { node, session: 0, kind: Some(Kind::Samples(batch)) },
        };
        if outgoing.send(next).await.is_err() {
            return Ok(());
        }
    }
}

fn to_wire(event: AgentEvent) -> Relayed {
    let AgentEvent { node, session, kind } = event;
    let kind = match kind {
        AgentEventKind::Connected(hello) => Kind::Connected(*hello),
        AgentEventKind::Disconnected => Kind::Disconnected(Gone {}),
        AgentEventKind::Ahead { epoch, cluster_id } => {
            Kind::Ahead(Ahead { epoch: Some(epoch.into()), cluster_id })
        }
        AgentEventKind::Verdicts(verdicts) => Kind::Verdicts(verdicts),
        AgentEventKind::Report(report) => Kind::Report(*report),
    };
    Relayed { node, session, kind: Some(kind) }
}

const QUEUE: usize = 256;
const AGAIN: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures::FutureExt;
    use futures::future::BoxFuture;
    use sluice_proto::v1::RelayOrder;
    use sluice_raft::{Bytes, Options, Peers, Transport, Unreached, found_or_join};
    use tokio::time::timeout;

    use super::*;
    use crate::lines::Orders;

    /// Whoever is called says so.
    struct Called(mpsc::Sender<String>);

    impl Lines for Called {
        fn relay(
            &self,
            leader: &str,
            _: mpsc::Receiver<Relayed>,
        ) -> BoxFuture<'static, Result<Orders, Status>> {
            self.0.try_send(leader.to_owned()).expect("room for every call");
            async { Ok(futures::stream::pending::<Result<RelayOrder, Status>>().boxed()) }.boxed()
        }
    }

    impl Transport for Called {
        fn call(&self, _: &str, _: Bytes) -> BoxFuture<'static, Result<Bytes, Unreached>> {
            async { Err(Unreached("nobody is there".to_owned())) }.boxed()
        }
    }

    /// Its own desk is heard without: what came both ways would end with the relay.
    #[tokio::test]
    async fn who_leads_relays_nothing_to_itself() {
        let (dir, (calls, mut called)) = (tempfile::tempdir().expect("a directory"), mpsc::channel(8));
        let transport = Arc::new(Called(calls.clone()));
        let peers = Peers { own: "a".to_owned(), all: vec!["a".to_owned()], transport };
        found_or_join(dir.path(), &peers).await.expect("a store");
        let options = Options { peers: Some(peers), ..Options::new(|reason| panic!("{reason}")) };
        let raft = Raft::open(dir.path(), options).await.expect("opened");
        drop(raft.lead().await.expect("it leads"));
        assert!(raft.leader().is_some_and(|(leader, _)| leader == *raft.identity()));
        let desk = Desk::open(mpsc::channel(1).1, watch::Sender::default());
        let lines = Called(calls);
        let drops = Drops::default();
        let relayed = relay(&raft, &lines, &desk, &drops);
        assert!(timeout(10 * AGAIN, relayed).await.is_err(), "it goes on");
        assert_eq!(called.try_recv().ok(), None);
        raft.shutdown().await;
    }
}
