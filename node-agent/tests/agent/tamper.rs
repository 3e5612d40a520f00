//! What others do to interfaces, links and pins of this node.

use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use sluice_proto::v1::VerdictStage;

use crate::network::{Network, WAN, eventually, inside};
use crate::operator::Operator;
use crate::plans::drops_ping;
use crate::{Node, hello, programmed_everywhere};

#[test]
fn anothers_program_is_named_and_left_alone() {
    let Some(network) = Network::new("foreign") else { return };
    let node = Node::new(&network);
    let mut other = Node::new(&network);
    other.bpffs = Path::new("/sys/fs/bpf").join(format!("{}-other", network.edge));
    network.in_hub(async {
        let mut operator = Operator::start(other.dir.path()).await;
        let first = other.start();
        operator.plan(1, &drops_ping(1, "eth0"));
        assert_eq!(operator.verdict(1).await.stage(), VerdictStage::Programmed);
        first.signal(Signal::SIGKILL);
        operator.stop().await;

        let mut operator = Operator::start(node.dir.path()).await;
        let _agent = node.start();
        let hello = operator.hears(hello).await;
        let foreign = hello.facts.expect("facts").nics[0].foreign.clone().expect("a foreign program");
        assert_eq!((foreign.mode.as_str(), foreign.name.as_str()), ("native", "sluice_xdp"));
        operator.plan(1, &drops_ping(1, "eth0"));
        let policy = operator.verdict(1).await.policies.remove(0);
        assert_eq!((policy.stage(), policy.reason.as_str()), (VerdictStage::Rejected, "ForeignProgram"));
        assert!(policy.detail.contains(&foreign.id.to_string()), "{}", policy.detail);

        // Once it is gone, the plan takes the interface without being sent again.
        std::fs::remove_dir_all(&other.bpffs).expect("removed");
        operator.hears(programmed_everywhere).await;
        operator.stop().await;
    });
}

#[test]
fn a_program_that_somebody_detached_is_put_back() {
    let Some(network) = Network::new("tamper") else { return };
    let node = Node::new(&network);
    network.in_hub(async {
        let mut operator = Operator::start(node.dir.path()).await;
        let agent = node.start();
        operator.plan(1, &drops_ping(1, "wan"));
        assert_eq!(operator.verdict(1).await.stage(), VerdictStage::Programmed);
        let link = node.only_link();
        // It must not be faster than the look at what its absence does.
        agent.pause();
        let mut command = inside(&network.edge, Path::new("bpftool"));
        let detached = command.args(["link", "detach", "pinned"]).arg(link).status().expect("bpftool runs");
        assert!(detached.success());
        assert!(network.answers(WAN), "the detach had an effect");
        agent.resume();
        let begun = Instant::now();
        eventually("the program", || !network.answers(WAN));
        // Half a second to notice, one to wait for an answer that does not come.
        assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
        operator.stop().await;
    });
}

/// No message of the kernel tells of it.
#[test]
fn a_pin_that_somebody_removed_is_put_back() {
    let Some(network) = Network::new("unpin") else { return };
    let node = Node::new(&network);
    network.in_hub(async {
        let mut operator = Operator::start(node.dir.path()).await;
        let _agent = node.start();
        operator.plan(1, &drops_ping(1, "wan"));
        assert_eq!(operator.verdict(1).await.stage(), VerdictStage::Programmed);
        let link = node.only_link();
        std::fs::remove_file(&link).expect("a pin");
        let begun = Instant::now();
        eventually("the pin", || link.exists());
        assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
        operator.stop().await;
    });
}
