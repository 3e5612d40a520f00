//! What the operator did not sign is not loaded, wherever it comes from.

use sluice_plan::{Epoch, NodePlan, Schema};
use sluice_proto::v1::VerdictStage;
use sluice_store::{PLAN, SEAL, Store, StoredPlan};

use crate::network::{Network, eventually};
use crate::operator::Operator;
use crate::plans::drops_ping;
use crate::{Node, attached, enforce_and_end, hello};

#[test]
fn a_plan_on_disk_that_was_altered_is_not_loaded_and_the_operators_is() {
    let Some(network) = Network::new("disk") else { return };
    let node = Node::new(&network);
    enforce_and_end(&network, &node);
    let store = || Store::open(&node.dir.path().join("state")).expect("the store");
    let epoch = store().get(PLAN).expect("read").expect("a plan").epoch;
    let other = StoredPlan::new(epoch, &drops_ping(7, "wan"));
    store().put(PLAN, &other).expect("written");
    let agent = without_pins(&network, &node);
    eventually("its words", || node.log().contains("its signature is of another node, epoch or plan"));
    assert!(!attached(&network));
    drop(agent);

    network.in_hub(async {
        let mut operator = Operator::start(node.dir.path()).await;
        let _agent = node.start();
        let hello = operator.hears(hello).await;
        assert_eq!((hello.last_epoch, hello.fleet_hash.len()), (None, 0), "it has nothing that it believes");
        operator.plan(2, &drops_ping(1, "eth0"));
        assert_eq!(operator.verdict(2).await.stage(), VerdictStage::Programmed);
        operator.stop().await;
    });
}

#[test]
fn a_plan_of_a_version_that_signed_nothing_is_asked_for_again_while_it_stays_in_force() {
    let Some(network) = Network::new("unsig") else { return };
    let node = Node::new(&network);
    enforce_and_end(&network, &node);
    let store = Store::open(&node.dir.path().join("state")).expect("the store");
    store.remove(SEAL).expect("written");
    drop(store);
    let _agent = node.start();
    eventually("its words", || node.log().contains("it is not signed: update the operator first"));
    assert!(attached(&network) && !network.edge_answers(), "an update of the agent leaves no gap");
}

#[test]
fn an_epoch_by_a_new_key_is_confirmed_and_kept_with_it() {
    let Some(network) = Network::new("keys") else { return };
    let node = Node::new(&network);
    network.in_hub(async {
        let mut operator = Operator::start(node.dir.path()).await;
        let agent = node.start();
        operator.plan(1, &drops_ping(1, "eth0"));
        assert_eq!(operator.verdict(1).await.stage(), VerdictStage::Programmed);
        let next = operator.next_signer();
        operator.plan(2, &drops_ping(1, "eth0"));
        assert_eq!(operator.verdict(2).await.stage(), VerdictStage::Programmed);
        drop(agent);
        let _agent = node.start();
        let back = operator.hears(hello).await;
        assert_eq!(back.last_epoch.map(Epoch::from).map(|epoch| epoch.index), Some(2), "from disk");
        assert_eq!(back.signer, next.0);
        operator.stop().await;
    });
}

#[test]
fn a_plan_in_the_encoding_before_is_enforced_kept_and_followed_by_the_newest() {
    let Some(network) = Network::new("older") else { return };
    let node = Node::new(&network);
    network.in_hub(async {
        let mut operator = Operator::start(node.dir.path()).await;
        let agent = node.start();
        let older = operator.plan(1, &NodePlan { schema: Schema::V2, ..drops_ping(1, "eth0") });
        let verdict = operator.verdict(1).await;
        assert_eq!((verdict.stage(), &verdict.hash[..]), (VerdictStage::Programmed, &older.0[..]));
        drop(agent);
        let _agent = node.start();
        let back = operator.hears(hello).await;
        assert_eq!(back.last_epoch.map(Epoch::from).map(|epoch| epoch.index), Some(1), "from disk");
        let verdict = operator.verdict(1).await;
        assert_eq!((verdict.stage(), &verdict.hash[..]), (VerdictStage::Programmed, &older.0[..]));
        let newest = operator.plan(2, &drops_ping(1, "eth0"));
        let verdict = operator.verdict(2).await;
        assert_eq!((verdict.stage(), &verdict.hash[..]), (VerdictStage::Programmed, &newest.0[..]));
        operator.stop().await;
    });
}

/// As after a boot.
fn without_pins(network: &Network, node: &Node<'_>) -> crate::network::Process {
    std::fs::remove_dir_all(&node.bpffs).expect("removed");
    network.wait_edge_answers(true);
    node.start()
}
