//! An operator's process: what `run` puts together, over simulated parts.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use futures::{SinkExt, StreamExt, stream};
use sluice_distribute::{Distributor, Drops, Limits, Streams, TokenCheck, TokenRefused};
use sluice_pki::{Holder, NodeName};
use sluice_proto::v1::{AgentMessage, Relayed, ServerMessage};
use sluice_raft::simulated::{found_or_join, open};
use sluice_raft::{OpenError, Options, Peers, Raft, answer_without_store};
use sluice_replicas::{Answers, Desk, ReplicationService};
use sluice_telemetry::Pulse;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use turmoil::net::TcpListener;

use super::REPLICAS;
use super::wires::{CALL, PORT, RELAY, STREAM, Wire, Wires, frames, talk};
use super::world::{Running, World, replica};
use crate::duty::Duty;
use crate::publish::Writer;
use crate::view::View;

/// Nobody joins here: connections say who they are.
struct Nobody;

#[tonic::async_trait]
impl TokenCheck for Nobody {
    async fn node_of(&self, _: &str, _: &[u8]) -> Result<NodeName, TokenRefused> {
        Err(TokenRefused::Denied("nobody joins".to_owned()))
    }
}

/// What connections are answered by, once there is a store.
struct Open {
    raft: Raft,
    replication: ReplicationService,
    streams: Streams,
}

pub async fn run(world: World, index: usize) -> turmoil::Result {
    let listener = TcpListener::bind(("0.0.0.0", PORT)).await?;
    let served = Arc::new(OnceLock::new());
    tokio::spawn(serve(listener, served.clone()));
    let address = |index| format!("{}:{PORT}", replica(index));
    let peers =
        Peers { own: address(index), all: (0..REPLICAS).map(address).collect(), transport: Arc::new(Wires) };
    let (raft, failed) = loop {
        match begin(&world, index, peers.clone()).await {
            Ok(begun) => break begun,
            // A full disk: a process that ends is started again.
            Err(_) => sleep(Duration::from_millis(500)).await,
        }
    };
    let view = watch::Sender::new(Arc::new(View::default()));
    let running = Running { raft: raft.clone(), view: view.subscribe(), failed: false };
    world.running()[index] = Some(running);
    tokio::spawn(watched(world.clone(), index, raft.clone()));
    let duty = put_together(&world, index, &raft, view, &served);
    tokio::select! {
        biased;
        _ = failed => {}
        _ = duty.run() => {}
    }
    // As a process that ends: whoever looks after it starts it anew.
    if let Some(running) = &mut world.running()[index] {
        running.failed = true;
    }
    std::future::pending().await
}

async fn begin(
    world: &World,
    index: usize,
    peers: Peers,
) -> Result<(Raft, oneshot::Receiver<String>), OpenError> {
    let disk = &world.disks[index];
    found_or_join(disk, &peers).await?;
    let (fail, failed) = oneshot::channel();
    let options = Options::new(|reason| _ = fail.send(reason));
    let raft = open(disk, Options { peers: Some(peers), ..options }).await?;
    Ok((raft, failed))
}

fn put_together(
    world: &World,
    index: usize,
    raft: &Raft,
    view: watch::Sender<Arc<View>>,
    served: &OnceLock<Open>,
) -> Duty {
    let (events, said) = mpsc::channel(64);
    let (again_sender, again) = watch::channel(0);
    let (intake_sender, intake) = watch::channel(None);
    let drops = Drops::default();
    let distributor = Distributor {
        state: raft.state(),
        cluster_id: raft.identity().cluster_id.clone(),
        replica: Arc::new(raft.clone()),
        authority: world.authority.clone(),
        tokens: Arc::new(Nobody),
        events,
        again,
        drops: drops.clone(),
        limits: Limits::default(),
        clock: SystemTime::now,
    };
    let open = Open {
        raft: raft.clone(),
        replication: ReplicationService::new(Answers::Replica(raft.clone()), intake),
        streams: distributor.streams(&CancellationToken::new()),
    };
    assert!(served.set(open).is_ok(), "a process puts itself together once");
    Duty {
        raft: raft.clone(),
        lines: Arc::new(Wires),
        desk: Desk::open(said, again_sender),
        drops,
        desired: world.desired[index].subscribe(),
        confirm: mpsc::channel(1).1,
        questions: mpsc::channel(1).1,
        pulse: Pulse::default(),
        traced_nodes: 0,
        intake: intake_sender,
        view,
        writer: Arc::new(Writer::Nowhere),
        tainted: None,
        authority: world.authority.clone(),
    }
}

/// Each state that this replica shows.
async fn watched(world: World, index: usize, raft: Raft) {
    let mut states = raft.state();
    loop {
        let state = states.borrow_and_update().clone();
        world.record.shown(index, &state);
        if states.changed().await.is_err() {
            return;
        }
    }
}

async fn serve(listener: TcpListener, served: Arc<OnceLock<Open>>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(answer(frames(stream), served.clone()));
    }
}

async fn answer(mut wire: Wire, served: Arc<OnceLock<Open>>) -> Option<()> {
    let purpose = wire.next().await?.ok()?;
    if purpose == CALL {
        let request = wire.next().await?.ok()?;
        let answer = match served.get() {
            Some(open) => open.raft.answer(&request).await,
            None => answer_without_store(&request),
        };
        return wire.send(answer).await.ok();
    }
    let open = served.get()?;
    if purpose == RELAY {
        let (hear, orders) = mpsc::channel(16);
        let relayed = talk::<_, Relayed>(wire, received(orders));
        let mut answer = open.replication.take_in(relayed).ok()?;
        while let Some(Ok(order)) = answer.next().await {
            hear.send(order).await.ok()?;
        }
    } else if let Some(node) = purpose.strip_prefix(STREAM) {
        let node = String::from_utf8(node.to_vec()).ok()?;
        let (hear, answers) = mpsc::channel::<ServerMessage>(1);
        let said = talk::<_, AgentMessage>(wire, received(answers));
        let mut answer = open.streams.open(Holder { node, series: 0 }, said);
        while let Some(Ok(message)) = answer.next().await {
            hear.send(message).await.ok()?;
        }
    }
    Some(())
}

fn received<T: Send + 'static>(queue: mpsc::Receiver<T>) -> stream::BoxStream<'static, T> {
    stream::unfold(queue, |mut queue| async { queue.recv().await.map(|word| (word, queue)) }).boxed()
}
