//! What queues say that they dropped: such packets met no verdict.

use anyhow::Context;

use crate::netns::{Netns, ip};

/// Of the sender's interface, the receiver's sockets and the receiver's backlog.
pub fn overflows(from: &str, to: &str, interface: &str) -> anyhow::Result<u64> {
    Ok(interface_drops(from, interface)? + socket_drops(to)?)
}

fn interface_drops(netns: &str, interface: &str) -> anyhow::Result<u64> {
    let text = ip(&["-n", netns, "-s", "-j", "link", "show", "dev", interface])?;
    let links: serde_json::Value = serde_json::from_str(&text)?;
    links[0]["stats64"]["tx"]["dropped"].as_u64().with_context(|| format!("{interface} has no statistics"))
}

/// `Udp: … RcvbufErrors …` of the namespace.
fn socket_drops(netns: &str) -> anyhow::Result<u64> {
    let output = Netns::existing(netns).command("cat").arg("/proc/thread-self/net/snmp").output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut lines = text.lines().filter(|line| line.starts_with("Udp:"));
    let (names, values) = (lines.next().context("no Udp line")?, lines.next().context("no Udp values")?);
    let found =
        names.split_whitespace().zip(values.split_whitespace()).find(|(name, _)| *name == "RcvbufErrors");
    Ok(found.context("no RcvbufErrors")?.1.parse()?)
}
