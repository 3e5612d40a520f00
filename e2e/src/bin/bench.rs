//! What packets and edits cost; see `docs/benchmarks.md`. Needs root.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use clap::{Parser, ValueEnum};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sluice_e2e::bench::{edits, one_process, report, sets, wire};

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
    /// A directory whose benchmarks.md and benchmarks.svg are to carry what came out.
    #[arg(long)]
    write: Option<PathBuf>,
    /// Prefixes of a large address set; 0 leaves it out.
    #[arg(long, default_value_t = 1_000_000)]
    set_prefixes: usize,
    /// One of the processes: measures and prints JSON.
    #[arg(long, hide = true)]
    part: Option<Part>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Output {
    Table,
    Json,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Part {
    /// Frames through programs.
    Packets,
    /// Frames over a cable.
    Wire,
}

/// The kernel's own measuring takes longer than most programs, and makes all of them alike.
fn run_statistics_are_off() -> anyhow::Result<()> {
    let switch =
        std::fs::read_to_string("/proc/sys/kernel/bpf_stats_enabled").context("bpf_stats_enabled")?;
    ensure!(
        switch.trim() == "0",
        "the kernel times each run of a program: `sysctl kernel.bpf_stats_enabled=0`"
    );
    Ok(())
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    match arguments.part {
        Some(Part::Packets) => return print(&one_process(arguments.rounds)?),
        Some(Part::Wire) => return print(&wire::one_process(arguments.rounds)?),
        None => {}
    }
    run_statistics_are_off()?;
    let load = load()?;
    let packets = measure(&arguments, Part::Packets)?;
    let wire = measure(&arguments, Part::Wire)?;
    let mut report = report::gather(packets, wire, arguments.rounds, load, arguments.uneven)?;
    if arguments.edits > 0 {
        eprintln!("{} edits", arguments.edits);
        report.edits = Some(edits::measure(arguments.edits)?);
    }
    if arguments.set_prefixes > 0 {
        eprintln!("an address set of {} prefixes", arguments.set_prefixes);
        report.sets = Some(sets::measure(arguments.set_prefixes)?);
    }
    if let Some(documentation) = &arguments.write {
        report.write(documentation)?;
    }
    match arguments.output {
        Output::Table => {
            report.print();
            report.sets.iter().for_each(|sets| println!("{sets}"));
        }
        Output::Json => println!("{}", serde_json::to_string_pretty(&report)?),
    }
    Ok(())
}

/// In fresh processes, one after another.
fn measure<T: DeserializeOwned>(arguments: &Arguments, part: Part) -> anyhow::Result<Vec<T>> {
    let part = format!("{part:?}").to_lowercase();
    let one = |number: usize| {
        eprintln!("{part}: process {number} of {}", arguments.processes);
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--part", &part, "--rounds", &arguments.rounds.to_string()]);
        let output = command.stderr(Stdio::inherit()).output()?;
        ensure!(output.status.success(), "a measuring process ended with {}", output.status);
        Ok(serde_json::from_slice(&output.stdout)?)
    };
    (1..=arguments.processes).map(one).collect()
}

fn print(found: &impl Serialize) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string(found)?);
    Ok(())
}

fn load() -> anyhow::Result<f64> {
    let text = std::fs::read_to_string("/proc/loadavg")?;
    Ok(text.split(' ').next().context("/proc/loadavg is empty")?.parse()?)
}
