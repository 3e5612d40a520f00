//! The operator's process, and what it takes of the machine.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context;
use nix::unistd::{SysconfVar, sysconf};

use crate::http;
use crate::process::{Process, eventually, program};

const PATIENCE: Duration = Duration::from_secs(60);

/// One replica.
pub struct Operator {
    pub address: SocketAddr,
    metrics: SocketAddr,
    place: PathBuf,
    name: String,
    /// All replicas, if it is not alone.
    others: Vec<SocketAddr>,
    process: Option<Process>,
}

/// What a process holds and has used.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    pub rss_mib: f64,
    pub peak_mib: f64,
    pub cpu: Duration,
}

/// Policies, authority, and the directories of the operators.
pub fn policies(place: &Path) -> PathBuf {
    place.join("policies")
}

pub fn authority(place: &Path) -> PathBuf {
    place.join("pki")
}

pub fn free() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

impl Operator {
    pub fn new(place: &Path, name: &str) -> anyhow::Result<Operator> {
        let (place, name) = (place.to_owned(), name.to_owned());
        Ok(Operator { address: free()?, metrics: free()?, place, name, others: vec![], process: None })
    }

    /// Three that do not run yet.
    pub fn trio(place: &Path) -> anyhow::Result<Vec<Operator>> {
        let mut three = (0..3)
            .map(|index| Operator::new(place, &format!("replica-{index}")))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let all: Vec<SocketAddr> = three.iter().map(|one| one.address).collect();
        three.iter_mut().for_each(|one| one.others.clone_from(&all));
        Ok(three)
    }

    /// Where it writes status.
    pub fn status(&self) -> PathBuf {
        self.data().join("status")
    }

    fn data(&self) -> PathBuf {
        self.place.join(&self.name)
    }

    pub fn start(&mut self) -> anyhow::Result<()> {
        let mut command = Command::new(program("sluice-operator")?);
        command.arg("--source").arg(format!("dir:{}", policies(&self.place).display()));
        command.arg("--data").arg(self.data()).arg("--ca-dir").arg(authority(&self.place));
        command.args(["--listen", &self.address.to_string(), "--metrics", &self.metrics.to_string()]);
        if !self.others.is_empty() {
            let all: Vec<String> = self.others.iter().map(ToString::to_string).collect();
            command.args(["--replicas", &all.join(","), "--replica", &self.address.to_string()]);
        }
        // What it logs of each agent is no part of what is measured.
        command.env("RUST_LOG", "warn,sluice_operator=info");
        self.process = Some(Process::start(&self.name, &self.place, command)?);
        Ok(())
    }

    pub fn is_ready(&self) -> bool {
        self.ask("/readyz").is_ok()
    }

    pub fn wait_ready(&self) -> anyhow::Result<()> {
        let ready = || Ok(self.is_ready().then_some(()));
        eventually(PATIENCE, ready).with_context(|| format!("the operator is not ready:\n{}", self.log()))
    }

    /// Whether it is the one that decides.
    pub fn decides(&self) -> bool {
        self.ask("/metrics").is_ok_and(|text| text.lines().any(|line| line == "sluice_raft_leads 1"))
    }

    fn ask(&self, path: &str) -> anyhow::Result<String> {
        http::ask(TcpStream::connect(self.metrics)?, path)
    }

    pub fn kill(&mut self) -> anyhow::Result<()> {
        let mut process = self.process.take().context("it does not run")?;
        process.kill().map(|_| ())
    }

    fn log(&self) -> String {
        self.process.as_ref().map(Process::log).unwrap_or_default()
    }

    /// How often it encoded plans and had them agreed on, since its first start.
    pub fn planned(&self) -> usize {
        self.log().lines().filter(|line| line.contains("plans agreed")).count()
    }

    pub fn usage(&self) -> anyhow::Result<Usage> {
        let pid = self.process.as_ref().context("it does not run")?.pid();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let mib = |name| Ok::<f64, anyhow::Error>(kib(&status, name)? as f64 / 1024.0);
        Ok(Usage { rss_mib: mib("VmRSS:")?, peak_mib: mib("VmHWM:")?, cpu: cpu(&stat)? })
    }
}

fn kib(status: &str, name: &str) -> anyhow::Result<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name)).context("no such line")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// Of a line of `/proc/PID/stat`, user and system time.
fn cpu(stat: &str) -> anyhow::Result<Duration> {
    let (_, fields) = stat.rsplit_once(')').context("a name in brackets")?;
    // From the third field on.
    let ticks: u64 =
        fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>).sum::<Result<_, _>>()?;
    let per_second = sysconf(SysconfVar::CLK_TCK)?.context("no clock ticks")?;
    Ok(Duration::from_secs_f64(ticks as f64 / per_second as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_and_time_are_read_as_the_kernel_writes_them() {
        assert_eq!(kib("Name:\tx\nVmHWM:\t  123456 kB\nVmRSS:\t    4096 kB\n", "VmRSS:").unwrap(), 4096);
        let stat = "7 (a) b) S 1 1 1 0 -1 4194304 9 0 0 0 150 50 0 0 20 0 3 0";
        assert_eq!(cpu(stat).unwrap(), Duration::from_secs(2));
    }
}
