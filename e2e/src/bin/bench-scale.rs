//! What thousands of agents cost the operator; see `docs/scaling.md`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use sluice_e2e::scale::{Options, measure};

#[derive(Parser)]
struct Arguments {
    /// Sizes of the fleets, the smallest first.
    #[arg(long, value_delimiter = ',', default_value = "500,1500,5000")]
    agents: Vec<usize>,
    /// Classes of nodes with policies of their own.
    #[arg(long, default_value_t = 50)]
    classes: usize,
    /// Policies of the largest fleet in the end.
    #[arg(long, default_value_t = 1000)]
    policies: usize,
    /// Prefixes of its address set.
    #[arg(long, default_value_t = 1_000_000)]
    set_prefixes: usize,
    #[arg(long, default_value_t = 5)]
    edits: usize,
    /// Seconds in which nothing happens.
    #[arg(long, default_value_t = 30)]
    steady: u64,
    /// Agents of three replicas; 0 leaves them out.
    #[arg(long, default_value_t = 500)]
    replicated: usize,
    /// JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// A directory whose benchmarks.md and scale.svg are to carry what came out.
    #[arg(long)]
    write: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Arguments { agents, classes, policies, set_prefixes, edits, steady, replicated, json, write } =
        Arguments::parse();
    let steady = Duration::from_secs(steady);
    let options = Options { agents, classes, policies, set_prefixes, edits, steady, replicated };
    let report = measure(&options).await?;
    if let Some(documentation) = &write {
        report.write(documentation)?;
    }
    if json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        report.print();
    }
    Ok(())
}
