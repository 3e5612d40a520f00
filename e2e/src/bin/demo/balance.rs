//! The second act: a virtual address in front of the nodes' web servers, one of which is killed.

use std::collections::BTreeSet;
use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::Context;
use sluice_e2e::clients::{Clients, Log};
use sluice_e2e::process::eventually;

use crate::stage::{BALANCER, EDGES, PATIENCE, Stage, VIP, backend, step};
use crate::stop::Stop;

const CLIENTS: u16 = 80;
/// Between two requests of whichever client.
const PAUSE: Duration = Duration::from_millis(2);
const KILLED: &str = "edge-3";

pub fn act(stage: &mut Stage, stop: &Stop) -> anyhow::Result<()> {
    step(
        "docs/examples/xdploadbalancer.yaml is saved: one address for the three web servers, half for the first",
    );
    stage.fleet.write_policy("web.yaml", BALANCER)?;
    let ready = stage.fleet.wait_ready("web", EDGES as u32, "", PATIENCE)?;
    println!("    Ready: {} (hash {})", ready.message, ready.hash);
    let clients = start(stage)?;
    watch(&clients, 2, stop)?;
    step(&format!("the web server of {KILLED} is killed"));
    let before = clients.take();
    let killed = Instant::now();
    stage.servers.last_mut().context("each node has a server")?.kill()?;
    watch(&clients, 2, stop)?;
    let after = clients.take();
    let others: Vec<_> = before.failures.iter().chain(after.failures_of_others(KILLED)).collect();
    let last = after.failures.iter().map(|failure| failure.at).max().unwrap_or(killed);
    println!(
        "    out of the ring after {} ms (two checks are 1000 ms); of its own clients {} requests failed till then, of all others {}",
        (last - killed).as_millis(),
        after.failures.len() - after.failures_of_others(KILLED).len(),
        others.len(),
    );
    anyhow::ensure!(others.is_empty(), "clients of other servers noticed: {others:?}");
    Ok(())
}

/// Clients that have an answer each.
fn start(stage: &Stage) -> anyhow::Result<Clients> {
    let to = format!("{VIP}:80").parse()?;
    // A node's web server has the address once its agent has put it there.
    for (number, edge) in (1..).zip(&stage.fleet.edges) {
        let there = || Ok(edge.netns.ip(&["addr", "show", "dev", "lo"])?.contains(VIP).then_some(()));
        eventually(PATIENCE, there).with_context(|| format!("{VIP} for backend {}", backend(number)))?;
    }
    let clients = Clients::start(&stage.fleet.hub, to, 30_000..30_000 + CLIENTS, PAUSE);
    let all = || Ok((clients.log().clients().values().sum::<usize>() == usize::from(CLIENTS)).then_some(()));
    eventually(PATIENCE, all).with_context(|| format!("{:?}", clients.log()))?;
    Ok(clients)
}

/// Who answered, once a second.
fn watch(clients: &Clients, seconds: u32, stop: &Stop) -> anyhow::Result<()> {
    let mut before = clients.log();
    for _ in 0..seconds {
        stop.pause(Duration::from_secs(1))?;
        let now = clients.log();
        print(&before, &now)?;
        before = now;
    }
    Ok(())
}

fn print(before: &Log, now: &Log) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "    {:<8} {:>8} {:>9} {:>6} {:>7}", "SERVER", "CLIENTS", "ANSWERED", "SHARE", "FAILED")?;
    let answers = |log: &Log, name: &str| log.answers.get(name).copied().unwrap_or_default();
    let failures = |log: &Log, name: &str| log.failures.len() - log.failures_of_others(name).len();
    let names: BTreeSet<&str> =
        (1..=EDGES).map(|number| ["edge-1", "edge-2", "edge-3"][number - 1]).collect();
    let all: u64 = names.iter().map(|name| answers(now, name) - answers(before, name)).sum();
    for name in names {
        let (clients, answered) = (
            now.clients().get(name).copied().unwrap_or_default(),
            answers(now, name) - answers(before, name),
        );
        let share = 100 * answered / all.max(1);
        let failed = failures(now, name) - failures(before, name);
        writeln!(out, "    {name:<8} {clients:>8} {answered:>9} {share:>5}% {failed:>7}")?;
    }
    Ok(())
}
