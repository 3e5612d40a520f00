//! The agent's binary on a real kernel, under the operator's own port.

mod foreign;
mod marks;
mod network;
mod operator;
mod plans;
mod seals;
mod sets;
mod tamper;
mod trial;
mod turns;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use network::{CONTROL, Network, Process, eventually, inside};
use nix::sys::signal::Signal;
use operator::{ADDRESS, NODE, Operator};
use plans::drops_ping;
use sluice_distribute::AgentEventKind;
use sluice_plan::{Hash, NodePlan};
use sluice_proto::v1::{BackendHealth, PolicyVerdict, VerdictStage};
use sluice_raft::Bytes;
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_sluice-agent");

/// One node's agent: its files, its pins, its process.
struct Node<'a> {
    network: &'a Network,
    dir: TempDir,
    bpffs: PathBuf,
}

impl<'a> Node<'a> {
    fn new(network: &'a Network) -> Node<'a> {
        let bpffs = Path::new("/sys/fs/bpf").join(&network.edge);
        Node { network, dir: TempDir::new().expect("a directory"), bpffs }
    }

    fn start(&self) -> Process {
        self.start_with(&[])
    }

    fn start_with(&self, arguments: &[&str]) -> Process {
        let mut command = self.command();
        command.args(arguments);
        command.args(["--node", NODE, "--operator", ADDRESS, "--metrics", "127.0.0.1:9500"]);
        command.arg("--ca").arg(self.dir.path().join("ca.crt"));
        command.arg("--token-file").arg(self.dir.path().join("token"));
        command.arg("--state").arg(self.dir.path().join("state")).arg("--bpffs").arg(&self.bpffs);
        Process::start(command, &self.dir.path().join("log"))
    }

    fn command(&self) -> Command {
        inside(&self.network.edge, Path::new(PROGRAM))
    }

    fn detach(&self) -> String {
        let mut command = self.command();
        command
            .arg("detach")
            .arg("--state")
            .arg(self.dir.path().join("state"))
            .arg("--bpffs")
            .arg(&self.bpffs);
        let output = command.output().expect("it runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    fn only_link(&self) -> PathBuf {
        let links = std::fs::read_dir(self.bpffs.join("links")).expect("pins");
        links.flatten().next().expect("one link").path()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Node<'_> {
    /// Links end with their last pin.
    fn drop(&mut self) {
        _ = std::fs::remove_dir_all(&self.bpffs);
        if std::thread::panicking() {
            eprintln!("the agent's log:\n{}", self.log());
        }
    }
}

#[test]
fn a_plan_is_enforced_proven_counted_and_taken_away() {
    let Some(network) = Network::new("path") else { return };
    let node = Node::new(&network);
    network.in_hub(async {
        let mut operator = Operator::start(node.dir.path()).await;
        let _agent = node.start();
        let hello = operator.hears(hello).await;
        assert_eq!((hello.node.as_str(), hello.fleet_hash.len()), (NODE, 0));
        let facts = hello.facts.expect("facts");
        assert_eq!(facts.nics[0].name, "eth0");
        assert_eq!(facts.addresses, ["10.93.0.2", "10.94.0.2"]);
        let takes = hello.capabilities.expect("capabilities");
        assert!(takes.kernel.contains('.') && takes.tcx, "{takes:?}");
        assert!(takes.entries == 10_240 && takes.set_prefixes.is_power_of_two(), "{takes:?}");
        assert!(network.edge_answers());

        let hash = operator.plan(1, &drops_ping(1, "eth0"));
        let verdict = operator.verdict(1).await;
        assert_eq!((verdict.stage(), verdict.hash.as_slice()), (VerdictStage::Programmed, &hash.0[..]));
        let program = verdict.program.expect("one runs");
        assert!(program.verified_instructions > 1000 && program.jited_bytes > 1000, "{program:?}");
        assert!((1..10_000).contains(&program.ns_per_packet), "{program:?}");
        let policy = &verdict.policies[0];
        assert_eq!((policy.uid.as_str(), policy.interfaces[0].mode.as_str()), ("uid-edge", "native"));
        assert!(!network.edge_answers());

        let counted = operator
            .hears(|kind| match kind {
                AgentEventKind::Report(report) => report.counters.into_iter().next(),
                _ => None,
            })
            .await;
        assert_eq!((counted.policy_uid.as_str(), counted.name.as_str()), ("uid-edge", "no-ping"));
        assert_eq!((counted.verdict.as_str(), counted.packets, counted.bytes), ("drop", 1, 98));

        operator.plan(2, &NodePlan::default());
        assert_eq!(operator.verdict(2).await.stage(), VerdictStage::Programmed);
        assert!(network.edge_answers());
        operator.stop().await;
    });
}

#[test]
fn the_confirmed_plan_is_enforced_from_disk_without_an_operator() {
    let Some(network) = Network::new("boot") else { return };
    let node = Node::new(&network);
    enforce_and_end(&network, &node);
    assert!(!network.edge_answers(), "nothing is detached by an agent that ends");
    node.start().signal(Signal::SIGKILL);
    assert!(!network.edge_answers(), "nor by one that is killed");

    // As after a boot: the pins are gone, and what they held with them.
    std::fs::remove_dir_all(&node.bpffs).expect("removed");
    network.wait_edge_answers(true);
    let begun = Instant::now();
    let _agent = node.start();
    eventually("the program", || attached(&network));
    let took = begun.elapsed();
    assert!(!network.edge_answers());
    let bound = Duration::from_secs(if cfg!(debug_assertions) { 4 } else { 1 });
    assert!(took <= bound, "enforced after {took:?}");
}

#[test]
fn a_bad_plan_is_rejected_and_the_former_one_stays() {
    let Some(network) = Network::new("bad") else { return };
    let node = Node::new(&network);
    network.in_hub(async {
        let mut operator = Operator::start(node.dir.path()).await;
        let _agent = node.start();
        operator.plan(1, &drops_ping(1, "eth0"));
        assert_eq!(operator.verdict(1).await.stage(), VerdictStage::Programmed);

        operator.bytes(2, Bytes::from_static(b"no plan at all"));
        let verdict = operator.verdict(2).await;
        assert_eq!((verdict.stage(), verdict.reason.as_str()), (VerdictStage::Rejected, "InvalidPlan"));
        let mut damaged = drops_ping(3, "eth0");
        damaged.filters.tables.entries.truncate(4);
        let hash = operator.plan(3, &damaged);
        let verdict = operator.verdict(3).await;
        assert_eq!((verdict.stage(), verdict.reason.as_str()), (VerdictStage::Rejected, "InvalidPlan"));
        assert_eq!(verdict.hash, hash.0);
        assert!(!network.edge_answers());

        operator.plan(4, &drops_ping(1, "eth0"));
        assert_eq!(operator.verdict(4).await.stage(), VerdictStage::Programmed);
        operator.stop().await;
    });
}

#[test]
fn an_agent_whose_link_was_away_is_back_soon() {
    let Some(network) = Network::new("away") else { return };
    let node = Node::new(&network);
    network.in_hub(async {
        let mut operator = Operator::start(node.dir.path()).await;
        let _agent = node.start();
        operator.plan(1, &drops_ping(1, "eth0"));
        assert_eq!(operator.verdict(1).await.stage(), VerdictStage::Programmed);
        network.unplug("eth0");
        operator.hears(|kind| matches!(kind, AgentEventKind::Disconnected).then_some(())).await;
        eventually("a wait that is longer than the bound below", || {
            let log = node.log();
            let last =
                log.lines().rev().find_map(|line| line.split_once("\"retry_ms\":")).map(|(_, rest)| rest);
            let digits = last.and_then(|rest| rest.split(|c: char| !c.is_ascii_digit()).next());
            digits.and_then(|digits| digits.parse::<u64>().ok()).is_some_and(|wait| wait >= 5000)
        });
        network.plug("eth0", CONTROL);
        let begun = Instant::now();
        operator.hears(hello).await;
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(3), "{took:?}");
        operator.stop().await;
    });
}

#[test]
fn backends_are_checked_and_their_health_is_told() {
    let Some(network) = Network::new("health") else { return };
    let node = Node::new(&network);
    network.in_hub(async {
        let mut operator = Operator::start(node.dir.path()).await;
        let _agent = node.start();
        let backend = tokio::net::TcpListener::bind(("10.94.0.1", 8080)).await.expect("a port of the hub");
        operator.plan(1, &plans::balances("wan", "10.94.0.1", true));
        assert_eq!(operator.verdict(1).await.stage(), VerdictStage::Programmed);
        let health = operator.hears(health).await;
        assert_eq!(
            (health.policy_uid.as_str(), health.address.as_str(), health.healthy),
            ("uid-web", "10.94.0.1", true)
        );
        drop(backend);
        let health = operator.hears(self::health).await;
        assert!(!health.healthy && health.detail.contains("refused"), "{}", health.detail);
        operator.stop().await;
    });
}

#[test]
fn a_backends_node_has_its_vips_while_the_plan_says_so() {
    let Some(network) = Network::new("vips") else { return };
    let node = Node::new(&network);
    let on_loopback = || {
        let listed = Command::new("ip")
            .args(["-n", &network.edge, "address", "show", "lo"])
            .output()
            .expect("ip runs");
        String::from_utf8_lossy(&listed.stdout).contains(plans::VIP)
    };
    network.in_hub(async {
        let mut operator = Operator::start(node.dir.path()).await;
        let agent = node.start();
        operator.plan(1, &plans::balances("wan", "10.94.0.2", false));
        assert_eq!(operator.verdict(1).await.stage(), VerdictStage::Programmed);
        eventually("the VIP", on_loopback);
        agent.signal(Signal::SIGKILL);
        assert!(on_loopback(), "connections live on without the agent");
        let _agent = node.start();
        operator.hears(hello).await;
        operator.plan(2, &NodePlan::default());
        assert_eq!(operator.verdict(2).await.stage(), VerdictStage::Programmed);
        eventually("the VIP's end", || !on_loopback());
        operator.stop().await;
    });
}

#[test]
fn detach_takes_everything_away_and_says_so() {
    let Some(network) = Network::new("detach") else { return };
    let node = Node::new(&network);
    enforce_and_end(&network, &node);
    assert!(node.detach().starts_with("detached from eth0 (index "));
    assert!(network.edge_answers());
    assert!(!node.bpffs.exists());
    assert!(node.detach().starts_with("nothing is attached"));
}

#[test]
fn an_agent_that_never_had_a_plan_leaves_nothing() {
    let Some(network) = Network::new("never") else { return };
    let node = Node::new(&network);
    std::fs::write(node.dir.path().join("ca.crt"), "").expect("written");
    let agent = node.start();
    eventually("the pins", || node.bpffs.join("stats").exists());
    agent.signal(Signal::SIGTERM);
    assert!(!node.bpffs.exists(), "{}", node.log());
}

#[test]
fn a_plan_that_drops_everything_does_not_cut_the_agent_off() {
    let Some(network) = Network::new("lock") else { return };
    let node = Node::new(&network);
    network.in_hub(async {
        let mut operator = Operator::start(node.dir.path()).await;
        let agent = node.start();
        operator.plan(1, &plans::drops_all("eth0"));
        assert_eq!(operator.verdict(1).await.stage(), VerdictStage::Programmed);
        assert!(!network.edge_answers());
        // A new connection, too, and from a start that knows the operator only from its own store.
        agent.signal(Signal::SIGKILL);
        let _agent = node.start();
        let back = operator.hears(hello).await;
        assert_eq!(back.last_epoch.map(|epoch| epoch.index), Some(1));
        operator.plan(2, &NodePlan::default());
        assert_eq!(operator.verdict(2).await.stage(), VerdictStage::Programmed);
        assert!(network.edge_answers());
        operator.stop().await;
    });
}

/// Pings on eth0 are dropped, and neither operator nor agent runs any more.
fn enforce_and_end(network: &Network, node: &Node<'_>) {
    network.in_hub(async {
        let mut operator = Operator::start(node.dir.path()).await;
        let agent = node.start();
        operator.plan(1, &drops_ping(1, "eth0"));
        assert_eq!(operator.verdict(1).await.stage(), VerdictStage::Programmed);
        operator.stop().await;
        let begun = Instant::now();
        assert!(agent.signal(Signal::SIGTERM).success(), "{}", node.log());
        assert!(begun.elapsed() < Duration::from_secs(2), "an agent ends at once: {:?}", begun.elapsed());
    });
}

fn hello(kind: AgentEventKind) -> Option<sluice_proto::v1::Hello> {
    if let AgentEventKind::Connected(hello) = kind { Some(*hello) } else { None }
}

/// The hash of a plan of which no policy has a problem.
fn programmed_everywhere(kind: AgentEventKind) -> Option<Hash> {
    let AgentEventKind::Verdicts(verdicts) = kind else { return None };
    let plan = verdicts.resources.first()?;
    let whole = plan.policies.iter().all(|policy| policy.stage() == VerdictStage::Programmed);
    (whole && plan.stage() == VerdictStage::Programmed).then(|| Hash::from_slice(&plan.hash))?
}

fn health(kind: AgentEventKind) -> Option<BackendHealth> {
    if let AgentEventKind::Report(report) = kind { report.backends.into_iter().next() } else { None }
}

/// A policy that is not in force although the plan is.
fn rejected_policy(kind: AgentEventKind) -> Option<PolicyVerdict> {
    let AgentEventKind::Verdicts(verdicts) = kind else { return None };
    let plan = verdicts.resources.into_iter().find(|plan| plan.stage() == VerdictStage::Programmed)?;
    plan.policies.into_iter().find(|policy| policy.stage() == VerdictStage::Rejected)
}

fn attached(network: &Network) -> bool {
    network.xdp_on("eth0").is_some()
}
