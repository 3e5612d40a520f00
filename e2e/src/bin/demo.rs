//! `make demo`: three edge nodes under attack; policies are applied and edited; then all of it is gone.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::{Parser, Subcommand};
use sluice_e2e::fleet::{Fleet, Options};
use sluice_e2e::netns::{ip, mac};
use sluice_e2e::process::{Process, program};
use sluice_e2e::sender::Sender;
use sluice_e2e::{frames, http};

const PREFIX: &str = "sldemo";
const EDGES: usize = 3;
const PATIENCE: Duration = Duration::from_secs(30);
const POLICY: &str = include_str!("../../../docs/examples/xdpfilter.yaml");
/// Of each flood and node; four floods run on each of three nodes.
const FRAMES_PER_SECOND: u64 = 2_000;

#[derive(Parser)]
#[command(about = "Three edge nodes under attack, in network namespaces of this machine (root)")]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Builds the nodes and leaves them running to play with
    Up,
    /// Takes away what `up` left
    Down,
    /// A web server for the demo's nodes
    #[command(hide = true)]
    Serve { port: u16, name: String },
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Some(Command::Serve { port, name }) => http::serve(port, &name),
        Some(Command::Up) => up(),
        Some(Command::Down) => down(),
        None => demo(),
    }
}

fn directory() -> PathBuf {
    std::env::temp_dir().join("sluice-demo")
}

fn step(text: &str) {
    println!("==> {text}");
}

fn build() -> anyhow::Result<(Fleet, Vec<Process>)> {
    let _ = std::fs::remove_dir_all(directory());
    step("three edge nodes, a hub, cables between them");
    let options = Options { prefix: PREFIX.to_owned(), edges: EDGES, directory: directory() };
    let mut fleet = Fleet::build(options)?;
    step("the operator on a directory of policies, an agent and a web server in each node");
    fleet.start()?;
    let mut servers = Vec::new();
    for edge in &fleet.edges {
        let mut command = edge.netns.command(program("demo")?);
        command.args(["serve", "80", &edge.name]);
        servers.push(Process::start(&format!("web-{}", edge.name), &directory(), command)?);
    }
    Ok((fleet, servers))
}

fn demo() -> anyhow::Result<()> {
    let stop = interrupted()?;
    let (fleet, _servers) = build()?;
    step(
        "attack: UDP, SYN from spoofed sources, VLAN-tagged and fragmented floods; and people who read a web page",
    );
    let floods = floods(&fleet)?;
    let answered: Vec<Arc<AtomicU64>> = (1..=EDGES).map(|edge| reader(&fleet, edge, stop.clone())).collect();
    watch(&fleet, &answered, 3, &stop)?;
    step("docs/examples/xdpfilter.yaml is saved among the policies");
    fleet.write_policy("edge.yaml", POLICY)?;
    let first = fleet.wait_ready("edge", EDGES as u32, "", PATIENCE)?;
    println!("    Ready: {} (hash {})", first.message, first.hash);
    watch(&fleet, &answered, 5, &stop)?;
    step("edit: port 9 becomes port 10");
    let saved = Instant::now();
    fleet.write_policy("edge.yaml", &POLICY.replace("\"9\"", "\"10\""))?;
    let second = fleet.wait_ready("edge", EDGES as u32, &first.hash, PATIENCE)?;
    println!(
        "    {} ms from saving the file to the last node's confirmation (hash {})",
        saved.elapsed().as_millis(),
        second.hash
    );
    watch(&fleet, &answered, 2, &stop)?;
    stop.store(true, Ordering::Relaxed);
    for flood in floods {
        flood.stop()?;
    }
    step("everything is taken away");
    drop(fleet);
    Ok(std::fs::remove_dir_all(directory())?)
}

/// Ctrl-C ends the demo at its next step, and what it made goes as usual.
fn interrupted() -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let flag = stop.clone();
    std::thread::spawn(move || {
        runtime.block_on(async {
            if tokio::signal::ctrl_c().await.is_ok() {
                flag.store(true, Ordering::Relaxed);
            }
        });
    });
    Ok(stop)
}

fn floods(fleet: &Fleet) -> anyhow::Result<Vec<Sender>> {
    let mut floods = Vec::new();
    for (index, edge) in fleet.edges.iter().enumerate() {
        let (from, to) = ([2, 0, 0, 0, 0, 9], mac(&edge.netns, "eth0")?);
        let (source, node) = ([10, 80, index as u8 + 1, 1], [10, 80, index as u8 + 1, 2]);
        let spoofed = |number: u64| [198, 18, (number >> 8) as u8, number as u8];
        let start = |frame: Box<dyn Fn(u64) -> Vec<u8> + Send>| {
            let wire = format!("to-{}", edge.name);
            Sender::start(
                &fleet.hub,
                &wire,
                FRAMES_PER_SECOND,
                FRAMES_PER_SECOND * 120,
                move |number, buffer| {
                    let frame = frame(number);
                    buffer[..frame.len()].copy_from_slice(&frame);
                    frame.len()
                },
            )
        };
        floods.push(start(Box::new(move |_| frames::udp(from, to, source, node, 4000, 9))));
        floods.push(start(Box::new(move |number| frames::syn(from, to, spoofed(number), node, 1024, 23))));
        floods.push(start(Box::new(move |_| frames::tagged_udp(from, to, 100, source, node, 5000))));
        floods.push(start(Box::new(move |_| frames::later_fragment(from, to, source, node))));
    }
    Ok(floods)
}

/// Reads the node's page over and over; counts the answers.
fn reader(fleet: &Fleet, edge: usize, stop: Arc<AtomicBool>) -> Arc<AtomicU64> {
    let answered = Arc::new(AtomicU64::new(0));
    let counted = answered.clone();
    fleet.hub.spawn(move || {
        let address = format!("10.80.{edge}.2:80");
        while !stop.load(Ordering::Relaxed) {
            if TcpStream::connect(&address).map_err(anyhow::Error::from).and_then(http::get).is_ok() {
                counted.fetch_add(1, Ordering::Relaxed);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    answered
}

/// The table, once a second.
fn watch(fleet: &Fleet, answered: &[Arc<AtomicU64>], seconds: u32, stop: &AtomicBool) -> anyhow::Result<()> {
    for _ in 0..seconds {
        if stop.load(Ordering::Relaxed) {
            anyhow::bail!("interrupted; everything is taken away");
        }
        std::thread::sleep(Duration::from_secs(1));
        let mut out = std::io::stdout().lock();
        writeln!(out, "    {:<8} {:<16} {:>10} {:>9}", "NODE", "RULE", "DROPPED", "ANSWERED")?;
        for (index, node) in fleet.counters()?.iter().enumerate() {
            let mut rules: BTreeMap<&str, u64> = BTreeMap::new();
            for counter in
                node.counters.iter().filter(|counter| counter.verdict == "drop" && counter.packets > 0)
            {
                *rules.entry(&counter.rule).or_default() += counter.packets;
            }
            let pages = answered.get(index).map(|count| count.load(Ordering::Relaxed)).unwrap_or_default();
            if rules.is_empty() {
                writeln!(out, "    {:<8} {:<16} {:>10} {:>9}", node.node, "-", "-", pages)?;
            }
            for (rule, packets) in rules {
                writeln!(out, "    {:<8} {rule:<16} {packets:>10} {pages:>9}", node.node)?;
            }
        }
    }
    Ok(())
}

fn up() -> anyhow::Result<()> {
    let (mut fleet, servers) = build()?;
    fleet.write_policy("edge.yaml", POLICY)?;
    fleet.wait_ready("edge", EDGES as u32, "", PATIENCE)?;
    let mut pids = Vec::new();
    for mut process in servers {
        pids.push(process.pid().to_string());
        process.keep();
    }
    fleet.keep(&mut pids);
    std::fs::write(directory().join("pids"), pids.join("\n"))?;
    println!("\nTry:");
    println!(
        "  nsenter --net=/run/netns/{PREFIX}-hub kubectl-sluice status --data {}",
        fleet.data().display()
    );
    println!(
        "  nsenter --net=/run/netns/{PREFIX}-hub kubectl-sluice get counters --data {}",
        fleet.data().display()
    );
    println!("  edit {}/edge.yaml", fleet.policies().display());
    println!("  make demo-down");
    Ok(())
}

fn down() -> anyhow::Result<()> {
    let pids = std::fs::read_to_string(directory().join("pids")).context("nothing is up")?;
    for pid in pids.lines().filter_map(|pid| pid.parse().ok()) {
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGTERM);
    }
    for edge in 1..=EDGES {
        let _ = std::fs::remove_dir_all(Path::new("/sys/fs/bpf").join(format!("{PREFIX}-edge-{edge}")));
        ip(&["netns", "del", &format!("{PREFIX}-edge-{edge}")])?;
    }
    ip(&["netns", "del", &format!("{PREFIX}-hub")])?;
    std::fs::remove_dir_all(directory())?;
    step("everything is taken away");
    Ok(())
}
