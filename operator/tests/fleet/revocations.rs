//! Certificates that are worth nothing before they end.

use sluice_client::LinkState;
use tokio::time::{Instant, timeout};
use tonic::{Code, Status};

use crate::agent::{Agent, NEW, has};
use crate::operator::{Operator, PATIENCE};
use crate::trio::Trio;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_node_keeps_what_it_has_and_joins_again_by_a_new_token() {
    let operator = Operator::start();
    operator.save("edge.yaml", &filter(1));
    let [mut one, mut two] = ["edge-1", "edge-2"].map(|node| operator.agent(node, NEW));
    has(&mut one, &[("edge", 1)]).await;
    has(&mut two, &[("edge", 1)]).await;
    two.link.mark_unchanged();
    let refused = operator.port().revoke("edge-7").await.expect_err("nobody's name");
    assert_eq!(
        (refused.code(), refused.message().contains("there is no node edge-7")),
        (Code::NotFound, true)
    );
    assert!(operator.port().revoke("edge-1").await.expect("agreed on"), "a token is its way back");
    is_told(&mut one, "was used before").await;
    assert!(!two.link.has_changed().expect("it runs"), "{:?}", two.link.borrow());

    let operator = operator.restart().await;
    operator.save("edge.yaml", &filter(2));
    has(&mut two, &[("edge", 2)]).await;
    is_told(&mut one, "was used before").await;
    has(&mut one, &[("edge", 1)]).await;
    operator.new_token("edge-1");
    has(&mut one, &[("edge", 2)]).await;
    operator.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_replica_refuses_what_was_revoked_and_ends_its_stream_at_once() {
    let mut trio = Trio::start().await;
    trio.save(&filter(1));
    let leader = trio.deciding().await;
    let (follower, third) = ((leader + 1) % 3, (leader + 2) % 3);
    let stolen = trio.port(follower).identity(&trio.token("edge-1")).await;
    let other = trio.port(follower).identity(&trio.token("edge-2")).await;
    let mut stream = trio.port(follower).sync(&stolen, "edge-1").await.expect("admitted");
    let mut unaffected = trio.port(follower).sync(&other, "edge-2").await.expect("admitted");
    let renewed = trio.port(third).renew(&stolen).await;
    assert!(renewed.is_ok(), "{renewed:?}");

    trio.port(third).revoke("edge-1").await.expect("agreed on");
    let ended = timeout(PATIENCE, async {
        loop {
            if let Err(status) = stream.heard.message().await {
                return status;
            }
        }
    });
    is_revoked(&ended.await.expect("the stream ends"));
    for index in [leader, follower, third] {
        is_refused(&trio, index, &stolen).await;
    }
    let again = trio.port(follower).identity(&trio.token("edge-1")).await;
    trio.kill(leader).await;
    trio.deciding_among(&[follower, third]).await;
    for index in [follower, third] {
        is_refused(&trio, index, &stolen).await;
        assert!(trio.port(index).sync(&again, "edge-1").await.is_ok());
        assert!(trio.port(index).renew(&other).await.is_ok());
    }
    let quiet = timeout(std::time::Duration::ZERO, unaffected.heard.message()).await;
    assert!(!matches!(quiet, Ok(Err(_))), "{quiet:?}");
    trio.end().await;
}

/// Once it has heard of it, as all do within moments.
async fn is_refused(trio: &Trio, index: usize, stolen: &tonic::transport::Identity) {
    let (port, until) = (trio.port(index), Instant::now() + PATIENCE);
    loop {
        match port.renew(stolen).await {
            Err(status) => break is_revoked(&status),
            Ok(_) => assert!(Instant::now() < until, "replica {index} goes on to renew it"),
        }
    }
    let synced = port.sync(stolen, "edge-1").await.map(drop);
    is_revoked(&synced.expect_err("refused"));
}

fn is_revoked(status: &Status) {
    let says = status.message().contains("the certificates that edge-1 had were revoked");
    assert!(status.code() == Code::Unauthenticated && says, "{status}");
}

async fn is_told(agent: &mut Agent, part: &str) {
    let told = |link: &LinkState| matches!(link, LinkState::Waiting(reason) if reason.contains(part));
    let seen = timeout(PATIENCE, agent.link.wait_for(told)).await.map(drop);
    assert!(seen.is_ok(), "{part:?}: {:?}", agent.link.borrow());
}

fn filter(port: u16) -> String {
    format!(
        "apiVersion: sluice.dev/v1alpha1\nkind: XdpFilter\nmetadata: {{name: edge}}\nspec:\n  \
         interfaces: {{names: [eth0]}}\n  \
         rules: [{{name: bad, action: Drop, match: {{protocols: [UDP], destinationPorts: [\"{port}\"]}}}}]\n"
    )
}
