//! Network namespaces of a process that measures or compares. They have no names, so nothing is left of them however the process ends.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::thread;

use anyhow::{Context, anyhow};
use nix::sched::{CloneFlags, setns, unshare};

use crate::netns::ip;

/// A namespace that goes with this value.
#[derive(Debug)]
pub struct Room(File);

impl Room {
    pub fn create() -> anyhow::Result<Room> {
        let room = on_a_thread(|| {
            leave()?;
            Ok(Room(File::open("/proc/thread-self/ns/net")?))
        })?;
        room.inside(quiet)?;
        Ok(room)
    }

    /// Runs `work`, and the tools that it starts, inside.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> anyhow::Result<T> + Send) -> anyhow::Result<T> {
        on_a_thread(|| {
            setns(&self.0, CloneFlags::CLONE_NEWNET)?;
            work()
        })
    }

    /// A cable between `outer` in the caller's namespace and eth0 in the room; both ends are up.
    pub fn connect(&self, outer: &str, mac: &str) -> anyhow::Result<()> {
        let room = format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd());
        ip(&["link", "add", outer, "type", "veth", "peer", "name", "eth0", "netns", &room])?;
        ip(&["link", "set", outer, "up"])?;
        self.inside(|| ip(&["link", "set", "eth0", "address", mac, "up"]).map(drop))
    }
}

/// Moves the calling thread, and the tools that it starts, to a namespace that nobody else is in.
pub fn leave() -> anyhow::Result<()> {
    unshare(CloneFlags::CLONE_NEWNET).context("a network namespace: root is needed")?;
    quiet()
}

/// Index of an interface in the caller's namespace.
pub fn index(interface: &str) -> anyhow::Result<u32> {
    nix::net::if_::if_nametoindex(interface).with_context(|| interface.to_owned())
}

/// Nothing but what the bench sends is on the cables.
fn quiet() -> anyhow::Result<()> {
    for which in ["all", "default"] {
        std::fs::write(format!("/proc/sys/net/ipv6/conf/{which}/disable_ipv6"), "1")?;
    }
    Ok(())
}

fn on_a_thread<T: Send>(work: impl FnOnce() -> anyhow::Result<T> + Send) -> anyhow::Result<T> {
    let ended = thread::scope(|scope| scope.spawn(work).join());
    ended.unwrap_or_else(|_| Err(anyhow!("a thread in a namespace panicked")))
}
