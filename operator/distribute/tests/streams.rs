//! The port with real clients over mutual TLS.
#![allow(clippy::unwrap_used, reason = "a helper's panic is the test's failure")]

#[path = "streams/agent.rs"]
mod agent;
#[path = "streams/operator.rs"]
mod operator;
#[path = "streams/replicas.rs"]
mod replicas;
#[path = "streams/sets.rs"]
mod sets;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use agent::{Stream, brief, certificate, enroll, hello, hello_with, join};
use operator::{CLUSTER, Operator, PATIENCE, is_connected, signer, state};
use rcgen::KeyPair;
use sluice_distribute::{AgentEventKind, Limits};
use sluice_pki::Authority;
use sluice_plan::Epoch;
use sluice_proto::v1;
use sluice_proto::v1::agent_message::Kind as Said;
use sluice_proto::v1::server_message::Kind;
use sluice_raft::{Command, Options, Raft, SIGNER, State};
use sluice_seal::Signer;
use tokio::sync::watch;
use tokio::time::timeout;
use tonic::Code;

type Push = watch::Sender<Arc<State>>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_agents_get_each_state_once() {
    let (push, mut operator) = start(state(1, "one"), Limits::default()).await;
    let mut agents = [Stream::fresh(&operator, "edge-1").await, Stream::fresh(&operator, "edge-2").await];
    for agent in &mut agents {
        let update = agent.update().await;
        assert_eq!(brief(&update), "1 one");
        assert_eq!(update.cluster_id, CLUSTER);
        agent.confirm(&update, "one").await;
    }
    push.send_replace(state(2, "two"));
    for agent in &mut agents {
        let update = agent.update().await;
        assert_eq!(brief(&update), "2 two");
        agent.confirm(&update, "two").await;
    }
    let mut told = Vec::new();
    while told.len() < 6 {
        let event = operator.event().await;
        told.push((event.node, matches!(event.kind, AgentEventKind::Verdicts(_))));
    }
    for node in ["edge-1", "edge-2"] {
        let of_node: Vec<bool> =
            told.iter().filter(|(name, _)| name == node).map(|(_, verdict)| *verdict).collect();
        assert_eq!(of_node, [false, true, true], "{node}: connected, then a verdict per update");
    }
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn samples_come_while_somebody_watches_and_not_among_the_events() {
    let (_push, mut operator) = start(state(1, "one"), Limits::default()).await;
    let mut agent = Stream::fresh(&operator, "edge-1").await;
    let update = agent.update().await;
    agent.confirm(&update, "one").await;
    let mut watcher = operator.drops.watch("").unwrap();
    let Some(Kind::Sample(asked)) = agent.hear().await.unwrap() else { panic!("samples were asked for") };
    assert!(asked.for_ms > 0);
    let sample = v1::DropSample { policy_uid: "u".into(), name: "flood".into(), ..Default::default() };
    let batch = v1::SampleBatch { samples: vec![sample], lost: 3, suppressed: 4 };
    agent.say.send(v1::AgentMessage { kind: Some(Said::Samples(batch.clone())) }).await.unwrap();
    let (found, missed) = timeout(PATIENCE, watcher.next()).await.expect("a batch in time");
    assert_eq!((found.node.as_str(), &found.batch, missed), ("edge-1", &batch, 0));
    drop(watcher);
    let Some(Kind::Sample(ended)) = agent.hear().await.unwrap() else { panic!("the end was told") };
    assert_eq!(ended.for_ms, 0);
    drop(agent);
    let mut kinds = Vec::new();
    while kinds.len() < 3 {
        kinds.push(operator.event().await.kind);
    }
    assert!(
        matches!(
            &kinds[..],
            [AgentEventKind::Connected(_), AgentEventKind::Verdicts(_), AgentEventKind::Disconnected]
        ),
        "{kinds:?}"
    );
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reconnect_with_nothing_changed_costs_no_bytes_of_the_plan() {
    let plan = "p".repeat(1 << 20);
    let (_push, operator) = start(state(4, &plan), Limits::default()).await;
    let identity = join(&operator, "edge-1").await;
    let epoch = Epoch { incarnation: 1, term: 1, index: 4 };
    let known = Signer::decode(&signer()).unwrap().id().0.to_vec();
    let back = v1::Hello { signer: known, ..hello_with("edge-1", &plan, epoch, CLUSTER) };
    let mut agent = Stream::open(&operator, Some(&identity), back).await.unwrap();
    let update = agent.update().await;
    assert_eq!((brief(&update).as_str(), update.signature.len()), ("4 -", 64));
    let bytes = prost_len(&update);
    assert!(bytes < 200, "{bytes} bytes for a reconnect");
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_agent_skips_to_the_newest_state() {
    let (push, operator) = start(state(1, "one"), Limits::default()).await;
    let mut slow = Stream::fresh(&operator, "edge-1").await;
    let mut quick = Stream::fresh(&operator, "edge-2").await;
    let first = slow.update().await;
    let mut last = quick.update().await;
    for index in 2..=5 {
        quick.confirm(&last, &plan(index - 1)).await;
        push.send_replace(state(index, &plan(index)));
        last = quick.update().await;
        assert_eq!(brief(&last), format!("{index} {}", plan(index)), "nobody waits for the slow one");
    }
    slow.confirm(&first, "one").await;
    assert_eq!(brief(&slow.update().await), "5 plan 5");
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_speaks_for_the_node_of_its_certificate_only() {
    let (_push, operator) = start(state(1, "one"), Limits::default()).await;
    let identity = join(&operator, "edge-1").await;
    let mut other = Stream::open(&operator, Some(&identity), hello("edge-2")).await.unwrap();
    let refused = other.refusal().await;
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert!(
        refused.message().contains("\"edge-1\"") && refused.message().contains("\"edge-2\""),
        "{refused}"
    );

    let none = Stream::open(&operator, None, hello("edge-1")).await.err().unwrap();
    assert_eq!(none.code(), Code::Unauthenticated);
    let admin = Stream::open(&operator, Some(&operator.admin()), hello("edge-1")).await.err().unwrap();
    assert_eq!(admin.code(), Code::PermissionDenied);
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_of_another_authority_does_not_get_through_tls() {
    let (_push, operator) = start(state(1, "one"), Limits::default()).await;
    let (foreign, _) = Authority::generate(SystemTime::now()).unwrap();
    let identity = foreign.issue_admin("admin", SystemTime::now()).unwrap();
    let refused = tokio::time::timeout(PATIENCE, async {
        // TLS 1.3 lets a client believe that it is connected until it reads.
        let mut stream = Stream::open(&operator, Some(&identity), hello("edge-1")).await?;
        stream.hear().await.map(|_| ())
    });
    assert!(refused.await.unwrap().is_err());
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn enrollment_takes_tokens_and_renews_certificates() {
    let (_push, operator) = start(state(1, "one"), Limits::default()).await;
    let key = KeyPair::generate().unwrap();
    for forged in ["", "edge-1", "edge-1.00", "../edge.00"] {
        let refused = enroll(&operator, None, forged, &key).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated, "{forged:?}");
    }
    let identity = join(&operator, "edge-1").await;
    let renewed = enroll(&operator, Some(&identity), "", &key).await.unwrap();
    assert_eq!(renewed.node, "edge-1");
    let identity = certificate(&renewed, &key);
    let mut agent = Stream::open(&operator, Some(&identity), hello("edge-1")).await.unwrap();
    assert_eq!(brief(&agent.update().await), "1 one");
    let admin = enroll(&operator, Some(&operator.admin()), "", &key).await.unwrap_err();
    assert_eq!(admin.code(), Code::Unauthenticated);
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_the_state_does_not_name_waits_and_keeps_what_it_has() {
    let unnamed = |index| {
        let mut state = State::clone(&state(index, "one"));
        state.node_class = Arc::default();
        Arc::new(state)
    };
    let (push, mut operator) = start(unnamed(1), Limits::default()).await;
    let mut agent = Stream::fresh(&operator, "edge-1").await;
    assert!(is_connected(&operator.event().await.kind));
    push.send_replace(state(2, "one"));
    let update = agent.update().await;
    assert_eq!(brief(&update), "2 one");
    agent.confirm(&update, "one").await;
    push.send_replace(unnamed(3));
    push.send_replace(state(4, "two"));
    let update = agent.update().await;
    assert_eq!(
        (brief(&update).as_str(), update.removed.len()),
        ("4 two", 0),
        "absence is no order to detach"
    );
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_is_ahead_is_not_taken_back() {
    let (push, mut operator) = start(state(3, "one"), Limits::default()).await;
    let identity = join(&operator, "edge-1").await;
    let ahead = Epoch { incarnation: 1, term: 1, index: 9 };
    let foreign = Epoch { incarnation: 1, term: 1, index: 2 };
    for (epoch, cluster) in [(ahead, CLUSTER), (foreign, "cluster-lost")] {
        let back = hello_with("edge-1", "old", epoch, cluster);
        let mut agent = Stream::open(&operator, Some(&identity), back).await.unwrap();
        let refused = agent.refusal().await;
        assert_eq!(refused.code(), Code::FailedPrecondition);
        assert!(refused.message().contains("recover"), "{refused}");
        let event = operator.event().await;
        assert_eq!(event.kind, AgentEventKind::Ahead { epoch, cluster_id: cluster.into() });
    }
    let mut recovered = State::clone(&state(5, "one"));
    recovered.epoch.incarnation = 2;
    push.send_replace(Arc::new(recovered));
    let back = hello_with("edge-1", "old", ahead, "cluster-lost");
    let mut agent = Stream::open(&operator, Some(&identity), back).await.unwrap();
    agent.is_asked("old").await;
    assert_eq!(brief(&agent.update().await), "5 one");
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_newest_stream_of_a_node_takes_over() {
    let (_push, mut operator) = start(state(1, "one"), Limits::default()).await;
    let identity = join(&operator, "edge-1").await;
    let mut old = Stream::open(&operator, Some(&identity), hello("edge-1")).await.unwrap();
    old.update().await;
    let first = operator.event().await;
    let mut new = Stream::open(&operator, Some(&identity), hello("edge-1")).await.unwrap();
    assert_eq!(brief(&new.update().await), "1 one");
    assert!(old.go_away().await.reason.contains("took over"));
    let (mut connected, mut disconnected) = (0, 0);
    for _ in 0..2 {
        let event = operator.event().await;
        match event.kind {
            AgentEventKind::Connected(_) => connected = event.session,
            AgentEventKind::Disconnected => disconnected = event.session,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(disconnected, first.session);
    assert!(connected > disconnected);
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_end_by_drain_age_silence_and_admission() {
    let short = Duration::from_millis(50);
    let limits = Limits { age: short, ..Limits::default() };
    for (limits, confirm, reason) in [
        (Limits::default(), true, "the operator restarts"),
        (limits, true, "the stream is old"),
        (Limits { verdict: short, ..Limits::default() }, false, "no answer"),
    ] {
        let (_push, mut operator) = start(state(1, "one"), limits).await;
        let mut agent = Stream::fresh(&operator, "edge-1").await;
        let update = agent.update().await;
        if confirm {
            agent.confirm(&update, "one").await;
        }
        assert!(is_connected(&operator.event().await.kind));
        if reason.contains("restarts") {
            operator.drain.cancel();
        }
        let told = agent.go_away().await;
        assert!(told.reason.contains(reason), "{told:?}");
        assert!(u128::from(told.retry_after_ms) <= Limits::default().spread.as_millis());
        operator.stop().await;
    }

    let full = Limits { joining: 0, turn: Duration::from_millis(50), ..Limits::default() };
    let (_push, operator) = start(state(1, "one"), full).await;
    assert!(Stream::fresh(&operator, "edge-1").await.go_away().await.reason.contains("many agents"));
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_joined_agent_makes_room_for_the_next() {
    let (_push, operator) = start(state(1, "one"), Limits { joining: 1, ..Limits::default() }).await;
    let mut first = Stream::fresh(&operator, "edge-1").await;
    first.update().await;
    // The update is seen here a moment before its sender is past it, and the next waits that long.
    Stream::fresh(&operator, "edge-2").await.update().await;
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_operator_serves_the_same_epoch() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Arc::new(Authority::generate(SystemTime::now()).unwrap().0);
    let raft = Raft::open(dir.path(), options()).await.unwrap();
    let epoch = raft.propose(put("one")).await.unwrap().epoch;
    let operator = Operator::start_with(authority.clone(), raft.state(), Limits::default()).await;
    let identity = join(&operator, "edge-1").await;
    let mut agent = Stream::open(&operator, Some(&identity), hello("edge-1")).await.unwrap();
    let before = agent.update().await;
    assert_eq!(before.epoch.unwrap().index, epoch.index);
    operator.stop().await;
    raft.shutdown().await;

    let raft = Raft::open(dir.path(), options()).await.unwrap();
    let operator = Operator::start_with(authority, raft.state(), Limits::default()).await;
    let back = hello_with("edge-1", "one", epoch, CLUSTER);
    let mut agent = Stream::open(&operator, Some(&identity), back).await.unwrap();
    let after = agent.update().await;
    assert_eq!((after.epoch, after.set.len()), (before.epoch, 0));
    assert_eq!(after.fleet_hash, before.fleet_hash);
    operator.stop().await;
    raft.shutdown().await;
}

async fn start(first: Arc<State>, limits: Limits) -> (Push, Operator) {
    let (push, state) = watch::channel(first);
    (push, Operator::start(state, limits).await)
}

fn options() -> Options {
    Options::new(|reason| panic!("the store failed: {reason}"))
}

fn put(plan: &'static str) -> Command {
    Command::PutPlans {
        classes: [("edge".into(), sluice_raft::Bytes::from_static(plan.as_bytes()))].into(),
        node_class: [("edge-1".to_owned(), "edge".into())].into(),
        rings: sluice_raft::Bytes::new(),
        blobs: [(SIGNER.to_owned(), signer())].into(),
    }
}

fn plan(index: u64) -> String {
    if index == 1 { "one".into() } else { format!("plan {index}") }
}

fn prost_len(update: &sluice_proto::v1::Update) -> usize {
    prost::Message::encoded_len(update)
}
