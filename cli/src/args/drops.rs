//! `kubectl sluice drops`.

use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use sluice_agent::args::wait;

const HELP: &str = "Examples:
  kubectl sluice drops                            (what is dropped in the next 5 seconds)
  kubectl sluice drops -f --policy edge --rule flood
  kubectl sluice drops -f -c 100 --node edge-1 --write drops.pcapng
  kubectl sluice drops -f -o json | jq -r '.policy + \" \" + .rule'

A sample is a packet's first 128 bytes. Of each rule, default and backend 20 a second are taken on each node, however much
it drops; what finds no room on the way is counted and said. Nodes sample only while somebody watches.";

#[derive(Clone, Debug, Args)]
#[command(after_help = HELP)]
pub struct Drops {
    /// Go on until interrupted
    #[arg(short, long, conflicts_with = "time")]
    pub follow: bool,
    /// How long to watch without --follow, as 5s or 1m
    #[arg(long = "for", value_name = "TIME", default_value = "5s", value_parser = wait)]
    pub time: Duration,
    /// End after so many packets
    #[arg(short, long, value_name = "PACKETS")]
    pub count: Option<NonZeroU64>,
    /// Only this policy
    #[arg(long)]
    pub policy: Option<String>,
    /// Only this rule; also _default, _malformed and VIP:PORT/PROTOCOL>BACKEND
    #[arg(long)]
    pub rule: Option<String>,
    /// Only this node
    #[arg(long)]
    pub node: Option<String>,
    /// Also write the packets to a pcapng file, each with what dropped it
    #[arg(long, value_name = "FILE")]
    pub write: Option<PathBuf>,
    #[arg(short, long, value_enum, default_value_t)]
    pub output: DropsOutput,
}

/// JSON here is one object a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum DropsOutput {
    #[default]
    Text,
    Json,
}
