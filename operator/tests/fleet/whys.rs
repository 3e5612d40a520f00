//! Why a policy is not in force on a node, asked of a whole operator.

use sluice_plan::Epoch;
use sluice_proto::v1::{Capabilities, Hello, WhyRequest, WhyResponse};
use tokio::time::{Instant, sleep};

use crate::agent::NEW;
use crate::operator::{Operator, PATIENCE};

const NODES: [&str; 3] = ["a", "b", "c"];

fn filter(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: sluice.dev/v1alpha1\nkind: XdpFilter\nmetadata: {{name: {name}}}\nspec:\n  interfaces: {{names: [eth0]}}\n  \
         rules: [{{name: bad, action: Drop, match: {{protocols: [UDP]}}}}]\n  {spec}\n"
    )
}

/// Waits until the answer has this reason.
async fn why(operator: &Operator, node: &str, policy: &str, reason: &str) -> WhyResponse {
    let request = WhyRequest { node: node.to_owned(), policy: policy.to_owned(), ..WhyRequest::default() };
    let (mut admin, until) = (operator.port().admin().await, Instant::now() + PATIENCE);
    loop {
        let answer = admin.why(request.clone()).await.map(tonic::Response::into_inner);
        if let Some(found) = answer.as_ref().ok().filter(|found| found.reason == reason) {
            return found.clone();
        }
        assert!(Instant::now() < until, "{answer:?}");
        sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[track_caller]
fn says(found: &WhyResponse, by: &str, enforced: i64, part: &str) {
    assert_eq!((found.said_by.as_str(), found.enforced), (by, enforced), "{found:?}");
    assert!(found.message.contains(part), "{part:?}: {found:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kernel_and_a_node_that_is_full_are_the_operators_reasons() {
    let operator = Operator::start();
    let _old = operator.agent("old", Capabilities { tcx: false, ..NEW });
    let _small = operator.agent("small", Capabilities { entries: 1, ..NEW });
    operator.save("edge.yaml", &filter("edge", "priority: 7"));
    why(&operator, "old", "edge", "Programmed").await;
    why(&operator, "small", "edge", "Programmed").await;
    operator.save("more.yaml", &filter("more", "attach: {hook: TcIngress}"));
    says(
        &why(&operator, "old", "more", "HookRefused").await,
        "operator",
        0,
        "not sent: XdpFilter/more: attach.hook",
    );
    let full = why(&operator, "small", "more", "TooManyRules").await;
    says(&full, "operator", 0, "not sent: ");
    operator.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollout_that_waits_and_a_deletion_that_is_held_are_told() {
    let operator = Operator::start();
    let _agents = NODES.map(|node| operator.agent(node, NEW));
    let rollout = "rollout: {steps: [{nodes: \"1\", hold: 1h}]}";
    let ordered = |priority: u32, order: &str| {
        let text = filter("edge", &format!("priority: {priority}\n  {rollout}"));
        text.replace(
            "{name: edge}",
            &format!("{{name: edge, annotations: {{sluice.dev/rollout: \"{order}\"}}}}"),
        )
    };
    operator.save("edge.yaml", &ordered(1, "promote@1"));
    let others = ["one", "two", "three"].map(|name| filter(name, "priority: 5"));
    operator.save("others.yaml", &others.join("---\n"));
    for node in NODES {
        why(&operator, node, "edge", "Programmed").await;
        why(&operator, node, "three", "Programmed").await;
    }
    operator.save("edge.yaml", &ordered(2, ""));
    let first = [why(&operator, "a", "edge", "RollingOut"), why(&operator, "b", "edge", "RollingOut")];
    let (waiting, _, _) = futures::future::select_all(first.map(Box::pin)).await;
    operator.save("edge.yaml", &ordered(2, "pause@2"));
    let told = why(&operator, &waiting.node, "edge", "Paused").await;
    says(&told, "operator", 1, "generation 1 is in force there");

    operator.remove("others.yaml");
    let until = Instant::now() + PATIENCE;
    loop {
        let held = why(&operator, "c", "two", "Programmed").await;
        if held.message.contains("vanished from the source at once") {
            break says(&held, "agent", 1, "3 objects");
        }
        assert!(Instant::now() < until, "{held:?}");
        sleep(std::time::Duration::from_millis(20)).await;
    }
    operator.end().await;
}

/// The store was lost: the operator knows nothing of the node but what it enforces.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_ahead_is_told_from_one_that_never_came() {
    let operator = Operator::start();
    operator.save("edge.yaml", &filter("edge", "priority: 7"));
    let token = sluice_operator::token("lost", &operator.place.path().join("data")).expect("a token");
    let identity = operator.port().identity(&token).await;
    let ahead = Hello {
        last_epoch: Some(Epoch { incarnation: 3, term: 2, index: 9 }.into()),
        cluster_id: "another".to_owned(),
        ..Hello::default()
    };
    let refused = operator.port().greet(&identity, "lost", ahead).await.map(drop);
    assert!(refused.is_err_and(|status| status.message().contains("kubectl sluice recover")));
    let told = why(&operator, "lost", "edge", "EpochAhead").await;
    assert!(told.message.contains("recover"), "{told:?}");
    operator.end().await;
}
