//! Plans that stay only if the operator is heard of.

use std::time::Duration;

use nix::sys::signal::Signal;
use sluice_distribute::AgentEventKind;
use sluice_plan::{Hash, NodePlan};
use sluice_proto::v1::VerdictStage;
use tokio::time::sleep;

use crate::Node;
use crate::network::{CONTROL, Network, WAN, eventually};
use crate::operator::Operator;
use crate::plans::drops_ping;

/// Drops pings on the other interface than the operator's.
fn on_trial(confirm_ms: u32) -> NodePlan {
    NodePlan { confirm_ms, ..drops_ping(1, "wan") }
}

fn wait_answers(network: &Network, wanted: bool) {
    eventually(if wanted { "an answer" } else { "no answer" }, || network.answers(WAN) == wanted);
}

/// Waits to hear that the plan before is in force and proven, and that the newest was taken back.
async fn hears_of_taken_back(operator: &mut Operator, before: Hash, newest: Hash) {
    let said = operator.hears(|kind| match kind {
        AgentEventKind::Verdicts(verdicts) if verdicts.resources.len() == 2 => Some(verdicts.resources),
        _ => None,
    });
    let [enforced, undone] = &said.await[..] else { unreachable!("two are waited for") };
    assert_eq!((enforced.stage(), &enforced.hash[..]), (VerdictStage::Programmed, &before.0[..]));
    assert_eq!((undone.stage(), &undone.hash[..]), (VerdictStage::RolledBack, &newest.0[..]));
    assert_eq!(undone.reason, "NotConfirmed");
}

#[test]
fn a_plan_that_costs_the_operator_is_undone_and_not_tried_again() {
    let Some(network) = Network::new("undo") else { return };
    let node = Node::new(&network);
    network.in_hub(async {
        let mut operator = Operator::start(node.dir.path()).await;
        let agent = node.start();
        let before = operator.plan(1, &drops_ping(1, "nothere0"));
        assert_eq!(operator.verdict(1).await.stage(), VerdictStage::Programmed);
        let newest = operator.plan(2, &on_trial(8_000));
        assert_eq!(operator.verdict(2).await.stage(), VerdictStage::Programmed);
        network.unplug("eth0");
        assert!(!network.answers(WAN), "on trial it is in force");
        wait_answers(&network, true);
        network.plug("eth0", CONTROL);
        hears_of_taken_back(&mut operator, before, newest).await;

        // The operator goes on wanting it, and the agent on refusing, whatever happens to it.
        assert!(agent.signal(Signal::SIGKILL).code().is_none());
        let _agent = node.start();
        hears_of_taken_back(&mut operator, before, newest).await;
        assert!(network.answers(WAN));
        let next = operator.plan(3, &drops_ping(2, "wan"));
        let verdict = operator.verdict(3).await;
        assert_eq!((verdict.stage(), &verdict.hash[..]), (VerdictStage::Programmed, &next.0[..]));
        assert!(!network.answers(WAN));
        operator.stop().await;
    });
}

#[test]
fn a_trial_outlives_the_agent_and_what_was_not_the_cause_comes_again() {
    let Some(network) = Network::new("again") else { return };
    let node = Node::new(&network);
    network.in_hub(async {
        let mut operator = Operator::start(node.dir.path()).await;
        let agent = node.start();
        operator.plan(1, &drops_ping(1, "nothere0"));
        assert_eq!(operator.verdict(1).await.stage(), VerdictStage::Programmed);
        operator.plan(2, &on_trial(5_000));
        assert_eq!(operator.verdict(2).await.stage(), VerdictStage::Programmed);
        assert!(agent.signal(Signal::SIGKILL).code().is_none());
        operator.stop().await;
    });
    let _agent = node.start();
    assert!(!network.answers(WAN), "on trial it is in force");
    wait_answers(&network, true);
    wait_answers(&network, false);
    assert!(node.log().contains("it comes into force again"), "{}", node.log());
}

#[test]
fn a_plan_after_which_the_operator_is_heard_of_stays() {
    let Some(network) = Network::new("stays") else { return };
    let node = Node::new(&network);
    network.in_hub(async {
        let mut operator = Operator::start(node.dir.path()).await;
        let _agent = node.start();
        operator.plan(1, &drops_ping(1, "nothere0"));
        assert_eq!(operator.verdict(1).await.stage(), VerdictStage::Programmed);
        operator.plan(2, &on_trial(4_000));
        assert_eq!(operator.verdict(2).await.stage(), VerdictStage::Programmed);
        // What is said at once may have been on its way before.
        sleep(Duration::from_millis(1_500)).await;
        operator.plan(3, &on_trial(4_000));
        assert_eq!(operator.verdict(3).await.stage(), VerdictStage::Programmed);
        operator.stop().await;
        sleep(Duration::from_secs(4)).await;
        assert!(!network.answers(WAN));
    });
}
