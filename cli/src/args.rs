//! The command line.

mod drops;
mod log_level;
mod offline;
mod rollout;
mod why;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use sluice_agent::args::{label, wait};
use sluice_telemetry::TelemetryArgs;

pub use drops::{Drops, DropsOutput};
pub use log_level::{LogLevel, Target};
pub use offline::{Compile, Explain, Hook, LineOutput, Lint, Place, PolicyFiles, Simulate, Test, TestOutput};
pub use rollout::{History, Rollout, RolloutStatus};
pub use why::{PolicyName, Why};

const HELP: &str = "Examples:
  kubectl sluice status --watch
  kubectl sluice why edge-1 edge
  kubectl sluice get counters edge -o json
  kubectl sluice drops --policy edge
  kubectl sluice lint -f policies/
  kubectl sluice explain -f edge.yaml 'ip src=192.0.2.1 / tcp dport=443'
  kubectl sluice simulate -f edge.yaml --pcap attack.pcapng
  kubectl sluice standalone --policies policies/
  kubectl sluice status --data /var/lib/sluice-operator        (an operator without a cluster)

Exit codes: 0 done, 1 failed (lint: or a warning; test: or a test), 2 wrong usage. `COMMAND --help` has examples of each command.";

/// See and try XDP policies.
#[derive(Debug, Parser)]
#[command(name = "kubectl-sluice", bin_name = "kubectl sluice", version, after_help = HELP)]
pub struct Cli {
    #[command(flatten)]
    pub connection: Connection,
    #[command(subcommand)]
    pub command: Command,
}

/// How to reach the operator. Without any of these: an operator without a cluster that keeps its data on this machine
/// in the usual place, or else the cluster of the kubeconfig, by port-forward.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Connection")]
pub struct Connection {
    /// Data directory of an operator without a cluster, on this machine
    #[arg(long, env = "SLUICE_DATA", global = true, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Address of an operator without a cluster [default: 127.0.0.1:9443]
    #[arg(long, env = "SLUICE_OPERATOR", global = true, value_name = "HOST:PORT", value_parser = host_port)]
    pub operator: Option<String>,
    /// Directory with ca.crt, admin.crt and admin.key, copied from the operator's DATA/pki
    #[arg(long, env = "SLUICE_PKI", global = true, value_name = "DIR")]
    pub pki: Option<PathBuf>,
    /// Cluster: another kubeconfig than KUBECONFIG or ~/.kube/config
    #[arg(long, global = true, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Cluster: another context than the kubeconfig's current one
    #[arg(long, global = true)]
    pub context: Option<String>,
    /// Cluster: namespace that Sluice is installed in
    #[arg(short, long, visible_alias = "sluice-namespace", env = "SLUICE_NAMESPACE", global = true,
          default_value = DEFAULT_NAMESPACE)]
    pub namespace: String,
}

pub const DEFAULT_NAMESPACE: &str = "sluice-system";

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Policies: mode, rules, nodes programmed/desired, drops, condition
    Status(Status),
    /// Why a policy is, or is not, in force on a node
    Why(Why),
    /// Nodes: agent, kernel, cards, XDP modes
    Nodes(Nodes),
    /// The operator's own replicas: which decides, who has not caught up
    Replicas(Replicas),
    /// Raw values
    Get {
        #[command(subcommand)]
        what: Get,
    },
    /// New versions on their way to the nodes: look, hold up, hurry, take back
    Rollout {
        #[command(subcommand)]
        what: Rollout,
    },
    /// Shows dropped packets as they come, and what dropped them
    Drops(Drops),
    /// Shows what policies become: tables, sizes, hash
    Compile(Compile),
    /// Warns of rules that can never match, and of allow-lists that forget the node itself
    Lint(Lint),
    /// Says which rules a packet meets, which of their fields fit, and what becomes of it
    Explain(Explain),
    /// Checks what becomes of described packets against what a file expects
    Test(Test),
    /// Runs a capture through policies, packet by packet, before they touch a node
    Simulate(Simulate),
    /// Runs operator and agent in one process on this machine: no cluster, no certificates to make
    Standalone(Standalone),
    /// Has every node of the cluster detach, and names those that could not be reached
    Detach(Detach),
    /// Lets go of objects that vanished together and are held in force (reason MassDeletion)
    #[command(after_help = "Example:\n  kubectl sluice status\n  kubectl sluice confirm-deletion")]
    ConfirmDeletion,
    /// Has an operator whose store was lost go on above the epochs that nodes still enforce
    Recover(Recover),
    /// Prints a token with which a node's agent joins an operator without a cluster, once
    Join(Join),
    /// Refuses the certificates that a node has: its key was stolen, or it is to join anew
    Revoke(Revoke),
    /// Shows what an operator or an agent logs, or changes it for a while
    LogLevel(LogLevel),
    /// Versions of this command and of the operator
    #[command(after_help = "Example:\n  kubectl sluice version")]
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
    Wide,
    Json,
    Yaml,
}

const STATUS_HELP: &str = "Examples:
  kubectl sluice status
  kubectl sluice status --watch                   (until Ctrl-C)
  kubectl sluice status -o wide                   (with drops in all, generation and hash)
  kubectl sluice status -o json | jq -r '.policies[] | select(.ready != \"True\") | .message'

READY is True when every selected node has read exactly this policy back from its kernel.";

#[derive(Clone, Debug, Args)]
#[command(after_help = STATUS_HELP)]
pub struct Status {
    /// Go on, and show them again whenever something changes
    #[arg(short, long)]
    pub watch: bool,
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
}

const NODES_HELP: &str = "Examples:
  kubectl sluice nodes
  kubectl sluice nodes -o wide                    (with epoch, plan, MTU, speed, queues, drops of the card)
  kubectl sluice nodes -o json | jq '.nodes[].nics[] | {name, driver, xdpMode, xdpFeatures}'

XDP is native (in the driver), generic (behind it, slower), - (nothing attached) or another's program.";

#[derive(Clone, Debug, Args)]
#[command(after_help = NODES_HELP)]
pub struct Nodes {
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
}

const REPLICAS_HELP: &str = "Examples:
  kubectl sluice replicas
  kubectl sluice replicas -o json | jq '.replicas[] | select(.silent).address'

STATE is decides, follows, catches up (it has no vote yet) or silent (what was sent to it last did not arrive). BEHIND are the log
entries that a replica is not known to have.";

#[derive(Clone, Debug, Args)]
#[command(after_help = REPLICAS_HELP)]
pub struct Replicas {
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
}

const COUNTERS_HELP: &str = "Examples:
  kubectl sluice get counters
  kubectl sluice get counters edge -o json | jq '.nodes[].counters[] | select(.verdict == \"drop\")'

A rule's counter lives as long as its policy and name do, through edits and restarts. Besides rules there are _default
(the default action), _malformed, _established (allowEstablished), and VIP:PORT/PROTOCOL>BACKEND of balancers. Verdicts:
pass, drop, next, audited (Audit kept the rule from acting), continue (the packet went on with the next rule), and at
VIP:PORT/PROTOCOL oversize: too long for the tunnel to a backend, which counts a drop.";

#[derive(Clone, Debug, Args)]
#[command(after_help = COUNTERS_HELP)]
pub struct Counters {
    /// Only this policy
    pub policy: Option<String>,
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
}

const DETACH_HELP: &str = "Example:
  kubectl sluice detach --all --timeout 2m

The agents are replaced by pods that take Sluice's programs, pins and state off their nodes. `helm uninstall` runs this
first. On a node that is named as not reached, run `rm -r /sys/fs/bpf/sluice /var/lib/sluice-agent` once it is back and
its pods are gone.
Exit code 1 if a node was not reached, unless --ignore-unreached says otherwise.";

#[derive(Clone, Debug, Args)]
#[command(after_help = DETACH_HELP)]
pub struct Detach {
    /// Really all nodes: nothing is filtered or balanced any more
    #[arg(long, required = true)]
    pub all: bool,
    /// How long a node may take, as 60s or 2m
    #[arg(long, default_value = "60s", value_parser = wait)]
    pub timeout: Duration,
    /// Exit code 0 although a node was not reached
    #[arg(long)]
    pub ignore_unreached: bool,
}

const RECOVER_HELP: &str = "Examples:
  kubectl sluice recover
  kubectl sluice recover --lost op-2:9443,op-3:9443       (two of three are lost with their disks: the third goes on)

Nodes that enforce what the operator does not know go on doing so and are named by `kubectl sluice status`. After this
they take its plans again. If the lost volume may come back, restore it instead.";

#[derive(Clone, Debug, Args)]
#[command(after_help = RECOVER_HELP)]
pub struct Recover {
    /// Highest incarnation of the lost store; default: the highest that those nodes report
    #[arg(long)]
    pub seen_incarnation: Option<std::num::NonZeroU64>,
    /// All other replicas, as the operator's --replicas has them: lost for good, disks and all. One that only was cut off
    /// and comes back goes on beside this one
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',', conflicts_with = "seen_incarnation")]
    pub lost: Vec<String>,
}

#[derive(Clone, Debug, Args)]
#[command(after_help = "Example:\n  kubectl sluice join edge-1 > edge-1.token")]
pub struct Join {
    /// The node's name, as its agent is given it with --node
    pub node: String,
    /// How long it is good, in minutes
    #[arg(long = "valid-for", value_name = "MINUTES", default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..=1440))]
    pub valid_minutes: u32,
}

#[derive(Clone, Debug, Args)]
#[command(after_help = "Example:\n  kubectl sluice revoke edge-1")]
pub struct Revoke {
    /// The node's name, as `kubectl sluice nodes` has it
    pub node: String,
}

const STANDALONE_HELP: &str = "Examples:
  kubectl sluice standalone --policies policies/ --label role=edge
  kubectl sluice status                           (in another terminal: finds it without flags)
  kubectl sluice standalone --detach              (takes everything off again)

Mounts the bpf file system if it is missing. Policies stay in force when this ends, and are in force again at once when
it starts; only --detach takes them off.";

#[derive(Clone, Debug, Args)]
#[command(after_help = STANDALONE_HELP)]
pub struct Standalone {
    /// Directory of policy files, watched; fleet.yaml in it is the fleet configuration
    #[arg(long, value_name = "DIR", required_unless_present = "detach")]
    pub policies: Option<PathBuf>,
    /// Take everything off this machine's interfaces, forget the plan, and end
    #[arg(long, conflicts_with = "policies")]
    pub detach: bool,
    /// KEY=VALUE that node selectors match; may be repeated
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
    pub labels: Vec<(String, String)>,
    /// Where plans, counters and certificates are kept
    #[arg(long, value_name = "DIR", default_value = "/var/lib/sluice")]
    pub state: PathBuf,
    /// Pins on the BPF file system
    #[arg(long, value_name = "DIR", default_value = "/sys/fs/bpf/sluice")]
    pub bpffs: PathBuf,
    /// Address for the CLI
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9443")]
    pub listen: SocketAddr,
    /// Address for /metrics, /healthz and /readyz
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9090")]
    pub metrics: SocketAddr,
    /// Name of this node [default: the host's]
    #[arg(long)]
    pub node: Option<String>,
    #[command(flatten)]
    pub telemetry: TelemetryArgs,
}

impl Cli {
    /// # Errors
    /// What clap cannot see: one standard input cannot be two things.
    pub fn check(self) -> Result<Cli, clap::Error> {
        let files = match &self.command {
            Command::Compile(args) => args.policies.files.iter().collect(),
            Command::Lint(args) => args.policies.files.iter().collect(),
            Command::Explain(args) => args.policies.files.iter().chain(&args.pcap).collect(),
            Command::Simulate(args) => args.policies.files.iter().chain([&args.pcap]).collect(),
            Command::Test(args) => args.policies.files.iter().chain(&args.tests).collect::<Vec<_>>(),
            _ => return Ok(self),
        };
        if files.into_iter().filter(|file| file.as_os_str() == "-").count() > 1 {
            let message = "standard input (`-`) can be read once only: write the other one to a file\n";
            return Err(Cli::command().error(clap::error::ErrorKind::ArgumentConflict, message));
        }
        Ok(self)
    }
}

fn host_port(text: &str) -> Result<String, String> {
    match text.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => Ok(text.to_owned()),
        _ => Err(format!("`{text}` is no address: write HOST:PORT, as in 192.0.2.1:9443")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(["kubectl-sluice"].into_iter().chain(line.split(' '))).and_then(Cli::check)
    }

    #[test]
    fn the_definition_is_sound_and_every_command_has_an_example() {
        fn walk(command: &clap::Command) {
            for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
                let help = sub.clone().render_long_help().to_string();
                assert!(
                    sub.has_subcommands() || help.contains("kubectl sluice "),
                    "{}: {help}",
                    sub.get_name()
                );
                walk(sub);
            }
        }
        Cli::command().debug_assert();
        walk(&Cli::command());
    }

    #[test]
    fn connection_flags_stand_before_or_behind_the_command() {
        for line in ["--context c -n web status -o wide", "status -o wide --context c --sluice-namespace web"]
        {
            let cli = parse(line).expect("a good line");
            assert_eq!(
                (cli.connection.context.as_deref(), cli.connection.namespace.as_str()),
                (Some("c"), "web")
            );
        }
    }

    #[test]
    fn wrong_usage_says_what_to_write_and_exits_with_2() {
        for (line, says) in [
            ("status --operator edge", "write HOST:PORT"),
            ("standalone --policies p --label role", "write KEY=VALUE"),
            ("detach --all --timeout soon", "write 60s"),
            ("simulate -f - --pcap -", "write the other one to a file"),
            ("compile -f - -f -", "write the other one to a file"),
            ("standalone", "--policies"),
            ("simulate -f p.yaml", "--pcap"),
            ("explain -f p.yaml", "<PACKET|--pcap <FILE>>"),
            ("explain -f p.yaml arp --packet 3", "cannot be used with"),
            ("test -f - -", "write the other one to a file"),
            ("status -o jsno", "[possible values: table, wide, json, yaml]"),
            ("why edge-1", "<POLICY>"),
            ("why edge-1 /edge", "write edge"),
            ("log-level edge-1 debug", "write operator, or node/NAME"),
            ("log-level operator debug --for soon", "write 90s"),
            ("stats", "similar subcommand"),
        ] {
            let error = parse(line).expect_err(line);
            assert!(error.to_string().contains(says), "{line}: {error}");
            assert_eq!(error.exit_code(), 2, "{line}");
        }
    }
}
