//! The command line.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

const EXAMPLES: &str = "Examples:
  kubectl sluice status
  kubectl sluice get counters edge -o json
  kubectl sluice compile -f docs/examples/xdpfilter.yaml
  kubectl sluice simulate -f docs/examples/xdpfilter.yaml --pcap attack.pcapng
  kubectl sluice standalone --policies policies/
  kubectl sluice status --data /var/lib/sluice-operator        (an operator without a cluster)";

/// See and try XDP policies.
#[derive(Debug, Parser)]
#[command(name = "kubectl-sluice", bin_name = "kubectl sluice", version, after_help = EXAMPLES)]
pub struct Cli {
    #[command(flatten)]
    pub connection: Connection,
    #[command(subcommand)]
    pub command: Command,
}

/// How to reach the operator. Without any of these: the cluster of the kubeconfig, by port-forward.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Connection")]
pub struct Connection {
    /// Data directory of a directory-mode operator on this machine: its certificates are used
    #[arg(long, env = "SLUICE_DATA", global = true)]
    pub data: Option<PathBuf>,
    /// Address of a directory-mode operator
    #[arg(long, env = "SLUICE_OPERATOR", global = true, default_value = "127.0.0.1:9443")]
    pub operator: String,
    /// Directory with ca.crt, admin.crt and admin.key, copied from the operator's DATA/pki
    #[arg(long, env = "SLUICE_PKI", global = true)]
    pub pki: Option<PathBuf>,
    /// Namespace of the operator in the cluster
    #[arg(long, env = "SLUICE_NAMESPACE", global = true, default_value = "sluice-system")]
    pub sluice_namespace: String,
    /// kubeconfig context
    #[arg(long, global = true)]
    pub context: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Policies: mode, rules, nodes programmed, drops, condition
    Status(Listing),
    /// Nodes: agent, kernel, cards, XDP modes
    Nodes(Listing),
    /// Raw values
    Get {
        #[command(subcommand)]
        what: Get,
    },
    /// Shows what policies become: tables, sizes, hash
    Compile(Compile),
    /// Runs a capture through policies, packet by packet, before they touch a node
    Simulate(Simulate),
    /// Runs operator and agent in one process on this machine, without cluster or certificates to make
    Standalone(Standalone),
    /// Has every node of the cluster detach, and names those that could not be reached
    Detach(Detach),
    /// Lets go of objects that vanished together and are held in force (reason MassDeletion)
    ConfirmDeletion,
    /// Versions of this command and of the operator
    Version,
}

#[derive(Debug, Subcommand)]
pub enum Get {
    /// Packets and bytes of every rule on every node
    Counters(Counters),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    #[default]
    Table,
    Json,
    Yaml,
}

#[derive(Clone, Debug, Args)]
pub struct Listing {
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
}

#[derive(Clone, Debug, Args)]
pub struct Counters {
    /// Only this policy
    pub policy: Option<String>,
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
}

#[derive(Clone, Debug, Args)]
pub struct PolicyFiles {
    /// Policy file or directory; `-` reads standard input; may be repeated
    #[arg(short = 'f', long = "filename", required = true)]
    pub files: Vec<PathBuf>,
    /// Fleet configuration (failsafe, address pools); default: the built-in one
    #[arg(long)]
    pub fleet: Option<PathBuf>,
}

#[derive(Clone, Debug, Args)]
#[command(after_help = "Example:\n  kubectl sluice compile -f docs/examples/xdpfilter.yaml -o json")]
pub struct Compile {
    #[command(flatten)]
    pub policies: PolicyFiles,
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum SimulateOutput {
    #[default]
    Table,
    /// One JSON object a line and packet
    Json,
}

const SIMULATE_HELP: &str = "Examples:
  kubectl sluice simulate -f edge.yaml --pcap attack.pcapng
  tcpdump -i eth0 -c 1000 -w - | kubectl sluice simulate -f edge.yaml --pcap - -o json | jq .verdict
  kubectl sluice simulate -f edge.yaml --pcap ssh.pcap --node-address 192.0.2.1

Packets run through the same kernel program that nodes load (root, or CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON);
--interpret needs no privilege. A packet that the capture cut short is filled up with zeros to its length.";

#[derive(Clone, Debug, Args)]
#[command(after_help = SIMULATE_HELP)]
pub struct Simulate {
    #[command(flatten)]
    pub policies: PolicyFiles,
    /// Capture file, pcap or pcapng; `-` reads standard input
    #[arg(long)]
    pub pcap: PathBuf,
    /// Use the interpreter instead of the kernel
    #[arg(long)]
    pub interpret: bool,
    /// An address of the node, whose failsafe ports then stay open; may be repeated
    #[arg(long)]
    pub node_address: Vec<IpAddr>,
    /// Only policies that select this interface; default: all given
    #[arg(long)]
    pub interface: Option<String>,
    #[arg(short, long, value_enum, default_value_t)]
    pub output: SimulateOutput,
}

const DETACH_HELP: &str = "Example:
  kubectl sluice detach --all --timeout 2m

The agents are replaced by pods that take Sluice's programs, pins and state off their nodes. `helm uninstall` runs this
first. On a node that is named as not reached, run `sluice-agent detach --forget` once it is back.
Exit code 1 if a node was not reached, unless --ignore-unreached says otherwise.";

#[derive(Clone, Debug, Args)]
#[command(after_help = DETACH_HELP)]
pub struct Detach {
    /// Really all nodes: nothing is filtered or balanced any more
    #[arg(long, required = true)]
    pub all: bool,
    /// How long a node may take, as 60s or 2m
    #[arg(long, default_value = "60s", value_parser = duration)]
    pub timeout: Duration,
    /// Exit code 0 although a node was not reached
    #[arg(long)]
    pub ignore_unreached: bool,
}

fn duration(text: &str) -> Result<Duration, String> {
    let parsed = text.parse::<jiff::SignedDuration>().ok();
    parsed
        .and_then(|duration| Duration::try_from(duration).ok())
        .ok_or_else(|| format!("`{text}` is no time: write 60s or 2m"))
}

#[derive(Clone, Debug, Args)]
#[command(after_help = "Example:\n  kubectl sluice standalone --policies policies/ --state /var/lib/sluice")]
pub struct Standalone {
    /// Directory of policy files, watched
    #[arg(long)]
    pub policies: PathBuf,
    /// Where plans, counters and certificates are kept
    #[arg(long, default_value = "/var/lib/sluice")]
    pub state: PathBuf,
    /// Pins on the BPF file system
    #[arg(long, default_value = "/sys/fs/bpf/sluice")]
    pub bpffs: PathBuf,
    /// Address for agents and the CLI
    #[arg(long, default_value = "127.0.0.1:9443")]
    pub listen: std::net::SocketAddr,
    /// Address for /metrics, /healthz and /readyz
    #[arg(long, default_value = "127.0.0.1:9090")]
    pub metrics: std::net::SocketAddr,
    /// Name of this node
    #[arg(long)]
    pub node: Option<String>,
}
