//! What befalls the API server, counted in packets with a wrong verdict and in edits that came to nothing: none. The
//! operator reaches it by a wire of its own, and has a node with a real agent under traffic.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use sluice_e2e::fleet::{Fleet, Options};
use sluice_e2e::process::{Process, eventually, program};
use sluice_e2e::traffic::{Route, Traffic};
use tempfile::TempDir;

use crate::server::{NAMESPACE, Server, ready};
use crate::wire::Wire;
use crate::{AUDIENCE, PATIENCE};

const FILTERS: &str = "/apis/sluice.dev/v1alpha1/xdpfilters";
const NODE: &str = "edge-1";
const PER_SECOND: u64 = 20_000;
const PASSED: u16 = 7001;
const DROPPED: u16 = 7002;
/// Passed datagrams after each event: its effect, if any, is among them.
const AFTER: u64 = 2_000;
/// Of versions: each drops SYNs to a port of its own.
const PORT: u16 = 20_000;
const VERSIONS: u16 = 10;
const UNANSWERED: Duration = Duration::from_millis(200);

#[test]
fn whatever_befalls_the_api_server_no_packet_and_no_edit_is_lost() {
    let site = Site::start();
    watches_are_cut_off(&site);
    what_it_knew_has_expired(&site);
    let mut site = it_is_away(site);
    it_comes_back_older(&mut site);
    its_store_is_slow(&site);
    site.finish();
}

/// Connections end, and the next ones are answered.
fn watches_are_cut_off(site: &Site) {
    site.wire.cut();
    site.edit(1);
    site.wait_for(1);
}

/// While the operator does not see the server an object changes and one goes; what it would ask for later is forgotten.
fn what_it_knew_has_expired(site: &Site) {
    site.server.cluster.apply(&filter("passing", 9)).unwrap();
    site.wait_for_ports(&[1, 9]);
    let list = site.server.kubectl(&["get", "--raw", FILTERS]);
    let known = serde_json::from_str::<Value>(&list).unwrap()["metadata"]["resourceVersion"].clone();
    site.wire.close();
    site.edit(2);
    site.server.kubectl(&["delete", "xdpfilter", "passing"]);
    site.control_plane("stop", &["kube-apiserver"]);
    site.control_plane("start", &["kube-apiserver"]);
    let from = format!("{FILTERS}?watch=1&timeoutSeconds=1&resourceVersion={}", known.as_str().unwrap());
    let answer = site.server.cluster.kubectl(&["get", "--raw", &from]);
    let answer = answer.unwrap_or_else(|error| format!("{error:#}"));
    assert!(answer.contains("too old resource version"), "the fault is not there: {answer}");
    site.wire.open();
    site.wait_for(2);
}

/// For 20 s, or as many as `SLUICE_API_AWAY` says. Operator and agent start again meanwhile.
fn it_is_away(mut site: Site) -> Site {
    let away = std::env::var("SLUICE_API_AWAY").ok();
    let away = Duration::from_secs(away.map_or(20, |seconds| seconds.parse().expect("a number of seconds")));
    let begun = Instant::now();
    site.control_plane("stop", &["kube-apiserver", "etcd"]);
    site.keep_store();
    site.operator.kill().unwrap();
    site.operator = start_operator(&site.server, &site.fleet);
    site.fleet.edges[0].agent.as_mut().unwrap().kill().unwrap();
    site.fleet.start_agent(0).unwrap();
    site.flow();
    std::thread::sleep(away.saturating_sub(begun.elapsed()));
    site.assert_ports(&[2]);
    site.control_plane("start", &["etcd", "kube-apiserver"]);
    site.edit(3);
    site.wait_for(3);
    site
}

/// From a copy of its store, as after a disaster: what was written since is gone, and its versions are counted again.
fn it_comes_back_older(site: &mut Site) {
    site.edit(4);
    site.wait_for(4);
    site.control_plane("stop", &["kube-apiserver", "etcd"]);
    site.put_store_back();
    site.control_plane("start", &["etcd", "kube-apiserver"]);
    site.wait_for(2);
    site.edit(5);
    site.wait_for(5);
}

/// Most of the time it does not answer.
fn its_store_is_slow(site: &Site) {
    let etcd = Pid::from_raw(site.etcd());
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let slow = std::thread::spawn(move || {
        while stopped.recv_timeout(Duration::from_millis(100)).is_err() {
            kill(etcd, Signal::SIGSTOP).unwrap();
            std::thread::sleep(Duration::from_millis(900));
            kill(etcd, Signal::SIGCONT).unwrap();
        }
    });
    for version in 6..=8 {
        site.edit(version);
        site.wait_for(version);
    }
    stop.send(()).unwrap();
    slow.join().unwrap();
}

struct Site {
    server: Server,
    fleet: Fleet,
    wire: Wire,
    operator: Process,
    traffic: Traffic,
    /// Of etcd's data, once it was made.
    kept: PathBuf,
    _directory: TempDir,
}

impl Site {
    fn start() -> Site {
        let server = Server::start("slio");
        let directory = TempDir::new().unwrap();
        let mut fleet = Fleet::build(Options::unique("slio", 1, directory.path())).unwrap();
        let state = server.cluster.state();
        let wire = Wire::start(&fleet.hub, state.join("api.sock"));
        let operator = start_operator(&server, &fleet);
        server.cluster.apply(POD).unwrap();
        let token = server.token_of_pod("agent-1", &[AUDIENCE]);
        std::fs::write(directory.path().join(format!("{NODE}.token")), token).unwrap();
        fleet.start_agent(0).unwrap();
        server.cluster.apply(&filter("edge", 0)).unwrap();
        let route = Route {
            from: &fleet.hub,
            to: &fleet.edges[0].netns,
            interface: "to-edge-1",
            address: "10.80.1.2".parse().unwrap(),
            passed: PASSED,
            dropped: DROPPED,
        };
        wait_until_ready(&server, &fleet);
        let traffic = Traffic::start(route, PER_SECOND).unwrap();
        let kept = state.join("etcd-kept");
        let site = Site { server, fleet, wire, operator, traffic, kept, _directory: directory };
        site.flow();
        site.wait_for(0);
        site
    }

    fn edit(&self, version: u16) {
        self.server.cluster.apply(&filter("edge", version)).unwrap();
    }

    /// Until this version is what the kernel enforces, its status says so of this generation, and traffic went on.
    fn wait_for(&self, version: u16) {
        self.wait_for_ports(&[version]);
        wait_until_ready(&self.server, &self.fleet);
        self.flow();
    }

    fn wait_for_ports(&self, versions: &[u16]) {
        let waited = eventually(PATIENCE, || Ok((self.dropped() == ports(versions)).then_some(())));
        waited.unwrap_or_else(|error| {
            panic!("{versions:?}: {error:#}: {:?}\n{}", self.dropped(), self.operator.log())
        });
    }

    fn assert_ports(&self, versions: &[u16]) {
        assert_eq!(self.dropped(), ports(versions));
    }

    /// Of the versions' ports, those where a SYN is not answered, though nobody listens and nobody would.
    fn dropped(&self) -> BTreeSet<u16> {
        let is_dropped = |port: &u16| {
            let to = SocketAddr::from(([10, 80, 1, 2], *port));
            let error = TcpStream::connect_timeout(&to, UNANSWERED).expect_err("nobody listens");
            assert!(
                matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::TimedOut),
                "{to}: {error}"
            );
            error.kind() == ErrorKind::TimedOut
        };
        self.fleet.hub.spawn(move || (PORT..PORT + VERSIONS).filter(is_dropped).collect()).join().unwrap()
    }

    fn flow(&self) {
        self.traffic.flow(AFTER, PATIENCE).unwrap();
    }

    fn control_plane(&self, action: &str, components: &[&str]) {
        self.server.cluster.script("control-plane.sh", &[&[action], components].concat()).unwrap();
    }

    fn keep_store(&self) {
        copy(&self.server.cluster.state().join("etcd"), &self.kept);
    }

    fn put_store_back(&self) {
        let store = self.server.cluster.state().join("etcd");
        std::fs::remove_dir_all(&store).unwrap();
        copy(&self.kept, &store);
    }

    fn etcd(&self) -> i32 {
        let netns = self.server.cluster.netns("cp");
        let pids = sluice_e2e::netns::ip(&["netns", "pids", netns.name()]).unwrap();
        let is_etcd = |pid: &&str| {
            let program = std::fs::read_link(format!("/proc/{pid}/exe"));
            program.is_ok_and(|program| program.ends_with("etcd"))
        };
        pids.split_whitespace().find(is_etcd).expect("etcd runs").parse().unwrap()
    }

    fn finish(self) {
        let tally = self.traffic.stop().unwrap();
        println!("{tally:?}");
        assert!(tally.overflowed <= tally.sent / 1000, "{tally:?}");
        assert_eq!(tally.wrong(), 0, "{tally:?}");
    }
}

/// In the hub, behind the wire.
fn start_operator(server: &Server, fleet: &Fleet) -> Process {
    let directory = &fleet.options.directory;
    let kubeconfig = directory.join("behind-the-wire.kubeconfig");
    if !kubeconfig.exists() {
        let token = server.token("sluice-operator", &[]);
        let made = server.cluster.kubeconfig_of("operator", &token, directory).unwrap();
        std::fs::rename(made, &kubeconfig).unwrap();
        let of = format!("--kubeconfig={}", kubeconfig.display());
        server.kubectl(&[&of, "config", "set-cluster", "c", &format!("--server=https://{}", Wire::ADDRESS)]);
    }
    let mut command: Command = fleet.hub.command(program("sluice-operator").unwrap());
    command.env("KUBECONFIG", &kubeconfig);
    command.args(["--source", "kubernetes", "--namespace", NAMESPACE, "--data"]).arg(fleet.data());
    command.args(["--listen", "0.0.0.0:9443", "--metrics", "127.0.0.1:9090"]);
    let operator = Process::start("operator", directory, command).unwrap();
    let ca = fleet.data().join("pki/ca.crt");
    eventually(PATIENCE, || Ok(ca.exists().then_some(())))
        .unwrap_or_else(|error| panic!("no operator: {error:#}\n{}", operator.log()));
    operator
}

fn wait_until_ready(server: &Server, fleet: &Fleet) {
    let is_ready = |object: &Value| {
        let condition = ready(object);
        condition["status"] == "True" && condition["observedGeneration"] == object["metadata"]["generation"]
    };
    let waited = server.cluster.wait_for("xdpfilter", "edge", PATIENCE, is_ready);
    waited.unwrap_or_else(|error| panic!("{error:#}\n{}", fleet.last_words()));
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    let copied = Command::new("cp").args(["--archive", "--no-target-directory"]).arg(from).arg(to).status();
    assert!(copied.unwrap().success());
}

fn ports(versions: &[u16]) -> BTreeSet<u16> {
    versions.iter().map(|version| PORT + version).collect()
}

fn filter(name: &str, version: u16) -> String {
    let port = PORT + version;
    format!(
        "apiVersion: sluice.dev/v1alpha1\nkind: XdpFilter\nmetadata: {{name: {name}}}\nspec:\n  \
         interfaces: {{names: [eth0]}}\n  rules:\n  - name: flood\n    action: Drop\n    \
         match: {{protocols: [UDP], destinationPorts: [\"{DROPPED}\"]}}\n  - name: probe\n    action: Drop\n    \
         match: {{protocols: [TCP], destinationPorts: [\"{port}\"]}}\n"
    )
}

const POD: &str = "
apiVersion: v1
kind: Node
metadata: {name: edge-1}
---
apiVersion: v1
kind: Pod
metadata: {name: agent-1, namespace: sluice-system}
spec: {serviceAccountName: sluice-agent, nodeName: edge-1, containers: [{name: agent, image: none}]}
";
