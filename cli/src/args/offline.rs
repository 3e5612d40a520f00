//! Commands that work on files, without an operator.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{ArgGroup, Args, ValueEnum};
use sluice_agent::args::label;

use super::Output;

#[derive(Clone, Debug, Args)]
pub struct PolicyFiles {
    /// Policy file or directory; `-` reads standard input; may be repeated
    #[arg(short = 'f', long = "filename", required = true, value_name = "FILE|DIR")]
    pub files: Vec<PathBuf>,
    /// Fleet configuration (failsafe, address pools) [default: the built-in one, or fleet.yaml of a directory]
    #[arg(long, value_name = "FILE")]
    pub fleet: Option<PathBuf>,
    /// Fetch the feeds of address sets, now and once; without it a set with feeds is an error
    #[arg(long)]
    pub fetch: bool,
}

/// Where packets arrive.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Args)]
pub struct Place {
    /// Only policies that select this interface by name or pattern [default: all that are given]
    #[arg(long, value_name = "NAME")]
    pub interface: Option<String>,
    /// Only policies that select a node with these labels, as role=edge,zone=a; may be repeated [default: all]
    #[arg(long, value_name = "KEY=VALUE", value_delimiter = ',', value_parser = label)]
    pub node_labels: Option<Vec<(String, String)>>,
    /// An address of the node, whose failsafe ports then stay open; may be repeated
    #[arg(long, value_name = "ADDRESS")]
    pub node_address: Vec<IpAddr>,
    /// Only filters of this hook; packets leave by tc-egress, and the balancer is behind xdp alone
    #[arg(long, value_enum, default_value_t)]
    pub hook: Hook,
}

/// As `spec.attach.hook`.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    ValueEnum,
    serde::Serialize,
    serde::Deserialize,
)]
pub enum Hook {
    #[default]
    Xdp,
    TcIngress,
    TcEgress,
}

impl From<Hook> for sluice_policy::Hook {
    fn from(hook: Hook) -> Self {
        match hook {
            Hook::Xdp => sluice_policy::Hook::Xdp,
            Hook::TcIngress => sluice_policy::Hook::TcIngress,
            Hook::TcEgress => sluice_policy::Hook::TcEgress,
        }
    }
}

impl From<Hook> for sluice_plan::Hook {
    fn from(hook: Hook) -> Self {
        match hook {
            Hook::Xdp => sluice_plan::Hook::Xdp,
            Hook::TcIngress => sluice_plan::Hook::TcIngress,
            Hook::TcEgress => sluice_plan::Hook::TcEgress,
        }
    }
}

const COMPILE_HELP: &str = "Examples:
  kubectl sluice compile -f edge.yaml
  kubectl sluice compile -f policies/ -o json | jq -r .hash
  kustomize build . | kubectl sluice compile -f -

The plan is that of a node which all given policies select. Equal policies give equal bytes and an equal hash.";

#[derive(Clone, Debug, Args)]
#[command(after_help = COMPILE_HELP)]
pub struct Compile {
    #[command(flatten)]
    pub policies: PolicyFiles,
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
}

const LINT_HELP: &str = "Examples:
  kubectl sluice lint -f edge.yaml
  kubectl sluice lint -f policies/ -o json | jq -r '.warnings[] | select(.reason == \"Shadowed\") | .rule'

Exit codes: 0 nothing to say, 1 warnings, or policies that cannot be read, 2 wrong usage. The operator writes the same
warnings into status.warnings of each XdpFilter.";

#[derive(Clone, Debug, Args)]
#[command(after_help = LINT_HELP)]
pub struct Lint {
    #[command(flatten)]
    pub policies: PolicyFiles,
    /// An address of a node: drops of traffic to it are held against the failsafe; may be repeated
    #[arg(long, value_name = "ADDRESS")]
    pub node_address: Vec<IpAddr>,
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
}

/// JSON here is one object a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LineOutput {
    #[default]
    Table,
    Json,
}

const EXPLAIN_HELP: &str = "Examples:
  kubectl sluice explain -f edge.yaml 'ip src=192.0.2.1 / tcp dport=443 flags=S'
  kubectl sluice explain -f edge.yaml 'eth / vlan id=7 / ip6 / frag more=1 / udp dport=53 / payload 00ff'
  kubectl sluice explain -f policies/ --pcap attack.pcapng --packet 3 -o json | jq .considered

A packet is layers with a slash between them, each a name and KEY=VALUE words:
  eth src dst type           vlan id pcp dei tpid type            arp op src dst
  ip src dst ttl tos dscp ecn flags offset id proto options len ihl version
  ip6 src dst hop class dscp ecn flow next len version            frag offset more id next
  hbh, dest, routing data next        ah next                     tcp sport dport flags seq ack window options doff
  udp sport dport len        udplite, sctp, dccp sport dport      icmp, icmp6 type code
  gre type                   esp spi seq                          payload HEX size
Whatever is not given has a usual value; eth may be left out. Values are decimal, or hexadecimal behind 0x; options and
data are hexadecimal bytes.";

#[derive(Clone, Debug, Args)]
#[command(after_help = EXPLAIN_HELP, group = ArgGroup::new("what").required(true).args(["description", "pcap"]))]
pub struct Explain {
    #[command(flatten)]
    pub policies: PolicyFiles,
    /// The packet in words
    #[arg(value_name = "PACKET")]
    pub description: Option<String>,
    /// Capture file, pcap or pcapng; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    pub pcap: Option<PathBuf>,
    /// Its packet with this number, counted from 1 [default: all]
    #[arg(long, value_name = "NUMBER", conflicts_with = "description")]
    pub packet: Option<std::num::NonZeroU64>,
    #[command(flatten)]
    pub place: Place,
    #[arg(short, long, value_enum, default_value_t)]
    pub output: LineOutput,
}

const TEST_HELP: &str = "Example:
  kubectl sluice test -f policies/ tests.yaml

tests.yaml:
  tests:
  - name: the web server is open
    packet: ip src=192.0.2.1 / tcp dport=443 flags=S
    expect: {verdict: Pass, policy: edge, rule: web}
  - name: the attack of last week is dropped
    pcap: {file: attack.pcapng, packet: 3}
    interface: eth0
    nodeLabels: {role: edge}
    nodeAddresses: [198.51.100.1]
    expect: {verdict: Drop, stage: Filter}

`expect` names what must hold: verdict, policy, rule, stage, mode. Needs no privilege. Exit codes: 0 all hold, 1 a test
failed or nothing could be tested, 2 wrong usage.";

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum TestOutput {
    #[default]
    Table,
    Json,
    Junit,
}

#[derive(Clone, Debug, Args)]
#[command(after_help = TEST_HELP)]
pub struct Test {
    #[command(flatten)]
    pub policies: PolicyFiles,
    /// Files of tests; `-` reads standard input
    #[arg(required = true, value_name = "TESTS")]
    pub tests: Vec<PathBuf>,
    #[arg(short, long, value_enum, default_value_t)]
    pub output: TestOutput,
}

const SIMULATE_HELP: &str = "Examples:
  kubectl sluice simulate -f edge.yaml --pcap attack.pcapng
  kubectl sluice simulate -f policies/ --pcap attack.pcapng --interface eth0 --node-labels role=edge
  kubectl sluice simulate -f edge.yaml --pcap attack.pcapng --write judged.pcapng   (with verdicts, for Wireshark)
  tcpdump -i eth0 -U -w - | kubectl sluice simulate -f edge.yaml --pcap - -o json | jq -r .verdict
  kubectl sluice simulate -f edge.yaml --pcap ssh.pcap --node-address 192.0.2.1

-o json prints one object a line and packet. Packets run through the same kernel program that nodes load (root, or
CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON); --interpret needs no privilege. Of a packet that the capture cut short, the
headers decide; if they are cut as well, its verdict is marked as a guess.";

#[derive(Clone, Debug, Args)]
#[command(after_help = SIMULATE_HELP)]
pub struct Simulate {
    #[command(flatten)]
    pub policies: PolicyFiles,
    /// Capture file, pcap or pcapng; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    pub pcap: PathBuf,
    /// Use the interpreter instead of the kernel
    #[arg(long)]
    pub interpret: bool,
    #[command(flatten)]
    pub place: Place,
    /// Write the packets to a pcapng file, each with its verdict and the rule that decided
    #[arg(long, value_name = "FILE")]
    pub write: Option<PathBuf>,
    #[arg(short, long, value_enum, default_value_t)]
    pub output: LineOutput,
}
