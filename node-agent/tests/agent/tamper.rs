//! What others do to interfaces, links and pins of this node is repaired within a second, counted, and told.

use std::path::Path;
use std::time::{Duration, Instant};

use aya::programs::links::{FdLink, PinnedLink};
use aya::programs::xdp::XdpLink;
use aya::programs::{ProgramError, Xdp};
use aya_obj::programs::XdpAttachType;
use sluice_distribute::AgentEventKind;
use sluice_proto::v1::{Drift, VerdictStage};

use crate::foreign::Foreign;
use crate::network::{CONTROL, Network, Process, WAN, eventually, inside, run};
use crate::operator::Operator;
use crate::plans::drops_ping;
use crate::{Node, programmed_everywhere, rejected_policy};

/// From the deed to the repair.
const SOON: Duration = Duration::from_secs(1);

/// An agent that drops pings on `wan`.
async fn enforcing(node: &Node<'_>) -> (Operator, Process) {
    let mut operator = Operator::start(node.dir.path()).await;
    let agent = node.start();
    operator.plan(1, &drops_ping(1, "wan"));
    assert_eq!(operator.verdict(1).await.stage(), VerdictStage::Programmed);
    assert!(!node.network.answers(WAN) && node.network.answers(CONTROL));
    (operator, agent)
}

fn repaired_soon(what: &str, begun: Instant, holds: impl FnMut() -> bool) {
    eventually(what, holds);
    let took = begun.elapsed();
    println!("{what}: {took:?}");
    assert!(took <= SOON, "{what}: {took:?}");
}

/// The operator hears of it, and it is counted once.
async fn told_once(network: &Network, operator: &mut Operator, what: &str, place: &str, repaired: bool) {
    let drift = operator.hears(|kind| drift(&kind, what)).await;
    counted_once(network, &drift, what, place, repaired);
}

/// The operator hears of it, and that the policy is not in force any more, in whichever order; the reason.
async fn told_with_rejection(
    network: &Network,
    operator: &mut Operator,
    what: &str,
    place: &str,
    repaired: bool,
) -> String {
    let (mut drifted, mut rejected) = (None, None);
    let both = operator.hears(|kind| {
        drifted = drifted.take().or_else(|| drift(&kind, what));
        rejected = rejected.take().or_else(|| rejected_policy(kind));
        drifted.clone().zip(rejected.clone())
    });
    let (drift, policy) = both.await;
    counted_once(network, &drift, what, place, repaired);
    policy.reason
}

fn counted_once(network: &Network, drift: &Drift, what: &str, place: &str, repaired: bool) {
    assert_eq!((drift.place.as_str(), drift.repaired, drift.count), (place, repaired, 1), "{what}");
    assert!(drift.age_ms < 5_000, "{drift:?}");
    let series = format!("sluice_agent_drift_total{{what=\"{what}\"}} 1");
    let metrics = network.get(9500, "/metrics");
    assert!(metrics.contains(&series), "{series} in {metrics}");
}

fn drift(kind: &AgentEventKind, what: &str) -> Option<Drift> {
    let AgentEventKind::Report(report) = kind else { return None };
    report.drift.iter().find(|drift| drift.what == what).cloned()
}

fn detach(node: &Node<'_>) {
    let mut command = inside(&node.network.edge, Path::new("bpftool"));
    let detached = command.args(["link", "detach", "pinned"]).arg(node.only_link()).status();
    assert!(detached.expect("bpftool runs").success());
}

#[test]
fn a_program_that_somebody_detached_is_put_back() {
    let Some(network) = Network::new("tamper") else { return };
    let node = Node::new(&network);
    network.in_hub(async {
        let (mut operator, agent) = enforcing(&node).await;
        // It must not be faster than the look at what its absence does.
        agent.pause();
        detach(&node);
        assert!(network.answers(WAN), "the detach had an effect");
        let begun = Instant::now();
        agent.resume();
        repaired_soon("the program", begun, || network.xdp_on("wan").is_some());
        told_once(&network, &mut operator, "program_detached", "wan", true).await;
        assert!(!network.answers(WAN));
        operator.stop().await;
    });
}

/// No message of the kernel tells of it.
#[test]
fn a_pin_that_somebody_removed_is_put_back() {
    let Some(network) = Network::new("unpin") else { return };
    let node = Node::new(&network);
    network.in_hub(async {
        let (mut operator, _agent) = enforcing(&node).await;
        let link = node.only_link();
        let begun = Instant::now();
        std::fs::remove_file(&link).expect("a pin");
        repaired_soon("the pin", begun, || link.exists());
        told_once(&network, &mut operator, "pin_removed", "wan", true).await;
        assert!(!network.answers(WAN));
        operator.stop().await;
    });
}

/// Whoever may load programs can swap the one that our link runs.
#[test]
fn a_link_that_runs_another_program_gets_ours_back() -> Result<(), ProgramError> {
    let Some(network) = Network::new("swap") else { return Ok(()) };
    let node = Node::new(&network);
    network.in_hub(async {
        let (mut operator, _agent) = enforcing(&node).await;
        let ours = network.xdp_on("wan");
        let foreign = Foreign::load(&network, "xsk_def_xdp_prog.o");
        let mut program = Xdp::from_pin(&foreign.pin, XdpAttachType::Interface)?;
        let link = PinnedLink::from_pin(node.only_link()).expect("our link");
        let link = XdpLink::try_from(FdLink::from(link)).expect("of XDP");
        let begun = Instant::now();
        program.attach_to_link(link)?;
        repaired_soon("our program", begun, || network.xdp_on("wan") == ours);
        told_once(&network, &mut operator, "program_replaced", "wan", true).await;
        assert!(!network.answers(WAN));
        operator.stop().await;
        Ok(())
    })
}

#[test]
fn a_link_in_whose_place_another_was_put_is_told_and_comes_back_after_it() {
    let Some(network) = Network::new("usurp") else { return };
    let node = Node::new(&network);
    network.in_hub(async {
        let (mut operator, agent) = enforcing(&node).await;
        let foreign = Foreign::load(&network, "xsk_def_xdp_prog.o");
        // Both are done before it looks.
        agent.pause();
        detach(&node);
        let id = foreign.attach(&network, "xdpdrv", "wan");
        agent.resume();
        let told = told_with_rejection(&network, &mut operator, "program_detached", "wan", false);
        assert_eq!(told.await, "ForeignProgram");
        assert_eq!(network.xdp_on("wan"), Some(id), "it is not displaced");
        let begun = Instant::now();
        run("ip", &["-n", &network.edge, "link", "set", "dev", "wan", "xdpdrv", "off"]);
        repaired_soon("our program", begun, || network.xdp_on("wan").is_some());
        operator.hears(programmed_everywhere).await;
        assert!(!network.answers(WAN));
        operator.stop().await;
    });
}

#[test]
fn a_renamed_interface_is_left_and_taken_back_under_its_name() {
    let Some(network) = Network::new("rename") else { return };
    let node = Node::new(&network);
    let rename = |from: &str, to: &str| {
        for change in [&["down"][..], &["name", to], &["up"]] {
            let name = if change == ["up"] { to } else { from };
            run("ip", &[&["-n", &network.edge, "link", "set", name], change].concat());
        }
    };
    network.in_hub(async {
        let (mut operator, _agent) = enforcing(&node).await;
        let begun = Instant::now();
        rename("wan", "lan");
        repaired_soon("no program on lan", begun, || network.xdp_on("lan").is_none());
        let told = told_with_rejection(&network, &mut operator, "interface_renamed", "lan", true);
        assert_eq!(told.await, "InterfaceMissing");
        let begun = Instant::now();
        rename("lan", "wan");
        repaired_soon("our program", begun, || network.xdp_on("wan").is_some());
        operator.hears(programmed_everywhere).await;
        operator.stop().await;
    });
}

#[test]
fn an_interface_that_is_made_again_is_covered() {
    let Some(network) = Network::new("again") else { return };
    let node = Node::new(&network);
    network.in_hub(async {
        let (mut operator, _agent) = enforcing(&node).await;
        network.unplug("wan");
        let told = told_with_rejection(&network, &mut operator, "interface_gone", "wan", true);
        assert_eq!(told.await, "InterfaceMissing");
        network.plug("wan", WAN);
        repaired_soon("our program", Instant::now(), || network.xdp_on("wan").is_some());
        operator.hears(programmed_everywhere).await;
        assert!(!network.answers(WAN));
        operator.stop().await;
    });
}

/// The program stays on it; that it does is proven anew.
#[test]
fn an_interface_that_is_taken_down_and_up_is_counted_and_covered() {
    let Some(network) = Network::new("flip") else { return };
    let node = Node::new(&network);
    network.in_hub(async {
        let (mut operator, _agent) = enforcing(&node).await;
        let ours = network.xdp_on("wan");
        for state in ["down", "up"] {
            run("ip", &["-n", &network.edge, "link", "set", "wan", state]);
        }
        told_once(&network, &mut operator, "interface_down", "wan", true).await;
        assert_eq!(network.xdp_on("wan"), ours);
        assert!(!network.answers(WAN));
        operator.stop().await;
    });
}
