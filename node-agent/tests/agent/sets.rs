//! Address sets on their way from the operator into the kernel.

use nix::sys::signal::Signal;
use sluice_address_set::AddressSet;
use sluice_plan::{NodePlan, fleet_hash};
use sluice_proto::v1::{ResourceVerdict, VerdictStage};

use crate::network::{Network, eventually};
use crate::operator::Operator;
use crate::{Node, attached, hello, plans};

const SET: &str = "strangers";

fn contents(prefixes: &[&str]) -> AddressSet {
    prefixes.iter().map(|prefix| prefix.parse::<ipnet::IpNet>().expect("a prefix")).collect()
}

/// So many that there are several shards of them; none is the hub's address.
fn crowd() -> AddressSet {
    (0..10_000u32).map(|n| ipnet::IpNet::from(std::net::IpAddr::V4((0xc633_0000 + 2 * n).into()))).collect()
}

fn plan() -> NodePlan {
    plans::drops_set("eth0", SET)
}

/// The verdict on the set, behind that on the plan.
fn of_set(verdicts: &[ResourceVerdict]) -> (VerdictStage, &[u8], u64) {
    let plan = &verdicts[0];
    assert_eq!((plan.key.as_str(), plan.stage()), ("plan", VerdictStage::Programmed), "{}", plan.detail);
    let set = &verdicts[1];
    assert_eq!(set.key, format!("set/{SET}"));
    (set.stage(), &set.hash, set.kernel_bytes)
}

#[test]
fn a_set_changes_while_its_plan_and_program_stay() {
    let Some(network) = Network::new("sets") else { return };
    let node = Node::new(&network);
    network.in_hub(async {
        let mut operator = Operator::start(node.dir.path()).await;
        let _agent = node.start();
        let hash = operator.plan_with_set(1, &plan(), SET, &crowd());
        let verdicts = operator.verdicts(1).await;
        let (stage, found, bytes) = of_set(&verdicts);
        assert_eq!((stage, found), (VerdictStage::Programmed, &hash.0[..]));
        assert!(bytes > 20_000 * 4, "{bytes} bytes for 20,000 bounds");
        assert!(network.edge_answers());

        let hash = operator.plan_with_set(2, &plan(), SET, &crowd().union(&contents(&["10.93.0.1/32"])));
        assert_eq!(of_set(&operator.verdicts(2).await).1, hash.0);
        assert!(!network.edge_answers());
        assert_eq!(
            node.log().matches("\"loaded\":1").count(),
            1,
            "no program was loaded for the set's new contents"
        );

        operator.plan_with_set(3, &plan(), SET, &contents(&[]));
        assert_eq!(of_set(&operator.verdicts(3).await).2, 0);
        assert!(network.edge_answers());
        operator.plan(4, &NodePlan::default());
        assert_eq!(operator.verdicts(4).await.len(), 1, "a set that no plan names is forgotten");
        operator.stop().await;
    });
}

#[test]
fn sets_that_are_more_than_the_agent_takes_are_refused_before_they_are_made() {
    let Some(network) = Network::new("room") else { return };
    let node = Node::new(&network);
    network.in_hub(async {
        let mut operator = Operator::start(node.dir.path()).await;
        let _agent = node.start_with(&["--set-prefixes", "6"]);
        assert_eq!(operator.hears(hello).await.capabilities.map(|takes| takes.set_prefixes), Some(6));
        let fits = contents(&["2001:db8::/32"]);
        let hash = operator.plan_with_set(1, &plan(), SET, &fits);
        assert_eq!(of_set(&operator.verdicts(1).await).1, hash.0);

        operator.plan_with_set(2, &plan(), SET, &fits.union(&contents(&["10.93.0.1/32"])));
        let verdicts = operator.verdicts(2).await;
        let refused = &verdicts[0];
        assert_eq!((refused.stage(), refused.reason.as_str()), (VerdictStage::Rejected, "TooManyPrefixes"));
        assert!(
            refused.detail.contains("have 7 prefixes (IPv6 ones counted six times)"),
            "{}",
            refused.detail
        );
        assert!(refused.detail.contains("this node takes 6: shorten lists"), "{}", refused.detail);
        assert!(network.edge_answers(), "the former set is in force");
        operator.stop().await;
    });
}

#[test]
fn sets_are_enforced_from_disk() {
    let Some(network) = Network::new("keep") else { return };
    let node = Node::new(&network);
    network.in_hub(async {
        let mut operator = Operator::start(node.dir.path()).await;
        let agent = node.start();
        let set = operator.plan_with_set(1, &plan(), SET, &crowd().union(&contents(&["10.93.0.1/32"])));
        of_set(&operator.verdicts(1).await);
        agent.signal(Signal::SIGKILL);
        assert!(!network.edge_answers(), "without an agent");

        // As after a boot: the pins are gone, and what they held with them.
        std::fs::remove_dir_all(&node.bpffs).expect("removed");
        network.wait_edge_answers(true);
        let _agent = node.start();
        eventually("the program", || attached(&network));
        assert!(!network.edge_answers());
        // The operator is told that the set is there.
        let hello = operator.hears(|kind| hello(kind).filter(|hello| !hello.fleet_hash.is_empty())).await;
        let whole = fleet_hash([("plan", plan().hash()), (&format!("set/{SET}"), set)]);
        assert_eq!(hello.fleet_hash, whole.0);
        operator.stop().await;
    });
}
