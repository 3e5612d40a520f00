//! `kubectl sluice standalone`: operator and agent in one process, for one machine without a cluster.

mod bpffs;

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use sluice_agent::args::{DetachArgs, Place};
use sluice_operator::args::{RunArgs, Source, TRACED_NODES};
use sluice_telemetry::{Service, Telemetry};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::args::Standalone;
use crate::connect::ADDRESS_FILE;
use crate::output::print_line;

const STATE: &str = "/var/lib/sluice";
const BPFFS: &str = "/sys/fs/bpf/sluice";

pub fn run(args: &Standalone) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    match &args.policies {
        Some(policies) => runtime.block_on(serve(args, policies)),
        None => runtime.block_on(detach(args)),
    }
}

async fn serve(args: &Standalone, policies: &Path) -> anyhow::Result<()> {
    ensure!(policies.is_dir(), "--policies {}: there is no such directory", policies.display());
    let service = Service { name: "sluice", instance: "", log_level: "info,openraft=off" };
    let mut telemetry = Telemetry::begin(&args.telemetry, &service)?;
    if let Some(mounted) = bpffs::ensure(&args.bpffs)? {
        tracing::info!(at = %mounted.display(), "mounted the bpf file system");
    }
    let node = args.node.clone().map_or_else(host_name, Ok)?;
    let data = args.state.join("operator");
    fs::create_dir_all(&data).with_context(|| format!("--state {}", args.state.display()))?;
    // Before the operator runs: whoever comes first makes the authority.
    let token = args.state.join("join-token");
    write_secret(&token, &sluice_operator::token(&node, &data)?)?;
    let address = data.join(ADDRESS_FILE);
    fs::write(&address, args.listen.to_string()).with_context(|| address.display().to_string())?;

    telemetry.open_door(&data);
    let stop = stop_on_signal()?;
    let mut parts = JoinSet::new();
    let operator = sluice_operator::run(operator_args(args, policies, &data), stop.clone());
    parts.spawn(async move { operator.await.context("operator") });
    let agent = sluice_agent::run(agent_config(args, node.clone(), &data, token), stop.clone());
    parts.spawn(async move { agent.await.context("agent") });
    print_line(format_args!(
        "node {node} enforces {}; look at it with: kubectl sluice status{}",
        policies.display(),
        flag("--data", &data, &Path::new(STATE).join("operator"))
    ))?;
    let mut outcome = Ok(());
    while let Some(ended) = parts.join_next().await {
        // Neither is of use without the other.
        stop.cancel();
        outcome = outcome.and(ended?);
    }
    telemetry.end();
    print_line(format_args!(
        "policies stay in force; to take them off: kubectl sluice standalone --detach{}{}",
        flag("--state", &args.state, Path::new(STATE)),
        flag("--bpffs", &args.bpffs, Path::new(BPFFS))
    ))?;
    outcome
}

async fn detach(args: &Standalone) -> anyhow::Result<()> {
    let place = Place { state: args.state.join("agent"), bpffs: args.bpffs.clone() };
    sluice_agent::detach(DetachArgs { place, wait: Duration::ZERO, forget: false, stay: false }).await
}

fn operator_args(args: &Standalone, policies: &Path, data: &Path) -> RunArgs {
    RunArgs {
        source: Source::Directory(policies.to_owned()),
        data: data.to_owned(),
        listen: args.listen,
        metrics: args.metrics,
        ca_dir: None,
        names: Vec::new(),
        replicas: Vec::new(),
        replica: None,
        fleet: None,
        readiness_taint: false,
        namespace: String::new(),
        traced_nodes: TRACED_NODES,
    }
}

fn agent_config(args: &Standalone, node: String, data: &Path, token: PathBuf) -> sluice_agent::Config {
    sluice_agent::Config {
        node,
        operator: args.listen.to_string(),
        ca: data.join("pki/ca.crt"),
        token,
        state: args.state.join("agent"),
        bpffs: args.bpffs.clone(),
        labels: args.labels.iter().cloned().collect(),
        metrics: None,
        set_prefixes: None,
        report_interval: Duration::from_secs(1),
    }
}

/// What must be given as well because it is not the usual.
fn flag(name: &str, path: &Path, usual: &Path) -> String {
    if path == usual { String::new() } else { format!(" {name} {}", path.display()) }
}

fn write_secret(path: &Path, text: &str) -> anyhow::Result<()> {
    let write = || {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        file.write_all(text.as_bytes())
    };
    write().with_context(|| path.display().to_string())
}

fn stop_on_signal() -> std::io::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stopped = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stopped.cancel();
    });
    Ok(stop)
}

fn host_name() -> anyhow::Result<String> {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").context("this machine's name: give --node")?;
    Ok(name.trim().to_lowercase())
}
