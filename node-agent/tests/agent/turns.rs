//! Filters that end at a moment, with nobody there to say so.

use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::sys::signal::Signal;
use sluice_compile::{ClassInput, compile};
use sluice_plan::{Hash, NodePlan, fleet_hash};
use sluice_proto::v1::VerdictStage;
use sluice_proto::{PLAN, successor_key};

use crate::network::{CONTROL, Network, WAN, eventually};
use crate::operator::Operator;
use crate::plans::drops_ping;
use crate::{Node, hello};

/// Of which everything has ended.
fn nothing() -> NodePlan {
    compile(&ClassInput::default()).expect("a sound class")
}

/// Drops pings on the other interface than the operator's.
fn drops() -> NodePlan {
    drops_ping(1, "wan")
}

/// Unix milliseconds, so many seconds from now.
fn in_seconds(seconds: u64) -> i64 {
    let at = SystemTime::now() + Duration::from_secs(seconds);
    i64::try_from(at.duration_since(UNIX_EPOCH).expect("after 1970").as_millis()).expect("before 292,277,026")
}

fn is_over(moment: i64) -> bool {
    in_seconds(0) >= moment
}

fn wait_until(moment: i64) {
    sleep(Duration::from_millis((moment - in_seconds(0)).max(0).unsigned_abs()));
}

fn log_counts(node: &Node<'_>, words: &str) -> usize {
    node.log().matches(words).count()
}

#[test]
fn a_filter_ends_without_an_operator_and_what_the_operator_plans_then_is_there_already() {
    let Some(network) = Network::new("turn") else { return };
    let node = Node::new(&network);
    let moment = network.in_hub(async {
        let mut operator = Operator::start(node.dir.path()).await;
        let _agent = node.start();
        let first = operator.hears(hello).await;
        assert_eq!(first.capabilities.expect("capabilities").successors, 4);
        let moment = in_seconds(4);
        operator.plan_until(1, &drops(), &[(moment, nothing()), (in_seconds(900), drops())]);
        let verdicts = operator.verdicts(1).await;
        let stages: Vec<_> = verdicts.iter().map(sluice_proto::v1::ResourceVerdict::stage).collect();
        assert_eq!(stages, [VerdictStage::Programmed, VerdictStage::Accepted, VerdictStage::Accepted]);
        assert!(!network.answers(WAN) && !is_over(moment));
        let stopped = operator.stop().await;
        eventually("the end", || network.answers(WAN));
        assert!(is_over(moment) && !is_over(moment + 1_500), "at its moment");
        assert_eq!(log_counts(&node, "plan in force"), 2);

        // With the operator's own plan the node is told of the epoch alone.
        let mut operator = stopped.start().await;
        operator.plan(2, &nothing());
        let verdict = operator.verdict(2).await;
        assert_eq!((verdict.stage(), &verdict.hash[..]), (VerdictStage::Programmed, &nothing().hash().0[..]));
        assert_eq!(log_counts(&node, "plan in force"), 2, "{}", node.log());
        operator.stop().await;
        moment
    });
    // From disk, by the operator's later word.
    let _agent = node.start();
    eventually("the start", || log_counts(&node, "the confirmed plan is in force") == 1);
    assert!(network.answers(WAN) && is_over(moment));
}

#[test]
fn a_filter_ends_after_a_restart_and_while_the_agent_was_down() {
    let Some(network) = Network::new("again2") else { return };
    let node = Node::new(&network);
    let (stopped, first, second) = network.in_hub(async {
        let mut operator = Operator::start(node.dir.path()).await;
        let agent = node.start();
        let (first, second) = (in_seconds(6), in_seconds(9));
        operator.plan_until(1, &drops(), &[(first, drops_ping(2, "wan")), (second, nothing())]);
        assert_eq!(operator.verdict(1).await.stage(), VerdictStage::Programmed);
        assert!(agent.signal(Signal::SIGKILL).code().is_none());
        (operator.stop().await, first, second)
    });
    let agent = node.start();
    eventually("the first end", || log_counts(&node, "plan in force") == 2);
    assert!(is_over(first) && !is_over(second) && !network.answers(WAN), "one of two filters ended");
    assert!(agent.signal(Signal::SIGKILL).code().is_none());
    wait_until(second);
    assert!(!network.answers(WAN), "nobody is there to end it");
    let agent = node.start();
    eventually("the second end", || network.answers(WAN));
    assert_eq!(log_counts(&node, "is not loaded"), 0, "{}", node.log());

    // An operator that was away as long finds that it has all of it.
    drop(agent);
    network.in_hub(async {
        let mut operator = stopped.start().await;
        operator.plan_until(1, &drops(), &[(first, drops_ping(2, "wan")), (second, nothing())]);
        let _agent = node.start();
        let back = operator.hears(hello).await;
        assert_eq!(Hash::from_slice(&back.fleet_hash), Some(fleet_hash([(PLAN, nothing().hash())])));
        let verdict = operator.verdict(1).await;
        assert_eq!((verdict.stage(), &verdict.hash[..]), (VerdictStage::Programmed, &nothing().hash().0[..]));
        assert_eq!(log_counts(&node, "plan in force"), 2, "{}", node.log());
        operator.stop().await;
    });
}

#[test]
fn the_operators_word_that_a_moment_has_passed_needs_no_plan() {
    let Some(network) = Network::new("word") else { return };
    let node = Node::new(&network);
    network.in_hub(async {
        let mut operator = Operator::start(node.dir.path()).await;
        let _agent = node.start();
        // As if this node's clock were behind.
        let moment = in_seconds(3600);
        operator.plan_until(1, &drops(), &[(moment, nothing())]);
        assert_eq!(operator.verdict(1).await.stage(), VerdictStage::Programmed);
        operator.plan(2, &nothing());
        let verdicts = operator.verdicts(2).await;
        assert_eq!(verdicts.len(), 1, "{} is no successor any more", successor_key(moment));
        assert_eq!(verdicts[0].stage(), VerdictStage::Programmed);
        assert_eq!(verdicts[0].hash, nothing().hash().0);
        assert!(network.answers(WAN));
        operator.stop().await;
    });
}

#[test]
fn a_plan_that_is_put_back_has_come_to_its_successor_meanwhile() {
    let Some(network) = Network::new("former") else { return };
    let node = Node::new(&network);
    network.in_hub(async {
        let mut operator = Operator::start(node.dir.path()).await;
        let agent = node.start();
        let moment = in_seconds(5);
        operator.plan_until(1, &drops(), &[(moment, nothing())]);
        assert_eq!(operator.verdict(1).await.stage(), VerdictStage::Programmed);
        let newer = |generation| NodePlan { confirm_ms: 7_000, ..drops_ping(generation, "wan") };
        operator.plan_until(2, &newer(2), &[(moment, NodePlan { confirm_ms: 0, ..drops_ping(3, "wan") })]);
        assert_eq!(operator.verdict(2).await.stage(), VerdictStage::Programmed);
        network.unplug("eth0");
        assert!(agent.signal(Signal::SIGKILL).code().is_none());
        let _agent = node.start();
        eventually("the end on trial", || log_counts(&node, "its successor comes into force") == 1);
        assert!(!network.answers(WAN) && is_over(moment), "still on trial");
        eventually("the plan before, without what has ended", || network.answers(WAN));
        assert_eq!(log_counts(&node, "the one before is put back"), 1, "{}", node.log());
        network.plug("eth0", CONTROL);
        let back = operator.hears(|kind| match kind {
            sluice_distribute::AgentEventKind::Verdicts(verdicts) if verdicts.resources.len() > 2 => {
                Some(verdicts.resources)
            }
            _ => None,
        });
        let said: Vec<_> = back.await.iter().map(|one| (one.stage(), one.hash.clone())).collect();
        assert_eq!(said[0], (VerdictStage::Programmed, nothing().hash().0.to_vec()));
        assert_eq!(said[1], (VerdictStage::RolledBack, newer(2).hash().0.to_vec()));
        operator.stop().await;
    });
}
