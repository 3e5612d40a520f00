//! The client against a hand-driven operator over real mutual TLS.

mod agent;
mod operator;
mod sets;

use std::sync::Arc;
use std::time::{Duration, Instant};

use agent::{Agent, Memory};
use bytes::Bytes;
use operator::{Operator, WITHIN};
use sluice_client::{Held, LinkState, Telemetry};
use sluice_plan::{Epoch, Hash, Schema, fleet_hash};
use sluice_proto::v1::agent_message::Kind;
use sluice_proto::v1::server_message::Kind as Server;
use sluice_proto::v1::{self, VerdictStage};
use tempfile::TempDir;
use tokio::time::timeout;
use tonic::Status;

const PLAN: &[u8] = b"a plan";

#[tokio::test]
async fn a_token_becomes_a_certificate_and_hello_tells_who_is_there() {
    let dir = TempDir::new().expect("a directory");
    let mut operator = Operator::start(dir.path()).await;
    let agent = Agent::start(dir.path(), &operator, held(epoch(5)), Arc::default());
    let mut conversation = operator.conversation().await;
    assert_eq!(conversation.node, "edge-1", "the name in the certificate");
    let hello = conversation.next(hello).await;
    assert_eq!((hello.node.as_str(), hello.labels["role"].as_str()), ("edge-1", "edge"));
    assert_eq!(hello.last_epoch.map(Epoch::from), Some(epoch(5)));
    assert_eq!(hello.fleet_hash, fleet_hash([("plan", Hash::of(PLAN))]).0);
    assert!(hello.have.is_empty(), "the fleet hash says as much until somebody asks");
    assert_eq!(hello.plan_schemas, [3, 2]);
    assert_eq!(hello.signer, Hash::of(b"a certificate").0);
    assert_eq!((hello.boot_id.as_str(), hello.cluster_id.as_str()), ("boot", "store"));
    conversation.next(heartbeat).await;
    assert_eq!(operator.enrolled(), ["edge-1"]);
    assert_eq!(
        *agent.allowed.lock().expect("no panic"),
        [vec![operator.address]],
        "let in before it is dialled"
    );
    let connected = LinkState::Connected(operator.address);
    timeout(WITHIN, agent.link.clone().wait_for(|link| *link == connected))
        .await
        .expect("in time")
        .expect("runs");
}

#[tokio::test]
async fn what_the_node_has_is_told_when_it_is_asked_for() {
    let dir = TempDir::new().expect("a directory");
    let mut operator = Operator::start(dir.path()).await;
    let _agent = Agent::start(dir.path(), &operator, held(epoch(5)), Arc::default());
    let mut conversation = operator.conversation().await;
    conversation.next(hello).await;
    conversation.send(Server::AskHave(v1::AskHave {})).await;
    let have = conversation.next(|kind| if let Kind::Have(have) = kind { Some(have) } else { None }).await;
    assert_eq!(have.resources, [("plan".to_owned(), Hash::of(PLAN).0.to_vec())].into());
    // Who knows it and is wrong is told so.
    conversation.update(v1::Update { fleet_hash: vec![7; 32], ..update(epoch(6), 1) }).await;
    let refused = conversation.next(verdicts).await;
    assert_eq!((refused.nonce, refused.resources[0].reason.as_str()), (1, "HashMismatch"));
}

/// One of the version before cannot ask: what it leaves to be removed it was not told of.
#[tokio::test]
async fn an_operator_that_does_not_ask_is_told_by_the_next_stream() {
    let dir = TempDir::new().expect("a directory");
    let mut operator = Operator::start(dir.path()).await;
    let mut before = held(epoch(5));
    before.resources.insert("set/gone".into(), Hash::of(b"gone"));
    let mut agent = Agent::start(dir.path(), &operator, before, Arc::default());
    let mut conversation = operator.conversation().await;
    assert!(conversation.next(hello).await.have.is_empty());
    conversation.update(update(epoch(6), 1)).await;
    let mut conversation = operator.conversation().await;
    let hello = conversation.next(hello).await;
    assert_eq!(hello.have.len(), 2);
    conversation.update(v1::Update { removed: vec!["set/gone".into()], ..update(epoch(6), 1) }).await;
    assert_eq!(agent.update().await.removed, ["set/gone"]);
}

#[tokio::test]
async fn an_update_goes_through_and_its_verdict_comes_back() {
    let dir = TempDir::new().expect("a directory");
    let mut operator = Operator::start(dir.path()).await;
    let mut agent = Agent::start(dir.path(), &operator, Held::default(), Arc::default());
    let mut conversation = operator.conversation().await;
    conversation.next(hello).await;
    conversation.update(update(epoch(1), 77)).await;
    let update = agent.update().await;
    assert_eq!((update.epoch, &update.set[0].2[..]), (epoch(1), PLAN));
    agent.verdicts.send_replace(programmed(update.nonce));
    let verdicts = conversation.next(verdicts).await;
    assert_eq!((verdicts.nonce, verdicts.resources[0].stage()), (77, VerdictStage::Programmed));
}

#[tokio::test]
async fn what_is_not_signed_older_or_altered_never_reaches_the_data_plane() {
    let dir = TempDir::new().expect("a directory");
    let mut operator = Operator::start(dir.path()).await;
    let mut agent = Agent::start(dir.path(), &operator, held(epoch(5)), Arc::default());
    let mut conversation = operator.conversation().await;
    conversation.send(Server::Update(update(epoch(6), 9))).await;
    let refused = conversation.next(verdicts).await;
    assert_eq!((refused.nonce, refused.resources[0].reason.as_str()), (9, "Unsigned"));
    conversation.update(update(epoch(4), 1)).await;
    let refused = conversation.next(verdicts).await;
    assert_eq!((refused.nonce, refused.resources[0].reason.as_str()), (1, "StaleEpoch"));
    let mut altered = update(epoch(6), 2);
    altered.set[0].bytes = Bytes::from_static(b"a plaN");
    conversation.update(altered).await;
    let refused = conversation.next(verdicts).await;
    assert_eq!((refused.nonce, refused.resources[0].reason.as_str()), (2, "HashMismatch"));
    conversation.update(update(epoch(6), 3)).await;
    assert_eq!(agent.update().await.nonce, 3, "the good one is the first to arrive");
}

#[tokio::test]
async fn a_restarted_operator_is_found_again_with_the_same_certificate() {
    let dir = TempDir::new().expect("a directory");
    let mut operator = Operator::start(dir.path()).await;
    let agent = Agent::start(dir.path(), &operator, Held::default(), Arc::default());
    let mut conversation = operator.conversation().await;
    conversation.next(hello).await;
    // Without a token: coming back must need nobody who could judge one.
    std::fs::remove_file(dir.path().join("token")).expect("removed");
    drop(conversation);
    let mut operator = operator.restart().await;
    agent.held.send_replace(held(epoch(9)));
    agent.verdicts.send_replace(programmed(77));
    let mut conversation = operator.conversation().await;
    let hello = conversation.next(hello).await;
    let verdicts = conversation.next(verdicts).await;
    assert_eq!(verdicts.nonce, 0, "news about another stream's update is no answer here");
    assert!(hello.last_epoch.is_some());
    assert_eq!(operator.enrolled(), Vec::<String>::new());
}

#[tokio::test]
async fn a_certificate_is_renewed_beside_its_stream() {
    let dir = TempDir::new().expect("a directory");
    let life = Duration::from_secs(4);
    let mut operator = Operator::start_with_life(dir.path(), life).await;
    let begun = Instant::now();
    let _agent = Agent::start(dir.path(), &operator, Held::default(), Arc::default());
    let mut conversation = operator.conversation().await;
    conversation.next(hello).await;
    operator.certifies().await;
    // Whatever comes now is by the certificate alone.
    std::fs::remove_file(dir.path().join("token")).expect("removed");
    while begun.elapsed() < 2 * life {
        operator.certifies().await;
        conversation.next(heartbeat).await;
    }
    operator.shut_out();
    drop(conversation);
    operator.conversation().await.next(hello).await;
}

#[tokio::test]
async fn a_new_process_uses_the_certificate_that_was_kept() {
    let dir = TempDir::new().expect("a directory");
    let mut operator = Operator::start(dir.path()).await;
    let vault = Arc::<Memory>::default();
    let first = Agent::start(dir.path(), &operator, Held::default(), vault.clone());
    operator.conversation().await.next(hello).await;
    drop(first);
    let _second = Agent::start(dir.path(), &operator, Held::default(), vault);
    operator.conversation().await.next(hello).await;
    assert_eq!(operator.enrolled(), ["edge-1"], "once");
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_exchanged() {
    let dir = TempDir::new().expect("a directory");
    let vault = Arc::<Memory>::default();
    let mut former = Operator::start(dir.path()).await;
    let agent = Agent::start(dir.path(), &former, Held::default(), vault.clone());
    former.conversation().await.next(hello).await;
    drop(agent);
    let stale = vault.0.lock().expect("no panic").clone();
    let mut operator = Operator::start(dir.path()).await;
    let agent = Agent::start(dir.path(), &operator, Held::default(), vault);
    operator.conversation().await.next(hello).await;
    assert_eq!(operator.enrolled(), ["edge-1"]);
    assert_ne!(*agent.vault.0.lock().expect("no panic"), stale);
}

#[tokio::test]
async fn an_operator_of_another_authority_is_not_talked_to() {
    let dir = TempDir::new().expect("a directory");
    let other = TempDir::new().expect("a directory");
    let mut imposter = Operator::start(dir.path()).await;
    Operator::start(other.path()).await.publish(dir.path());
    let agent = Agent::start(dir.path(), &imposter, Held::default(), Arc::default());
    let refused =
        |link: &LinkState| matches!(link, LinkState::Waiting(reason) if reason.contains("certificate"));
    let link =
        timeout(WITHIN, async { agent.link.clone().wait_for(refused).await.map(|link| link.clone()) }).await;
    link.expect("a refusal in time").expect("the client runs");
    assert_eq!(imposter.enrolled(), Vec::<String>::new(), "the token was not shown to it");
    imposter.shut_out();
}

#[tokio::test]
async fn go_away_leads_to_the_named_other_after_the_asked_pause() {
    let dir = TempDir::new().expect("a directory");
    let mut operator = Operator::start(dir.path()).await;
    let mut other = operator.twin().await;
    let _agent = Agent::start(dir.path(), &operator, Held::default(), Arc::default());
    let mut conversation = operator.conversation().await;
    conversation.next(hello).await;
    let asked = std::time::Instant::now();
    let others = vec![other.address.to_string()];
    conversation
        .send(Server::GoAway(v1::GoAway { reason: "draining".into(), retry_after_ms: 300, others }))
        .await;
    other.conversation().await.next(hello).await;
    assert!(asked.elapsed().as_millis() >= 300);
}

#[tokio::test]
async fn a_broken_stream_is_opened_again() {
    let dir = TempDir::new().expect("a directory");
    let mut operator = Operator::start(dir.path()).await;
    let _agent = Agent::start(dir.path(), &operator, Held::default(), Arc::default());
    for _ in 0..3 {
        let mut conversation = operator.conversation().await;
        conversation.next(hello).await;
        conversation.fail(Status::unavailable("busy")).await;
    }
    operator.conversation().await.next(hello).await;
}

#[tokio::test]
async fn reports_carry_what_changed() {
    let dir = TempDir::new().expect("a directory");
    let mut operator = Operator::start(dir.path()).await;
    let agent = Agent::start(dir.path(), &operator, Held::default(), Arc::default());
    let mut conversation = operator.conversation().await;
    conversation.next(hello).await;
    for (packets, delta) in [(100, 0), (130, 30)] {
        agent.telemetry.send_replace(counted(packets));
        let report = conversation.next(report).await;
        let found =
            report.counters.iter().map(|sample| (sample.packets, sample.packets_delta)).collect::<Vec<_>>();
        assert_eq!(found, [(packets, delta)]);
    }
}

#[tokio::test]
async fn everything_is_said_again_to_whoever_has_not_heard_it() {
    let dir = TempDir::new().expect("a directory");
    let mut operator = Operator::start(dir.path()).await;
    let agent = Agent::start(dir.path(), &operator, Held::default(), Arc::default());
    let mut conversation = operator.conversation().await;
    let dialled = conversation.next(hello).await.dialled;
    agent.verdicts.send_replace(programmed(7));
    agent.telemetry.send_replace(counted(100));
    let confirmed = |kind| verdicts(kind).filter(|verdicts| !verdicts.resources.is_empty());
    conversation.next(confirmed).await;
    assert_eq!(conversation.next(report).await.counters[0].packets, 100);
    conversation.send(Server::SayAgain(v1::SayAgain {})).await;
    conversation.next(confirmed).await;
    let again = conversation.next(report).await.counters;
    assert_eq!((again[0].packets, again[0].packets_delta), (100, 0), "a whole, not a difference");
    // Of two streams it can be told which is the later one.
    conversation.fail(Status::unavailable("busy")).await;
    assert!(operator.conversation().await.next(hello).await.dialled > dialled);
}

#[tokio::test]
async fn a_backend_that_goes_down_is_told_at_once() {
    let dir = TempDir::new().expect("a directory");
    let mut operator = Operator::start(dir.path()).await;
    let agent = Agent::with_reports_every(Duration::from_secs(3600), dir.path(), &operator);
    let mut conversation = operator.conversation().await;
    conversation.next(hello).await;
    let down =
        v1::BackendHealth { policy_uid: "u".into(), address: "192.0.2.7".into(), ..Default::default() };
    agent.telemetry.send_replace(Telemetry { backends: vec![down.clone()], ..Telemetry::default() });
    assert_eq!(conversation.next(report).await.backends, [down]);
}

#[tokio::test]
async fn samples_are_asked_for_and_sent() {
    let dir = TempDir::new().expect("a directory");
    let mut operator = Operator::start(dir.path()).await;
    let mut agent = Agent::start(dir.path(), &operator, Held::default(), Arc::default());
    let mut conversation = operator.conversation().await;
    conversation.next(hello).await;
    let request = v1::SampleRequest { for_ms: 15_000 };
    conversation.send(Server::Sample(request)).await;
    timeout(WITHIN, agent.sampling.changed()).await.expect("in time").expect("the client runs");
    assert_eq!(*agent.sampling.borrow(), request);
    let sample = v1::DropSample { name: "flood".into(), ..Default::default() };
    let batch = v1::SampleBatch { samples: vec![sample], lost: 1, suppressed: 2 };
    agent.samples.send(batch.clone()).await.expect("the client runs");
    let sent = |kind| if let Kind::Samples(batch) = kind { Some(batch) } else { None };
    assert_eq!(conversation.next(sent).await, batch);
}

fn counted(packets: u64) -> Telemetry {
    let sample = v1::CounterSample {
        policy_uid: "u".into(),
        name: "r".into(),
        verdict: "drop".into(),
        packets,
        ..Default::default()
    };
    Telemetry { counters: vec![sample], ..Telemetry::default() }
}

fn epoch(index: u64) -> Epoch {
    Epoch { incarnation: 0, term: 1, index }
}

fn held(epoch: Epoch) -> Held {
    Held {
        cluster_id: "store".into(),
        epoch: Some(epoch),
        resources: [("plan".into(), Hash::of(PLAN))].into(),
        steps: Vec::new(),
        step: 0,
        schema: Schema::NEWEST,
        signer: b"a certificate".into(),
        on_trial: false,
    }
}

fn update(epoch: Epoch, nonce: u64) -> v1::Update {
    let resource = v1::Resource {
        key: "plan".into(),
        hash: Hash::of(PLAN).0.into(),
        bytes: Bytes::from_static(PLAN),
        schema: Schema::NEWEST.number(),
    };
    v1::Update {
        epoch: Some(epoch.into()),
        nonce,
        set: vec![resource],
        fleet_hash: fleet_hash([("plan", Hash::of(PLAN))]).0.into(),
        cluster_id: "store".into(),
        ..Default::default()
    }
}

fn programmed(nonce: u64) -> v1::Verdicts {
    let resource = v1::ResourceVerdict {
        key: "plan".into(),
        hash: Hash::of(PLAN).0.into(),
        stage: VerdictStage::Programmed.into(),
        ..Default::default()
    };
    v1::Verdicts { nonce, epoch: Some(epoch(1).into()), resources: vec![resource] }
}

fn hello(kind: Kind) -> Option<v1::Hello> {
    if let Kind::Hello(hello) = kind { Some(hello) } else { None }
}

fn verdicts(kind: Kind) -> Option<v1::Verdicts> {
    if let Kind::Verdicts(verdicts) = kind { Some(verdicts) } else { None }
}

fn report(kind: Kind) -> Option<v1::Report> {
    if let Kind::Report(report) = kind { Some(report) } else { None }
}

fn heartbeat(kind: Kind) -> Option<v1::Heartbeat> {
    if let Kind::Heartbeat(heartbeat) = kind { Some(heartbeat) } else { None }
}
