//! A port of one replica among others.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use sluice_distribute::{AgentEventKind, Limits, Replica};
use sluice_pki::Authority;
use sluice_plan::Epoch;
use sluice_proto::v1::agent_message::Kind as Said;
use sluice_proto::v1::server_message::Kind;
use sluice_proto::v1::{AgentMessage, Heartbeat, Report};
use tokio::sync::watch;

use crate::agent::{Stream, brief, hello_with, join};
use crate::operator::{CLUSTER, Operator, state};

/// Others decide, if anybody does.
struct Follower {
    led: AtomicBool,
}

impl Follower {
    fn new(led: bool) -> Arc<Follower> {
        Arc::new(Follower { led: led.into() })
    }
}

impl Replica for Follower {
    fn others(&self) -> Vec<String> {
        vec!["192.0.2.7:9443".to_owned()]
    }

    fn decides(&self) -> bool {
        false
    }

    fn is_led(&self) -> bool {
        self.led.load(Ordering::Relaxed)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_is_behind_waits_and_then_names_the_others() {
    let (push, states) = watch::channel(state(3, "old"));
    let authority = Arc::new(Authority::generate(SystemTime::now()).unwrap().0);
    let limits = Limits { catch_up: Duration::from_millis(200), ..Limits::default() };
    let mut operator = Operator::start_as(Follower::new(true), authority, states, limits).await;
    let identity = join(&operator, "edge-1").await;
    let back = || hello_with("edge-1", "old", Epoch { incarnation: 1, term: 1, index: 9 }, CLUSTER);
    let mut agent = Stream::open(&operator, Some(&identity), back()).await.unwrap();
    let told = agent.go_away().await;
    assert!(told.reason.contains("caught up"), "{told:?}");
    assert_eq!(told.others, ["192.0.2.7:9443"]);

    push.send_replace(state(9, "old"));
    let mut agent = Stream::open(&operator, Some(&identity), back()).await.unwrap();
    assert_eq!(brief(&agent.update().await), "9 -");
    assert!(
        matches!(operator.event().await.kind, AgentEventKind::Connected(_)),
        "it was called ahead of nobody"
    );
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_is_cut_off_is_no_sign_of_the_operator() {
    let (_push, states) = watch::channel(state(1, "one"));
    let authority = Arc::new(Authority::generate(SystemTime::now()).unwrap().0);
    let follower = Follower::new(false);
    let mut operator = Operator::start_as(follower.clone(), authority, states, Limits::default()).await;
    let mut agent = Stream::fresh(&operator, "edge-1").await;
    let update = agent.update().await;
    agent.confirm(&update, "one").await;
    let heartbeat = || AgentMessage { kind: Some(Said::Heartbeat(Heartbeat::default())) };
    agent.say.send(heartbeat()).await.unwrap();
    agent.say.send(AgentMessage { kind: Some(Said::Report(Report::default())) }).await.unwrap();
    // The heartbeat came before.
    while !matches!(operator.event().await.kind, AgentEventKind::Report(_)) {}
    operator.again.send_modify(|times| *times += 1);
    assert!(matches!(agent.next().await, Kind::SayAgain(_)), "and was not answered");
    follower.led.store(true, Ordering::Relaxed);
    agent.say.send(heartbeat()).await.unwrap();
    assert!(matches!(agent.next().await, Kind::Heartbeat(_)));
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agents_say_again_what_they_said_when_another_listens() {
    let (_push, states) = watch::channel(state(1, "one"));
    let operator = Operator::start(states, Limits::default()).await;
    let mut agent = Stream::fresh(&operator, "edge-1").await;
    let update = agent.update().await;
    // Also while an update waits for its verdict.
    operator.again.send_modify(|times| *times += 1);
    assert!(matches!(agent.hear().await.unwrap(), Some(Kind::SayAgain(_))));
    agent.confirm(&update, "one").await;
    operator.stop().await;
}
