//! What packets and edits cost; see `docs/benchmarks.md`. Needs root.

use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use clap::{Parser, ValueEnum};
use sluice_e2e::bench::{Rounds, edits, one_process, report};
use sluice_e2e::netns::{End, Netns, connect};

#[derive(Parser)]
struct Arguments {
    #[arg(long, short, value_enum, default_value_t = Output::Table)]
    output: Output,
    /// Rounds of each process.
    #[arg(long, default_value_t = 25)]
    rounds: usize,
    /// Fresh processes.
    #[arg(long, default_value_t = 5)]
    processes: usize,
    /// Percent by which the empty program may differ from itself before a process is left out.
    #[arg(long, default_value_t = 3.0)]
    uneven: f64,
    /// Edits of a policy; 0 leaves them out.
    #[arg(long, default_value_t = 50)]
    edits: usize,
    /// One of the processes: measures on this interface and prints JSON.
    #[arg(long, hide = true)]
    on: Option<u32>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Output {
    Table,
    Json,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if let Some(ingress) = arguments.on {
        println!("{}", serde_json::to_string(&one_process(arguments.rounds, ingress)?)?);
        return Ok(());
    }
    let load = load()?;
    let mut report = report::gather(packets(&arguments)?, arguments.rounds, load, arguments.uneven)?;
    if arguments.edits > 0 {
        eprintln!("{} edits", arguments.edits);
        report.edits = Some(edits::measure(arguments.edits)?);
    }
    match arguments.output {
        Output::Table => report.print(),
        Output::Json => println!("{}", serde_json::to_string_pretty(&report)?),
    }
    Ok(())
}

/// On an interface that is not the loopback, where counting would be that of test packets.
fn packets(arguments: &Arguments) -> anyhow::Result<Vec<Rounds>> {
    let name = format!("slbench{}", std::process::id());
    let netns = Netns::create(&name)?;
    let end = |interface| End { netns: &netns, interface, addresses: &[] };
    connect(end("eth0"), end("eth1"))?;
    let links: serde_json::Value = serde_json::from_str(&netns.ip(&["-j", "link", "show", "dev", "eth0"])?)?;
    let ingress = links[0]["ifindex"].as_u64().context("eth0 has no index")?;
    let one = |number: usize| {
        eprintln!("process {number} of {}", arguments.processes);
        let mut command = netns.command(std::env::current_exe()?);
        command.args(["--on", &ingress.to_string(), "--rounds", &arguments.rounds.to_string()]);
        run(command)
    };
    (1..=arguments.processes).map(one).collect()
}

fn run(mut command: Command) -> anyhow::Result<Rounds> {
    let output = command.stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "a measuring process ended with {}", output.status);
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn load() -> anyhow::Result<f64> {
    let text = std::fs::read_to_string("/proc/loadavg")?;
    Ok(text.split(' ').next().context("/proc/loadavg is empty")?.parse()?)
}
