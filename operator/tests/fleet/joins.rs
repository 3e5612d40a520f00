//! Join tokens: made for an administrator, good once.

use sluice_proto::v1::admin_client::AdminClient;
use sluice_proto::v1::{EnrollResponse, JoinRequest};
use tonic::{Code, Status};

use crate::calls::request;
use crate::operator::Operator;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_lets_its_node_in_once_also_over_a_restart() {
    let operator = Operator::start();
    let token = join(&operator, "edge-1", 0).await.expect("a token");
    let other = join(&operator, "edge-2", 60).await.expect("a token");
    assert_eq!(enroll(&operator, &token).await.expect("let in").node, "edge-1");
    let used = "the join token of edge-1 was used before: print a new one with `kubectl sluice join edge-1`";
    let refused = |status: Status| (status.code(), status.message().to_owned());
    let again = enroll(&operator, &token).await.map_err(refused).expect_err("used");
    assert_eq!(again, (Code::Unauthenticated, used.to_owned()), "another key");

    let operator = operator.restart().await;
    let again = enroll(&operator, &token).await.map_err(refused).expect_err("used");
    assert_eq!(again.1, used);
    assert_eq!(enroll(&operator, &other).await.expect("let in").node, "edge-2", "made before the restart");
    operator.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_was_lost_can_be_asked_for_again() {
    let operator = Operator::start();
    let token = join(&operator, "edge-1", 0).await.expect("a token");
    let (_, request) = request();
    for _ in 0..2 {
        let answer = operator.port().enroll(&token, request.clone()).await;
        assert_eq!(answer.expect("let in").node, "edge-1");
    }
    operator.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_an_administrator_is_given_a_token_and_none_for_long() {
    let operator = Operator::start();
    let code = |status: Status| status.code();
    let wanted = || JoinRequest { node: "edge-1".into(), valid_seconds: 0 };
    let mut nobody = AdminClient::new(operator.port().channel(None).await);
    assert_eq!(nobody.join(wanted()).await.map_err(code).expect_err("nobody"), Code::Unauthenticated);
    for (node, seconds) in [("edge-1", 24 * 3600 + 1), ("Edge 1", 0)] {
        let refused = join(&operator, node, seconds).await.map_err(code).expect_err("refused");
        assert_eq!(refused, Code::InvalidArgument, "{node} {seconds}");
    }
    operator.end().await;
}

async fn join(operator: &Operator, node: &str, valid_seconds: u32) -> Result<String, Status> {
    let joined = operator.port().admin().await.join(JoinRequest { node: node.into(), valid_seconds }).await?;
    Ok(joined.into_inner().token)
}

async fn enroll(operator: &Operator, token: &str) -> Result<EnrollResponse, Status> {
    operator.port().enroll(token, request().1).await
}
