//! `kubectl sluice standalone`: operator and agent in one process, for one machine without a cluster.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use sluice_operator::args::{RunArgs, Source};
use tokio_util::sync::CancellationToken;

use crate::args::Standalone;

pub fn run(args: Standalone) -> anyhow::Result<()> {
    sluice_operator::start_telemetry();
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let stop = CancellationToken::new();
        let node = match &args.node {
            Some(node) => node.clone(),
            None => host_name()?,
        };
        let data = args.state.join("operator");
        let operator = tokio::spawn(sluice_operator::run(operator_args(&args, &data), stop.clone()));
        let token = args.state.join("join-token");
        // The operator makes the authority at its start; opening it here as well finds or makes the same one.
        std::fs::create_dir_all(&args.state).with_context(|| format!("--state {}", args.state.display()))?;
        std::fs::write(&token, sluice_operator::token(&node, &data)?)?;
        let agent = tokio::spawn(sluice_agent::run(agent_config(&args, node, &data, &token), stop.clone()));
        let outcome = tokio::select! {
            ended = operator => ended?.context("operator"),
            ended = agent => ended?.context("agent"),
            _ = tokio::signal::ctrl_c() => Ok(()),
        };
        stop.cancel();
        println!(
            "policies stay in force; sluice-agent detach --bpffs {} takes them off",
            args.bpffs.display()
        );
        outcome
    })
}

fn operator_args(args: &Standalone, data: &Path) -> RunArgs {
    RunArgs {
        source: Source::Directory(args.policies.clone()),
        data: data.to_owned(),
        listen: args.listen,
        metrics: args.metrics,
        ca_dir: None,
        names: Vec::new(),
        fleet: None,
        namespace: String::new(),
    }
}

fn agent_config(args: &Standalone, node: String, data: &Path, token: &Path) -> sluice_agent::Config {
    sluice_agent::Config {
        node,
        operator: args.listen.to_string(),
        ca: data.join("pki/ca.crt"),
        token: token.to_owned(),
        state: args.state.join("agent"),
        bpffs: args.bpffs.clone(),
        labels: BTreeMap::new(),
        metrics: None,
        report_interval: Duration::from_secs(1),
    }
}

fn host_name() -> anyhow::Result<String> {
    let name =
        std::fs::read_to_string("/proc/sys/kernel/hostname").context("this machine's name: give --node")?;
    Ok(name.trim().to_lowercase())
}
