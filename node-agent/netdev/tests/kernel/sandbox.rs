//! Two network namespaces joined by a veth; gone when dropped.

use std::fs::File;
use std::future::Future;
use std::process::Command;

use nix::sched::{CloneFlags, setns};

/// `eth0` (192.0.2.1/24, 2001:db8::1/64, 02:00:00:00:00:01) inside, default route to the other end (.2, ::2).
pub struct Sandbox {
    inside: String,
    outside: String,
}

impl Sandbox {
    /// `None` only where the environment says that privileged tests are skipped.
    pub fn new(name: &str) -> Option<Sandbox> {
        if !nix::unistd::geteuid().is_root() {
            assert!(
                std::env::var_os("SLUICE_SKIP_PRIVILEGED").is_some_and(|value| value == "1"),
                "this test makes network namespaces and needs root; SLUICE_SKIP_PRIVILEGED=1 skips it"
            );
            return None;
        }
        let unique = format!("nd-{name}-{}", std::process::id());
        let sandbox = Sandbox { inside: format!("{unique}-i"), outside: format!("{unique}-o") };
        sandbox.build();
        Some(sandbox)
    }

    fn build(&self) {
        let (inside, outside) = (self.inside.as_str(), self.outside.as_str());
        run("ip", &["netns", "add", inside]);
        run("ip", &["netns", "add", outside]);
        let veth = ["link", "add", "eth0", "netns", inside, "address", "02:00:00:00:00:01", "type", "veth"];
        let peer = ["peer", "name", "eth0", "netns", outside, "address", "02:00:00:00:00:02"];
        run("ip", &[veth.as_slice(), &peer].concat());
        for (namespace, last) in [(inside, "1"), (outside, "2")] {
            let v4 = format!("192.0.2.{last}/24");
            run("ip", &["-n", namespace, "link", "set", "lo", "up"]);
            run("ip", &["-n", namespace, "link", "set", "eth0", "addrgenmode", "none"]);
            run("ip", &["-n", namespace, "address", "add", &v4, "dev", "eth0"]);
            // Neighbour solicitations are sent from the link-local address; without duplicate detection it is there at once.
            for v6 in [format!("2001:db8::{last}/64"), format!("fe80::{last}/64")] {
                run("ip", &["-n", namespace, "address", "add", &v6, "dev", "eth0", "nodad"]);
            }
            run("ip", &["-n", namespace, "link", "set", "eth0", "up"]);
        }
        run("ip", &["-n", inside, "route", "add", "default", "via", "192.0.2.2"]);
    }

    /// Runs the future on a thread of its own inside, with its own runtime, so that every socket and every process it
    /// makes is there.
    pub fn enter(&self, test: impl Future<Output = ()> + Send) {
        let namespace = File::open(format!("/run/netns/{}", self.inside)).expect("the namespace was made");
        let body = || {
            setns(namespace, CloneFlags::CLONE_NEWNET).expect("entering the namespace");
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(test);
        };
        std::thread::scope(|scope| {
            if let Err(panic) = scope.spawn(body).join() {
                std::panic::resume_unwind(panic);
            }
        });
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        for namespace in [&self.inside, &self.outside] {
            _ = Command::new("ip").args(["netns", "del", namespace]).output();
        }
    }
}

/// In the caller's namespace.
pub fn run(program: &str, arguments: &[&str]) {
    let output =
        Command::new(program).args(arguments).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {}: {said}", arguments.join(" "));
}
