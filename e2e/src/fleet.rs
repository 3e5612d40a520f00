//! A whole small fleet without Kubernetes: a hub namespace with the operator, edge namespaces with an agent each.
//!
//! Each edge's `eth0` is cabled to the hub, so that control traffic and attacks come in by the same filtered interface.

mod admin;
mod router;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use sluice_proto::v1::admin_client::AdminClient;
use sluice_proto::v1::{ListRequest, NodeCounters, PolicyStatus};
use tonic::transport::Channel;

use crate::netns::{End, Netns, connect};
use crate::process::{Process, eventually, program, run, tail};

const OPERATOR_PORT: u16 = 9443;

/// What a fleet is made of.
#[derive(Clone, Debug)]
pub struct Options {
    /// Starts the names of its namespaces and pins; unique among what runs at once.
    pub prefix: String,
    pub edges: usize,
    /// Policies, state, logs and certificates.
    pub directory: PathBuf,
}

impl Options {
    /// A fleet that shares no name with one of another process.
    pub fn unique(prefix: &str, edges: usize, directory: &Path) -> Options {
        Options { prefix: format!("{prefix}{}", std::process::id()), edges, directory: directory.to_owned() }
    }
}

pub struct Fleet {
    pub options: Options,
    pub hub: Netns,
    pub edges: Vec<Edge>,
    pub operator: Option<Process>,
    /// Of the operator, beside those that it has anyway.
    pub operator_arguments: Vec<String>,
    kept: bool,
}

pub struct Edge {
    pub name: String,
    pub netns: Netns,
    /// Where its agent dials the operator.
    pub operator: String,
    /// Of its agent, beside those that every agent has.
    pub arguments: Vec<String>,
    pub agent: Option<Process>,
}

impl Fleet {
    /// Namespaces and cables; nothing runs yet.
    pub fn build(options: Options) -> anyhow::Result<Fleet> {
        std::fs::create_dir_all(options.directory.join("policies"))?;
        let hub = Netns::create(&format!("{}-hub", options.prefix))?;
        let mut edges = Vec::new();
        for number in 1..=options.edges {
            let name = format!("edge-{number}");
            let netns = Netns::create(&format!("{}-{name}", options.prefix))?;
            let (near, far) = (format!("10.80.{number}.1/24"), format!("10.80.{number}.2/24"));
            let (near6, far6) = (format!("fd80:{number}::1/64"), format!("fd80:{number}::2/64"));
            let hub_end = End { netns: &hub, interface: &format!("to-{name}"), addresses: &[&near, &near6] };
            connect(hub_end, End { netns: &netns, interface: "eth0", addresses: &[&far, &far6] })?;
            netns.ip(&["route", "add", "default", "via", &format!("10.80.{number}.1")])?;
            netns.ip(&["route", "add", "default", "via", &format!("fd80:{number}::1")])?;
            let operator = format!("10.80.{number}.1:{OPERATOR_PORT}");
            edges.push(Edge { name, netns, operator, arguments: labelled("role=edge"), agent: None });
        }
        Ok(Fleet { options, hub, edges, operator: None, operator_arguments: Vec::new(), kept: false })
    }

    pub fn policies(&self) -> PathBuf {
        self.options.directory.join("policies")
    }

    /// As an editor does: a new file in the old one's place, so that no reader sees half of it.
    pub fn write_policy(&self, file: &str, text: &str) -> anyhow::Result<()> {
        let temporary = self.policies().join(format!(".{file}.tmp"));
        std::fs::write(&temporary, text)?;
        Ok(std::fs::rename(temporary, self.policies().join(file))?)
    }

    pub fn start_operator(&mut self) -> anyhow::Result<()> {
        let mut command = self.hub.command(program("sluice-operator")?);
        command.args(["--source", &format!("dir:{}", self.policies().display())]);
        command.arg("--data").arg(self.data());
        command.args(["--listen", &format!("0.0.0.0:{OPERATOR_PORT}"), "--metrics", "127.0.0.1:9090"]);
        command.args(&self.operator_arguments);
        let mut operator = Process::start("operator", &self.options.directory, command)?;
        let ca = self.data().join("pki/ca.crt");
        let mut last = None;
        let up = eventually(Duration::from_secs(20), || {
            if !operator.is_running() {
                bail!("the operator ended:\n{}", tail(&operator.log(), 20));
            }
            if !ca.exists() {
                return Ok(None);
            }
            last = self.connect_once().err();
            Ok(last.is_none().then_some(()))
        });
        up.with_context(|| format!("the operator does not answer: {last:?}\n{}", tail(&operator.log(), 20)))?;
        self.operator = Some(operator);
        Ok(())
    }

    /// Joins with a token of its own.
    pub fn start_agent(&mut self, edge: usize) -> anyhow::Result<()> {
        let command = self.agent_command(edge, &[])?;
        self.edges[edge].agent =
            Some(Process::start(&self.edges[edge].name, &self.options.directory, command)?);
        Ok(())
    }

    /// What starts the agent of an edge, through another program if one is given with its arguments.
    pub fn agent_command(&self, edge: usize, through: &[&str]) -> anyhow::Result<Command> {
        let name = &self.edges[edge].name;
        let token_file = self.options.directory.join(format!("{name}.token"));
        if !token_file.exists() {
            let operator = program("sluice-operator")?.display().to_string();
            let data = self.data().display().to_string();
            std::fs::write(&token_file, run(&operator, &["token", name, "--data", &data])?)?;
        }
        let agent = program("sluice-agent")?;
        let line: Vec<&OsStr> = through.iter().map(OsStr::new).chain([agent.as_os_str()]).collect();
        let mut command = self.edges[edge].netns.command(line[0]);
        command.args(&line[1..]);
        command.args(["--node", name, "--operator", &self.edges[edge].operator]);
        command.env("SLUICE_CA", self.data().join("pki/ca.crt")).arg("--token-file").arg(&token_file);
        command.arg("--state").arg(self.state(edge));
        command.arg("--bpffs").arg(self.bpffs(edge));
        command.args(["--metrics", "127.0.0.1:9500"]).args(&self.edges[edge].arguments);
        Ok(command)
    }

    pub fn start(&mut self) -> anyhow::Result<()> {
        self.start_operator()?;
        (0..self.edges.len()).try_for_each(|edge| self.start_agent(edge))
    }

    pub fn data(&self) -> PathBuf {
        self.options.directory.join("operator")
    }

    /// State of one edge's agent.
    pub fn state(&self, edge: usize) -> PathBuf {
        self.options.directory.join(format!("state-{}", self.edges[edge].name))
    }

    /// Whether a program of ours is on the edge's filtered interface.
    pub fn is_attached(&self, edge: usize) -> anyhow::Result<bool> {
        let link = self.edges[edge].netns.ip(&["-d", "link", "show", "dev", "eth0"])?;
        Ok(link.contains("sluice_xdp"))
    }

    /// Pins of one edge.
    pub fn bpffs(&self, edge: usize) -> PathBuf {
        Path::new("/sys/fs/bpf").join(format!("{}-{}", self.options.prefix, self.edges[edge].name))
    }

    /// Pins of the hub's own ends.
    fn hub_pins(&self) -> PathBuf {
        Path::new("/sys/fs/bpf").join(self.hub.name())
    }

    /// Runs a call against the operator from inside the hub.
    pub fn ask<T, F>(
        &self,
        call: impl FnOnce(AdminClient<Channel>) -> F + Send + 'static,
    ) -> anyhow::Result<T>
    where
        T: Send + 'static,
        F: Future<Output = anyhow::Result<T>>,
    {
        admin::ask(self.hub.name().to_owned(), self.data(), OPERATOR_PORT, call)
    }

    pub fn statuses(&self) -> anyhow::Result<Vec<PolicyStatus>> {
        self.ask(async |mut operator| {
            Ok(operator.list_policies(ListRequest::default()).await?.into_inner().policies)
        })
    }

    /// Of the plans that the operator serves.
    pub fn epoch(&self) -> anyhow::Result<sluice_plan::Epoch> {
        self.ask(async |mut operator| {
            let answer = operator.list_policies(ListRequest::default()).await?.into_inner();
            Ok(answer.epoch.unwrap_or_default().into())
        })
    }

    pub fn counters(&self) -> anyhow::Result<Vec<NodeCounters>> {
        self.ask(async |mut operator| {
            Ok(operator.list_counters(ListRequest::default()).await?.into_inner().nodes)
        })
    }

    /// Waits until the policy is Ready on `nodes` nodes with a hash other than `not`; its status then.
    pub fn wait_ready(
        &self,
        policy: &str,
        nodes: u32,
        not: &str,
        within: Duration,
    ) -> anyhow::Result<PolicyStatus> {
        let (wanted, not, end) = (policy.to_owned(), not.to_owned(), Instant::now() + within);
        let ready = eventually(within, || {
            let (wanted, not) = (wanted.clone(), not.clone());
            // An operator that restarts right now answers later.
            Ok(self.ask(async move |operator| until_ready(operator, &wanted, nodes, &not, end).await).ok())
        });
        let last = self.statuses().ok().and_then(|all| all.into_iter().find(|status| status.name == policy));
        ready
            .with_context(|| format!("{policy} is not Ready on {nodes} nodes: {last:?}{}", self.last_words()))
    }

    /// Leaves everything running; the pids to end it by are added to the list.
    pub fn keep(&mut self, pids: &mut Vec<String>) {
        self.kept = true;
        self.hub.keep();
        let agents = self.edges.iter_mut().flat_map(|edge| {
            edge.netns.keep();
            edge.agent.as_mut()
        });
        for process in agents.chain(self.operator.as_mut()) {
            pids.push(process.pid().to_string());
            process.keep();
        }
    }

    /// The ends of all logs, for a failing test's message.
    pub fn last_words(&self) -> String {
        let agents = self.edges.iter().filter_map(|edge| Some((edge.name.as_str(), edge.agent.as_ref()?)));
        let operator = self.operator.as_ref().map(|operator| ("operator", operator));
        let words = |(name, process): (&str, &Process)| format!("\n--- {name}\n{}", tail(&process.log(), 12));
        operator.into_iter().chain(agents).map(words).collect()
    }

    fn connect_once(&self) -> anyhow::Result<()> {
        self.ask(async |mut operator| {
            operator.version(ListRequest::default()).await?;
            Ok(())
        })
    }
}

/// Arguments of an agent with one label.
pub fn labelled(label: &str) -> Vec<String> {
    ["--label", label].map(str::to_owned).to_vec()
}

impl Drop for Fleet {
    /// Agents never detach on their own: their pins go here.
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        for edge in 0..self.edges.len() {
            drop(self.edges[edge].agent.take());
            let _ = std::fs::remove_dir_all(self.bpffs(edge));
        }
        let _ = std::fs::remove_dir_all(self.hub_pins());
    }
}

/// Over one connection: a handshake costs more than many questions.
async fn until_ready(
    mut operator: AdminClient<Channel>,
    policy: &str,
    nodes: u32,
    not: &str,
    end: Instant,
) -> anyhow::Result<PolicyStatus> {
    loop {
        let statuses = operator.list_policies(ListRequest::default()).await?.into_inner().policies;
        let found = statuses.into_iter().find(|status| status.name == policy);
        let ready = |status: &PolicyStatus| {
            status.ready == "True" && status.programmed == nodes && status.hash != not
        };
        match found.filter(ready) {
            Some(status) => return Ok(status),
            None if Instant::now() > end => bail!("not Ready in time"),
            None => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}
