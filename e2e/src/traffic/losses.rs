//! What queues say that they dropped: such packets met no verdict.

use anyhow::Context;

use crate::netns::ip;
use crate::process::run;

/// Longer than what a sender's socket lets out.
const QUEUE: &str = "10000";

/// Puts a queue before the interface: since Linux 6.16 a veth whose other end is busy then makes the sender wait, where
/// it would drop without one.
pub fn hold_back(netns: &str, interface: &str) -> anyhow::Result<()> {
    run("tc", &["-n", netns, "qdisc", "replace", "dev", interface, "root", "pfifo", "limit", QUEUE])?;
    Ok(())
}

/// Of the interface and the queue before it.
pub fn interface_drops(netns: &str, interface: &str) -> anyhow::Result<u64> {
    let link = json(&ip(&["-n", netns, "-s", "-j", "link", "show", "dev", interface])?)?;
    let queue = json(&run("tc", &["-n", netns, "-s", "-j", "qdisc", "show", "dev", interface])?)?;
    let dropped = link["stats64"]["tx"]["dropped"].as_u64();
    let dropped = dropped.with_context(|| format!("{interface} has no statistics"))?;
    Ok(dropped + queue["drops"].as_u64().unwrap_or_default())
}

/// Of this namespace's UDP socket at the port.
pub fn socket_drops(port: u16) -> anyhow::Result<u64> {
    let table = std::fs::read_to_string("/proc/thread-self/net/udp")?;
    let local = format!(":{port:04X}");
    let row = table.lines().map(str::split_whitespace).find_map(|mut fields| {
        let mine = fields.nth(1).is_some_and(|address| address.ends_with(&local));
        mine.then(|| fields.next_back()).flatten()
    });
    row.with_context(|| format!("no socket at port {port}"))?.parse().context("drops of a socket")
}

fn json(text: &str) -> anyhow::Result<serde_json::Value> {
    let mut found: serde_json::Value = serde_json::from_str(text)?;
    Ok(found[0].take())
}
