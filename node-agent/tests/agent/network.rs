//! Two network namespaces joined by a veth, and processes in them; all gone when dropped.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Everything that is awaited is an event; this is only for those that never come.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The operator is reached over this one.
pub const CONTROL: &str = "10.93.0";
pub const WAN: &str = "10.94.0";

/// `edge` has eth0 with 10.93.0.2 and wan with 10.94.0.2, `hub` the other ends with .1.
pub struct Network {
    pub edge: String,
    pub hub: String,
}

impl Network {
    /// `None` only where the environment says that privileged tests are skipped.
    pub fn new(name: &str) -> Option<Network> {
        if !nix::unistd::geteuid().is_root() {
            assert!(
                std::env::var_os("SLUICE_SKIP_PRIVILEGED").is_some_and(|value| value == "1"),
                "this test loads programs and needs root; SLUICE_SKIP_PRIVILEGED=1 skips it"
            );
            return None;
        }
        let unique = format!("ag-{name}-{}", std::process::id());
        let network = Network { edge: format!("{unique}-e"), hub: format!("{unique}-h") };
        for namespace in [&network.edge, &network.hub] {
            run("ip", &["netns", "add", namespace]);
            run("ip", &["-n", namespace, "link", "set", "lo", "up"]);
        }
        network.plug("eth0", CONTROL);
        network.plug("wan", WAN);
        Some(network)
    }

    /// The cable, or a new one after [`Network::unplug`]; the prefix is the first three bytes of a /24.
    pub fn plug(&self, interface: &str, prefix: &str) {
        let (edge, hub) = (self.edge.as_str(), self.hub.as_str());
        let peer = ["type", "veth", "peer", "name", interface, "netns", hub];
        run("ip", &[["link", "add", interface, "netns", edge].as_slice(), &peer].concat());
        for (namespace, last) in [(hub, "1"), (edge, "2")] {
            run("ip", &["-n", namespace, "address", "add", &format!("{prefix}.{last}/24"), "dev", interface]);
            run("ip", &["-n", namespace, "link", "set", interface, "up"]);
        }
    }

    pub fn unplug(&self, interface: &str) {
        run("ip", &["-n", &self.edge, "link", "del", interface]);
    }

    /// The id of the XDP program that an interface of the edge runs.
    pub fn xdp_on(&self, interface: &str) -> Option<u32> {
        let show = ["-n", &self.edge, "-json", "-details", "link", "show", "dev", interface];
        let output = Command::new("ip").args(show).output().expect("ip runs");
        let links: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
        u32::try_from(links[0]["xdp"]["prog"]["id"].as_u64()?).ok()
    }

    /// What an HTTP server on the edge's loopback answers.
    pub fn get(&self, port: u16, path: &str) -> String {
        let url = format!("http://127.0.0.1:{port}{path}");
        let output = inside(&self.edge, Path::new("curl")).args(["-sS", &url]).output().expect("curl runs");
        assert!(output.status.success(), "{url}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    /// Whether the edge answers an echo request from the hub.
    pub fn edge_answers(&self) -> bool {
        self.answers(CONTROL)
    }

    pub fn answers(&self, prefix: &str) -> bool {
        let address = format!("{prefix}.2");
        let ping =
            inside(&self.hub, Path::new("ping")).args(["-c1", "-W1", &address]).output().expect("ping runs");
        // Anything but an answer (0) or none (1) is a ping that could not run.
        assert!(matches!(ping.status.code(), Some(0 | 1)), "ping: {}", String::from_utf8_lossy(&ping.stderr));
        ping.status.success()
    }

    pub fn wait_edge_answers(&self, wanted: bool) {
        eventually(if wanted { "an answer" } else { "no answer" }, || self.edge_answers() == wanted);
    }

    /// Runs the future on a thread of its own in the hub, with its own runtime.
    pub fn in_hub<T: Send>(&self, work: impl Future<Output = T> + Send) -> T {
        let namespace = File::open(format!("/run/netns/{}", self.hub)).expect("the namespace was made");
        let body = || {
            setns(namespace, CloneFlags::CLONE_NEWNET).expect("entering the namespace");
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime")
                .block_on(work)
        };
        std::thread::scope(|scope| match scope.spawn(body).join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for namespace in [&self.edge, &self.hub] {
            _ = Command::new("ip").args(["netns", "del", namespace]).output();
        }
    }
}

/// A command in a namespace; unlike `ip netns exec`, with the bpf file system in sight.
pub fn inside(namespace: &str, program: &Path) -> Command {
    let mut command = Command::new("nsenter");
    command.arg(format!("--net=/run/netns/{namespace}")).arg(program);
    command
}

/// A process that is killed when dropped.
pub struct Process(Child);

impl Process {
    /// Its words go to `log`.
    pub fn start(mut command: Command, log: &Path) -> Process {
        let log = File::options().create(true).append(true).open(log).expect("a log");
        let child = command.stdout(Stdio::null()).stderr(log).spawn().expect("the program starts");
        Process(child)
    }

    pub fn signal(mut self, signal: Signal) -> std::process::ExitStatus {
        self.send(signal);
        self.0.wait().expect("it ends")
    }

    pub fn pause(&self) {
        self.send(Signal::SIGSTOP);
    }

    pub fn resume(&self) {
        self.send(Signal::SIGCONT);
    }

    fn send(&self, signal: Signal) {
        kill(Pid::from_raw(self.0.id() as i32), signal).expect("it runs");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what} did not come within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub fn run(program: &str, arguments: &[&str]) {
    let output =
        Command::new(program).args(arguments).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {}: {said}", arguments.join(" "));
}
