//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand};
use sluice_telemetry::{LevelArgs, TelemetryArgs};

const EXAMPLES: &str = "Examples:
  sluice-operator --source dir:policies/ --data /var/lib/sluice-operator
  sluice-operator --source kubernetes --ca-dir /etc/sluice/ca
  sluice-operator --source dir:policies/ --replica op-1:9443 --replicas op-1:9443,op-2:9443,op-3:9443
  sluice-operator token edge-1 --data /var/lib/sluice-operator > edge-1.token    (else: kubectl sluice join edge-1)";

const LEVEL_EXAMPLES: &str = "Examples:
  sluice-operator log-level                       (what is logged now)
  sluice-operator log-level debug                 (for 15 minutes)
  sluice-operator log-level info,sluice_distribute=trace --for 90s
  sluice-operator log-level --reset

Only root, and who runs the operator, may do so.";

/// Compiles policies and distributes them to the node agents.
#[derive(Debug, Parser)]
#[command(name = "sluice-operator", version, after_help = EXAMPLES)]
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
    /// Shows what the operator that runs here logs, or changes it for a while
    #[command(after_help = LEVEL_EXAMPLES)]
    LogLevel {
        #[command(flatten)]
        level: LevelArgs,
        #[command(flatten)]
        at: Data,
    },
    /// Prints a token with which a node's agent joins (directory mode), where no operator runs yet: good once, for 15 minutes
    Token {
        /// The node's name
        node: String,
        /// The operator's data directory
        #[arg(long, env = "SLUICE_DATA", default_value = "/var/lib/sluice-operator")]
        data: PathBuf,
    },
    /// Makes a new store after the old one was lost, with epochs above those that agents still enforce
    Recover {
        /// Highest incarnation that agents report (kubectl sluice nodes)
        #[arg(long)]
        seen_incarnation: u64,
        #[arg(long, env = "SLUICE_DATA", default_value = "/var/lib/sluice-operator")]
        data: PathBuf,
    },
}

#[derive(Clone, Debug, Args)]
pub struct Data {
    /// The operator's data directory
    #[arg(long, env = "SLUICE_DATA", default_value = "/var/lib/sluice-operator")]
    pub data: PathBuf,
}

pub const TRACED_NODES: usize = 100;

#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// Where policies come from: `kubernetes`, or `dir:PATH` for a directory of YAML files
    #[arg(long, env = "SLUICE_SOURCE", default_value = "kubernetes")]
    pub source: Source,
    /// Directory for the agreed state, certificates and, in directory mode, status files
    #[arg(long, env = "SLUICE_DATA", default_value = "/var/lib/sluice-operator")]
    pub data: PathBuf,
    /// Address for agents and the CLI (mutual TLS)
    #[arg(long, env = "SLUICE_LISTEN", default_value = "0.0.0.0:9443")]
    pub listen: SocketAddr,
    /// Address for /metrics, /healthz and /readyz (plain HTTP)
    #[arg(long, env = "SLUICE_METRICS", default_value = "0.0.0.0:9090")]
    pub metrics: SocketAddr,
    /// Directory with ca.crt and ca.key; without it the operator makes its own below --data. Replicas need the same
    #[arg(long, env = "SLUICE_CA_DIR")]
    pub ca_dir: Option<PathBuf>,
    /// DNS name or IP address that agents reach the operator by; may be repeated
    #[arg(long = "name", env = "SLUICE_NAMES", value_delimiter = ',')]
    pub names: Vec<String>,
    /// Every replica as HOST:PORT of its --listen, in the same order everywhere; the first founds the cluster
    #[arg(long, env = "SLUICE_REPLICAS", value_delimiter = ',', requires = "replica")]
    pub replicas: Vec<String>,
    /// Which of --replicas this one is
    #[arg(long, env = "SLUICE_REPLICA", requires = "replicas")]
    pub replica: Option<String>,
    /// Fleet configuration when the source is kubernetes (a directory source has fleet.yaml)
    #[arg(long, env = "SLUICE_FLEET")]
    pub fleet: Option<PathBuf>,
    /// Nodes of an edit that are traced, about: the same ones each time (see --otlp-endpoint)
    #[arg(long, env = "SLUICE_TRACED_NODES", default_value_t = TRACED_NODES)]
    pub traced_nodes: usize,
    /// Take the taint sluice.dev/agent-not-ready off nodes whose agent has programmed what is meant for them, and put it on
    /// again when a node was lost or has booted (source kubernetes)
    #[arg(long, env = "SLUICE_READINESS_TAINT")]
    pub readiness_taint: bool,
    /// Namespace that the operator and the agents' ServiceAccount live in
    #[arg(long, env = "SLUICE_NAMESPACE", default_value = "sluice-system")]
    pub namespace: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    Kubernetes,
    Directory(PathBuf),
}

impl FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Source, String> {
        match text.split_once(':') {
            None if text == "kubernetes" => Ok(Source::Kubernetes),
            Some(("dir", path)) if !path.is_empty() => Ok(Source::Directory(path.into())),
            _ => Err(format!("\"{text}\" is no source: write kubernetes or dir:PATH")),
        }
    }
}
