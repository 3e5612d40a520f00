//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use sluice_telemetry::{LevelArgs, TelemetryArgs};

use crate::Config;

const EXAMPLES: &str = "Examples:
  sluice-agent --node edge-1 --operator 192.0.2.1:9443 --ca ca.crt --token-file edge-1.token --label role=edge
  sluice-agent log-level debug --for 5m
  sluice-agent detach --bpffs /sys/fs/bpf/sluice

Plans stay in force when the agent ends; `sluice-agent detach` takes them off the interfaces.";

const LEVEL_EXAMPLES: &str = "Examples:
  sluice-agent log-level                          (what is logged now)
  sluice-agent log-level debug                    (for 15 minutes)
  sluice-agent log-level info,sluice_client=trace --for 90s
  sluice-agent log-level --reset

Only root, and who runs the agent, may do so.";

/// Enforces the plans of a Sluice operator on this node's network interfaces.
#[derive(Debug, Parser)]
#[command(name = "sluice-agent", version, after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub run: RunArgs,
    #[command(flatten)]
    pub telemetry: TelemetryArgs,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Takes everything that Sluice attached off this node's interfaces, and forgets the plan
    Detach(DetachArgs),
    /// Shows what the agent that runs here logs, or changes it for a while
    #[command(after_help = LEVEL_EXAMPLES)]
    LogLevel {
        #[command(flatten)]
        level: LevelArgs,
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// This node's name, as in its join token
    #[arg(long, env = "SLUICE_NODE", default_value = "")]
    pub node: String,
    /// HOST:PORT of the operator; of several replicas all with commas between, or a name with all their addresses
    #[arg(long, env = "SLUICE_OPERATOR", default_value = "")]
    pub operator: String,
    /// PEM certificates of the operator's authority
    #[arg(long, env = "SLUICE_CA", default_value = "/etc/sluice/ca.crt")]
    pub ca: PathBuf,
    /// Join token, exchanged for a client certificate at the first start
    #[arg(long, env = "SLUICE_TOKEN_FILE", default_value = "/var/run/secrets/sluice/token")]
    pub token_file: PathBuf,
    #[command(flatten)]
    pub place: Place,
    /// KEY=VALUE that node selectors match (directory mode); may be repeated
    #[arg(long = "label", env = "SLUICE_LABELS", value_delimiter = ',', value_parser = label)]
    pub labels: Vec<(String, String)>,
    /// Address for /metrics, /healthz and /readyz (plain HTTP)
    #[arg(long, env = "SLUICE_METRICS", default_value = "0.0.0.0:9464")]
    pub metrics: SocketAddr,
    /// Most prefixes of all address sets together, IPv6 ones counted six times [default: by the memory that it may use]
    #[arg(long, env = "SLUICE_SET_PREFIXES")]
    pub set_prefixes: Option<u64>,
    /// How often counters are reported, as 1s or 500ms
    #[arg(long, env = "SLUICE_REPORT_INTERVAL", default_value = "1s", value_parser = duration)]
    pub report_interval: Duration,
}

#[derive(Clone, Debug, Args)]
pub struct Place {
    /// Directory for the confirmed plan and the certificate
    #[arg(long, env = "SLUICE_STATE", default_value = "/var/lib/sluice-agent")]
    pub state: PathBuf,
    /// Directory on a bpf file system for what outlives the agent
    #[arg(long, env = "SLUICE_BPFFS", default_value = "/sys/fs/bpf/sluice")]
    pub bpffs: PathBuf,
}

#[derive(Clone, Debug, Args)]
pub struct DetachArgs {
    #[command(flatten)]
    pub place: Place,
    /// How long to wait for an agent that still runs, as 30s
    #[arg(long, default_value = "0s", value_parser = wait)]
    pub wait: Duration,
    /// Also remove what is in the state directory, the node's certificate with it
    #[arg(long)]
    pub forget: bool,
    /// Afterwards do nothing until told to end (for a pod that is done when it runs)
    #[arg(long)]
    pub stay: bool,
}

impl TryFrom<RunArgs> for Config {
    type Error = anyhow::Error;

    fn try_from(args: RunArgs) -> anyhow::Result<Config> {
        anyhow::ensure!(!args.node.is_empty(), "--node is missing: the name that the join token is for");
        anyhow::ensure!(!args.operator.is_empty(), "--operator is missing: HOST:PORT, as in 192.0.2.1:9443");
        let Place { state, bpffs } = args.place;
        Ok(Config {
            node: args.node,
            operator: args.operator,
            ca: args.ca,
            token: args.token_file,
            state,
            bpffs,
            labels: args.labels.into_iter().collect(),
            metrics: Some(args.metrics),
            set_prefixes: args.set_prefixes,
            report_interval: args.report_interval,
        })
    }
}

/// `KEY=VALUE`.
pub fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!("`{text}` is no label: write KEY=VALUE, as in role=edge")),
    }
}

/// A time, as 60s or 2m.
pub fn wait(text: &str) -> Result<Duration, String> {
    let parsed = text.parse::<jiff::SignedDuration>().ok();
    parsed
        .and_then(|duration| Duration::try_from(duration).ok())
        .ok_or_else(|| format!("`{text}` is no time to wait: write 60s or 2m"))
}

fn duration(text: &str) -> Result<Duration, String> {
    let long_enough = wait(text).ok().filter(|duration| *duration >= Duration::from_millis(100));
    long_enough.ok_or_else(|| format!("`{text}` is no interval of 100ms or more: write 1s or 500ms"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Cli, clap::Error> {
        Cli::try_parse_from([&["sluice-agent"], arguments].concat())
    }

    #[test]
    fn the_command_line_of_directory_mode() {
        let line =
            "--node n --operator h:9443 --ca c --token-file t --state s --bpffs b --label a=b --label c=";
        let cli = parse(&line.split(' ').collect::<Vec<_>>()).expect("a good line");
        let config = Config::try_from(cli.run).expect("complete");
        assert_eq!((config.node.as_str(), config.operator.as_str()), ("n", "h:9443"));
        assert_eq!(config.labels, [("a", "b"), ("c", "")].map(|(k, v)| (k.to_owned(), v.to_owned())).into());
        assert_eq!(config.report_interval, Duration::from_secs(1));
    }

    #[test]
    fn what_is_missing_or_odd_is_named() {
        let error = Config::try_from(parse(&["--node", "n"]).expect("parses").run).expect_err("no operator");
        assert!(error.to_string().contains("--operator"));
        for odd in [["--label", "role"], ["--report-interval", "0s"], ["--report-interval", "often"]] {
            let error = parse(&odd).expect_err("odd").to_string();
            assert!(error.contains("write "), "{error}");
        }
    }

    #[test]
    fn detach_needs_no_operator() {
        let cli = parse(&["detach", "--bpffs", "/sys/fs/bpf/x"]).expect("a good line");
        assert!(
            matches!(cli.command, Some(Command::Detach(args)) if args.place.bpffs.as_os_str() == "/sys/fs/bpf/x")
        );
    }
}
