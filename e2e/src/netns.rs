//! Network namespaces of the tests and the demo: made, joined and removed again.

use std::fs::File;
use std::path::PathBuf;
use std::process::Command;
use std::thread::{self, JoinHandle};

use anyhow::{Context, bail};
use nix::sched::{CloneFlags, setns};

use crate::process::run;

/// A named namespace that goes with this value.
#[derive(Debug)]
pub struct Netns {
    name: String,
    keep: bool,
}

impl Netns {
    /// Makes the namespace with its loopback up; one of that name that an aborted run left behind is replaced.
    pub fn create(name: &str) -> anyhow::Result<Netns> {
        if path(name).exists() {
            ip(&["netns", "del", name])?;
        }
        ip(&["netns", "add", name])?;
        let netns = Netns { name: name.to_owned(), keep: false };
        netns.ip(&["link", "set", "lo", "up"])?;
        Ok(netns)
    }

    /// One that somebody else made and removes.
    pub fn existing(name: &str) -> Netns {
        Netns { name: name.to_owned(), keep: true }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Leaves the namespace in place when this value goes.
    pub fn keep(&mut self) {
        self.keep = true;
    }

    /// `ip` inside the namespace.
    pub fn ip(&self, arguments: &[&str]) -> anyhow::Result<String> {
        ip(&[&["-n", self.name.as_str()], arguments].concat())
    }

    /// A command that starts inside. nsenter and not `ip netns exec`, which would hide the BPF file system.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", path(&self.name).display())).arg(program);
        command
    }

    pub fn sysctl(&self, key: &str, value: &str) -> anyhow::Result<()> {
        let status = self.command("sysctl").args(["-qw", &format!("{key}={value}")]).status()?;
        if !status.success() {
            bail!("sysctl {key}={value} in {}: {status}", self.name);
        }
        Ok(())
    }

    /// Runs `work` on a thread of its own inside the namespace.
    pub fn spawn<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        let name = self.name.clone();
        thread::spawn(move || {
            join(&name).expect("a namespace that was made can be joined");
            work()
        })
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        if !self.keep
            && let Err(error) = ip(&["netns", "del", &self.name])
        {
            eprintln!("namespace {} stays: {error:#}", self.name);
        }
    }
}

/// Moves the calling thread into a namespace.
pub fn join(name: &str) -> anyhow::Result<()> {
    let file = File::open(path(name)).with_context(|| format!("namespace {name}"))?;
    setns(file, CloneFlags::CLONE_NEWNET).with_context(|| format!("join namespace {name}: root is needed"))
}

/// One end of a cable.
#[derive(Clone, Copy, Debug)]
pub struct End<'a> {
    pub netns: &'a Netns,
    pub interface: &'a str,
    /// With prefix length; IPv4 or IPv6.
    pub addresses: &'a [&'a str],
}

/// A veth pair, both ends up.
pub fn connect(a: End<'_>, b: End<'_>) -> anyhow::Result<()> {
    a.netns.ip(&[
        "link",
        "add",
        a.interface,
        "type",
        "veth",
        "peer",
        "name",
        b.interface,
        "netns",
        b.netns.name(),
    ])?;
    for end in [a, b] {
        for address in end.addresses {
            let family: &[&str] = if address.contains(':') { &["nodad"] } else { &[] };
            end.netns.ip(&[&["addr", "add", address, "dev", end.interface], family].concat())?;
        }
        end.netns.ip(&["link", "set", end.interface, "up"])?;
    }
    Ok(())
}

/// Runs `ip`; its output, or its complaint.
pub fn ip(arguments: &[&str]) -> anyhow::Result<String> {
    run("ip", arguments)
}

/// MAC address of an interface.
pub fn mac(netns: &Netns, interface: &str) -> anyhow::Result<[u8; 6]> {
    let text = netns.ip(&["-j", "link", "show", "dev", interface])?;
    let links: serde_json::Value = serde_json::from_str(&text)?;
    let mac = links[0]["address"].as_str().with_context(|| format!("{interface} has no MAC address"))?;
    let bytes: Result<Vec<u8>, _> = mac.split(':').map(|byte| u8::from_str_radix(byte, 16)).collect();
    bytes?.try_into().ok().with_context(|| format!("{mac} is no MAC address"))
}

fn path(name: &str) -> PathBuf {
    PathBuf::from("/run/netns").join(name)
}
