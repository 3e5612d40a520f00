//! `kubectl sluice log-level`.

use std::str::FromStr;

use clap::Args;
use sluice_telemetry::LevelArgs;

const LEVEL_HELP: &str = "Examples:
  kubectl sluice log-level operator
  kubectl sluice log-level node/edge-1 debug
  kubectl sluice log-level node/edge-1 info,sluice_client=trace --for 90s
  kubectl sluice log-level operator --reset

In a cluster this runs the command of the same name in the pods, for which you need the right to exec there. Without one it is
for the operator on this machine; for an agent there is `sluice-agent log-level` on its node.";

#[derive(Clone, Debug, Args)]
#[command(after_help = LEVEL_HELP)]
pub struct LogLevel {
    /// operator (each of its replicas), or node/NAME for the agent of a node
    pub target: Target,
    #[command(flatten)]
    pub level: LevelArgs,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    Operator,
    Node(String),
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Target, String> {
        match text.split_once('/') {
            None if text == "operator" => Ok(Target::Operator),
            Some(("node", name)) if !name.is_empty() => Ok(Target::Node(name.to_owned())),
            _ => Err(format!("`{text}` logs nothing: write operator, or node/NAME")),
        }
    }
}
