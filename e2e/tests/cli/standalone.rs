//! `standalone`: one process, one machine, no flags that could be left out.
//!
//! It runs in a network namespace, and in a mount namespace with an empty /var/lib and no bpf file system, so that the
//! usual places are its own. The test holds the mount namespace: what is pinned there outlives the process, as it does on
//! a machine.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use sluice_e2e::frames;
use sluice_e2e::netns::{End, Netns, connect, mac};
use sluice_e2e::process::{Process, eventually, program};
use sluice_e2e::sender::Sender;

use crate::fleet::lone_netns;
use crate::run::{Said, quiet};

const PATIENCE: Duration = Duration::from_secs(20);
const ALONE: &str = "umount -l /sys/fs/bpf; mount -t tmpfs tmpfs /var/lib && exec \"$@\"";

/// The machine, and the wire to it.
struct Machine {
    machine: Netns,
    wire: Netns,
    directory: tempfile::TempDir,
    mounts: Option<File>,
    process: Option<Process>,
}

impl Machine {
    fn new() -> Machine {
        let (machine, wire) = (lone_netns("slsa"), lone_netns("slsw"));
        let near = End { netns: &machine, interface: "eth0", addresses: &["10.81.0.2/24"] };
        connect(near, End { netns: &wire, interface: "eth0", addresses: &["10.81.0.1/24"] }).unwrap();
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("policies")).unwrap();
        Machine { machine, wire, directory, mounts: None, process: None }
    }

    fn write(&self, port: u16) {
        let policy = format!(
            "apiVersion: sluice.dev/v1alpha1\nkind: XdpFilter\nmetadata: {{name: edge}}\nspec:\n  \
             nodeSelector: {{matchLabels: {{role: edge}}}}\n  interfaces: {{names: [eth0]}}\n  rules:\n  \
             - {{name: flood, action: Drop, match: {{protocols: [UDP], destinationPorts: [\"{port}\"]}}}}\n"
        );
        let temporary = self.directory.path().join("new");
        std::fs::write(&temporary, policy).unwrap();
        std::fs::rename(temporary, self.policies().join("edge.yaml")).unwrap();
    }

    fn start(&mut self) {
        let mut command = match &self.mounts {
            None => {
                let mut command = quiet(self.machine.command("unshare"));
                command.args(["--mount", "sh", "-c", ALONE, "alone"]).arg(program("kubectl-sluice").unwrap());
                command
            }
            Some(_) => self.inside("kubectl-sluice"),
        };
        command.args(["standalone", "--label", "role=edge", "--node", "alone", "--policies"]);
        command.arg(self.policies());
        self.process = Some(Process::start("standalone", self.directory.path(), command).unwrap());
        self.until("it says so", |machine| {
            machine.log().contains("look at it with: kubectl sluice status\n")
        });
        if self.mounts.is_none() {
            let mounts = format!("/proc/{}/ns/mnt", self.process.as_ref().unwrap().pid());
            self.mounts = Some(File::open(mounts).unwrap());
        }
    }

    /// Started as on the machine itself.
    fn inside(&self, name: &str) -> Command {
        let mounts = self.mounts.as_ref().unwrap().as_raw_fd();
        let mut command = quiet(Command::new("nsenter"));
        command.arg(format!("--net=/run/netns/{}", self.machine.name()));
        command.arg(format!("--mount=/proc/{}/fd/{mounts}", std::process::id()));
        command.arg(program(name).unwrap());
        command
    }

    fn run(&self, line: &str) -> Said {
        Said::of(self.inside("kubectl-sluice").args(line.split(' ')))
    }

    fn policies(&self) -> PathBuf {
        self.directory.path().join("policies")
    }

    fn log(&self) -> String {
        self.process.as_ref().map(Process::log).unwrap_or_default()
    }

    fn until(&self, what: &str, found: impl Fn(&Machine) -> bool) {
        let waited = eventually(PATIENCE, || Ok(found(self).then_some(())));
        waited.unwrap_or_else(|error| panic!("{what}: {error}\n{}", self.log()));
    }

    fn send(&self, port: u16, count: u64) {
        let to = mac(&self.machine, "eth0").unwrap();
        let frame = frames::udp([2, 0, 0, 0, 0, 9], to, [10, 81, 0, 1], [10, 81, 0, 2], 4000, port);
        let sender = Sender::start(&self.wire, "eth0", 20_000, count, move |_, buffer| {
            buffer[..frame.len()].copy_from_slice(&frame);
            frame.len()
        });
        assert_eq!(sender.finish().unwrap(), count);
    }

    fn is_attached(&self) -> bool {
        self.machine.ip(&["-d", "link", "show", "dev", "eth0"]).unwrap().contains("prog/xdp")
    }

    fn ready(&self, than: &str) -> String {
        let mut hash = String::new();
        let ready = eventually(PATIENCE, || {
            let said = self.run("status -o json");
            let status: serde_json::Value = serde_json::from_str(&said.out).unwrap_or_default();
            let policy = &status["policies"][0];
            hash = policy["hash"].as_str().unwrap_or_default().to_owned();
            Ok((policy["ready"] == "True" && hash != than).then_some(()))
        });
        ready.unwrap_or_else(|error| panic!("{error}: {:?}\n{}", self.run("status"), self.log()));
        hash
    }

    fn shows_drops(&self) {
        let mut command = self.inside("kubectl-sluice");
        command.args(["drops", "-f", "-c", "1"]);
        let mut drops = Process::start("drops", self.directory.path(), command).unwrap();
        let ended = eventually(PATIENCE, || {
            self.send(5354, 1);
            Ok((!drops.is_running()).then_some(()))
        });
        ended.unwrap_or_else(|error| panic!("{error}: {}\n{}", drops.log(), self.log()));
        let said = drops.log();
        assert!(said.contains("alone eth0 IP 10.81.0.1.4000 > 10.81.0.2.5354: UDP, length 60"), "{said}");
    }

    fn counted(&self, packets: u64) {
        let line = format!("alone  edge    flood  drop     {packets:>7}  {:>5}", packets * 60);
        self.until(&line, |machine| machine.run("get counters").out.contains(&line));
    }
}

#[test]
fn one_machine_needs_no_flags_and_keeps_its_policies() {
    let mut machine = Machine::new();
    machine.write(5353);
    machine.start();
    assert!(machine.log().contains("mounted the bpf file system"), "{}", machine.log());
    let first = machine.ready("");
    machine.send(5353, 400);
    machine.send(5354, 400);
    machine.counted(400);
    let nodes = machine.run("nodes").well();
    assert!(nodes.contains("alone") && nodes.contains("connected") && nodes.contains("native"), "{nodes}");
    assert!(machine.run("version").well().contains("operator  0.1.0"));

    // An edit.
    machine.write(5354);
    machine.ready(&first);
    machine.send(5354, 100);
    machine.counted(500);
    machine.run("standalone --detach").fails(1, &["the agent must be stopped first"]);

    // Ctrl-C: policies stay in force, and how to take them off is said.
    let process = machine.process.as_mut().unwrap();
    process.signal(Signal::SIGINT).unwrap();
    assert!(process.wait(PATIENCE).unwrap().success(), "{}", machine.log());
    assert!(
        machine.log().ends_with("to take them off: kubectl sluice standalone --detach\n"),
        "{}",
        machine.log()
    );
    assert!(machine.is_attached());
    machine.send(5354, 250);
    machine.run("status").fails(1, &["no operator at 127.0.0.1:9443"]);

    // Back again: what was dropped meanwhile is counted.
    machine.start();
    machine.ready("");
    machine.counted(750);
    machine.shows_drops();
    machine.process.as_mut().unwrap().stop(PATIENCE).unwrap();
    assert!(machine.is_attached(), "nor does SIGTERM detach");

    let detached = machine.run("standalone --detach").well();
    assert!(detached.contains("detached from eth0"), "{detached}");
    assert!(!machine.is_attached());
}

/// A directory of pins, which nobody else takes away.
struct Pins(PathBuf);

impl Drop for Pins {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn what_standalone_cannot_start_with_is_said() {
    let machine = lone_netns("slsb");
    let pins = Pins(format!("/sys/fs/bpf/slsb-{}", std::process::id()).into());
    let directory = tempfile::tempdir().unwrap();
    let run = |flags: &[&str]| {
        let mut command = quiet(machine.command(program("kubectl-sluice").unwrap()));
        command.args(["standalone", "--node", "alone", "--state"]).arg(directory.path().join("state"));
        Said::of(command.arg("--bpffs").arg(&pins.0).args(flags))
    };
    run(&["--policies", "/nonexistent"]).fails(1, &["--policies /nonexistent: there is no such directory"]);
    let policies = directory.path().join("policies");
    std::fs::create_dir(&policies).unwrap();
    let policies = policies.to_str().unwrap();
    let _taken = machine.spawn(|| std::net::TcpListener::bind("127.0.0.1:9443").unwrap()).join().unwrap();
    let taken = run(&["--policies", policies]);
    taken.fails(1, &["operator: --listen 127.0.0.1:9443: another process has this port"]);
    assert!(directory.path().join("state/join-token").metadata().unwrap().permissions().mode() & 0o077 == 0);
    assert!(!pins.0.exists(), "what was never used is not left behind");
}
