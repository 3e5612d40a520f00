//! The nodes left running to play with, and taken away again.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sluice_e2e::netns::ip;
use sluice_e2e::process::{eventually, program};

use crate::stage::{BALANCER, EDGES, FILTER, PATIENCE, PREFIX, Stage, VIP, directory, step};

pub fn up() -> anyhow::Result<()> {
    if pids_file().exists() {
        bail!("the nodes are up already: take them away with `make demo-down`");
    }
    let mut stage = Stage::build()?;
    step("docs/examples/xdpfilter.yaml and xdploadbalancer.yaml are saved among the policies");
    stage.fleet.write_policy("edge.yaml", FILTER)?;
    stage.fleet.write_policy("web.yaml", BALANCER)?;
    for policy in ["edge", "web"] {
        stage.fleet.wait_ready(policy, EDGES as u32, "", PATIENCE)?;
    }
    let (policies, data) = (stage.fleet.policies(), stage.fleet.data());
    std::fs::write(pids_file(), stage.keep().join("\n"))?;
    let cli = program("kubectl-sluice")?;
    let (policies, data, cli) = (policies.display(), data.display(), cli.display());
    let hub = format!("nsenter --net=/run/netns/{PREFIX}-hub");
    println!("\nThree nodes are up. Try, as root:");
    println!("  {hub} {cli} status --data {data}");
    println!("  {hub} {cli} nodes --data {data}");
    println!("  {hub} {cli} get counters --data {data}");
    println!("  {hub} curl http://{VIP}/             # again and again: who answers?");
    println!("  {hub} ping -c1 10.80.1.2             # then drop ICMP in {policies}/edge.yaml");
    println!("  cat {data}/status/xdploadbalancer-default-web.yaml");
    println!("  make demo-down");
    Ok(())
}

pub fn down() -> anyhow::Result<()> {
    let pids = std::fs::read_to_string(pids_file()).context("nothing is up")?;
    for pid in pids.lines().filter_map(|pid| pid.parse().ok()) {
        end(pid)?;
    }
    let names = (1..=EDGES).map(|edge| format!("{PREFIX}-edge-{edge}")).chain([format!("{PREFIX}-hub")]);
    for name in names {
        let _ = std::fs::remove_dir_all(Path::new("/sys/fs/bpf").join(&name));
        ip(&["netns", "del", &name])?;
    }
    std::fs::remove_dir_all(directory())?;
    step("everything is taken away");
    Ok(())
}

fn pids_file() -> std::path::PathBuf {
    directory().join("pids")
}

/// Ends one of the demo's processes; its number may be another's by now.
fn end(pid: i32) -> anyhow::Result<()> {
    let programs = program("demo")?;
    let ours = programs.parent();
    let is_ours = || std::fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe.parent() == ours);
    if !is_ours() {
        return Ok(());
    }
    kill(Pid::from_raw(pid), Signal::SIGTERM)?;
    if eventually(Duration::from_secs(5), || Ok((!is_ours()).then_some(()))).is_err() {
        kill(Pid::from_raw(pid), Signal::SIGKILL)?;
    }
    Ok(())
}
