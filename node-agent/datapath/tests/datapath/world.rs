//! A place for one test: namespaces that end with its thread, so nothing can be left behind.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use nix::mount::{MsFlags, mount};
use nix::net::if_::if_nametoindex;
use nix::sched::{CloneFlags, unshare};
use sluice_datapath::{Datapath, LocalInterface, State};

pub struct World {
    dir: tempfile::TempDir,
}

/// Runs a test in a thread with its own network and mount namespace.
pub fn run(test: impl FnOnce(&World) + Send + 'static) {
    if skipped() {
        return;
    }
    let outcome = std::thread::spawn(move || test(&World::new())).join();
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

pub fn skipped() -> bool {
    std::env::var_os("SLUICE_SKIP_PRIVILEGED").is_some_and(|value| value == "1")
}

impl World {
    fn new() -> World {
        unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS)
            .expect("namespaces need root; SLUICE_SKIP_PRIVILEGED=1 skips this test");
        let none = None::<&str>;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
        let dir = tempfile::tempdir().unwrap();
        mount(Some("bpf"), dir.path(), Some("bpf"), MsFlags::empty(), none).unwrap();
        // No router solicitations between the packets that a test counts.
        std::fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1").unwrap();
        World { dir }
    }

    pub fn root(&self) -> PathBuf {
        self.dir.path().join("sluice")
    }

    pub fn bpffs(&self) -> &Path {
        self.dir.path()
    }

    /// A veth pair: the interface under test and, as `x` + its name, the end that traffic is sent from.
    pub fn veth(&self, name: &str) -> LocalInterface {
        ip(&["link", "add", name, "type", "veth", "peer", "name", &format!("x{name}")]);
        for end in [name, &format!("x{name}")] {
            ip(&["link", "set", end, "up"]);
        }
        self.interface(name)
    }

    pub fn interface(&self, name: &str) -> LocalInterface {
        let ifindex = if_nametoindex(name).unwrap();
        LocalInterface { name: name.into(), ifindex, mtu: 1500, ..LocalInterface::default() }
    }

    pub fn open(&self) -> Datapath {
        self.open_with(State::default())
    }

    pub fn open_with(&self, state: State) -> Datapath {
        Datapath::open(self.root(), state).unwrap()
    }
}

pub fn ip(arguments: &[&str]) {
    command("ip", arguments);
}

pub fn command(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().expect("iproute2 is installed");
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Polls until `done`; what is awaited here has no event.
pub fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while !done() {
        assert!(Instant::now() < deadline, "{what} did not happen within 5 s");
        std::thread::sleep(Duration::from_millis(1));
    }
}
