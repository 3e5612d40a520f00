//! `kubectl sluice rollout`.

use std::time::Duration;

use clap::{Args, Subcommand};
use sluice_agent::args::wait;

use super::Output;

#[derive(Debug, Subcommand)]
pub enum Rollout {
    /// How far the newest versions have come
    Status(RolloutStatus),
    /// Lets a version go no further
    #[command(after_help = "Example:\n  kubectl sluice rollout pause edge")]
    Pause(Order),
    /// Ends a pause
    #[command(after_help = "Example:\n  kubectl sluice rollout resume edge")]
    Resume(Order),
    /// Brings a version to all nodes at once, whatever its gates say; also one that was taken back
    #[command(after_help = "Example:\n  kubectl sluice rollout promote edge")]
    Promote(Order),
    /// Brings back the version before, also when all nodes have the newest
    #[command(after_help = "Example:\n  kubectl sluice rollout undo edge")]
    Undo(Order),
    /// The last ten versions, or what one of them changed
    History(History),
}

const STATUS_HELP: &str = "Examples:
  kubectl sluice rollout status
  kubectl sluice rollout status edge --wait 30m   (exit code 1 if it is taken back, halted, paused, or not through by then)";

#[derive(Clone, Debug, Args)]
#[command(after_help = STATUS_HELP)]
pub struct RolloutStatus {
    /// Only this XdpFilter
    pub filter: Option<String>,
    /// Wait until all nodes have it, as 30m
    #[arg(long, value_name = "TIME", value_parser = wait, requires = "filter")]
    pub wait: Option<Duration>,
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
}

#[derive(Clone, Debug, Args)]
pub struct Order {
    /// The XdpFilter
    pub filter: String,
}

const HISTORY_HELP: &str = "Examples:
  kubectl sluice rollout history edge
  kubectl sluice rollout history edge --revision 7   (what it changed)
  kubectl sluice rollout history edge -o yaml        (all of them, whole)";

#[derive(Clone, Debug, Args)]
#[command(after_help = HISTORY_HELP)]
pub struct History {
    /// The XdpFilter
    pub filter: String,
    /// Show how this generation differs from the one before it
    #[arg(long, value_name = "GENERATION")]
    pub revision: Option<i64>,
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
}
