//! Programs under test: started with their output in a file, ended by pid.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A running program; killed when this value goes.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    keep: bool,
}

impl Process {
    /// Starts `command` with standard output and error in `DIR/NAME.log`.
    pub fn start(name: &str, directory: &Path, mut command: Command) -> anyhow::Result<Process> {
        let log = directory.join(format!("{name}.log"));
        let out = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .with_context(|| log.display().to_string())?;
        command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out);
        let child = command.spawn().with_context(|| format!("start {name}: {:?}", command.get_program()))?;
        Ok(Process { name: name.to_owned(), child, log, keep: false })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Lets the program outlive this value.
    pub fn keep(&mut self) {
        self.keep = true;
    }

    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal)
            .with_context(|| format!("{signal} to {}", self.name))
    }

    /// Asks politely and waits.
    pub fn stop(&mut self, within: Duration) -> anyhow::Result<ExitStatus> {
        self.signal(Signal::SIGTERM)?;
        self.wait(within)
    }

    pub fn kill(&mut self) -> anyhow::Result<ExitStatus> {
        self.signal(Signal::SIGKILL)?;
        self.wait(Duration::from_secs(5))
    }

    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    pub fn wait(&mut self, within: Duration) -> anyhow::Result<ExitStatus> {
        let ended = eventually(within, || Ok(self.child.try_wait()?));
        ended.with_context(|| {
            format!("{} does not end; its last words:\n{}", self.name, tail(&self.log(), 20))
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.keep && self.is_running() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Runs a tool to its end; its output, or its complaint.
pub fn run(tool: &str, arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(tool).args(arguments).output();
    let output = output.with_context(|| format!("{tool} is not installed"))?;
    if !output.status.success() {
        bail!("{tool} {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Asks until there is an answer.
pub fn eventually<T>(
    within: Duration,
    mut ask: impl FnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let end = Instant::now() + within;
    loop {
        if let Some(answer) = ask()? {
            return Ok(answer);
        }
        if Instant::now() >= end {
            bail!("not within {within:?}");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The last lines of a log.
pub fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

/// A program of this workspace, beside the running test or demo.
pub fn program(name: &str) -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let directory = own.parent().context("a program lies in a directory")?;
    let directory =
        if directory.ends_with("deps") { directory.parent().unwrap_or(directory) } else { directory };
    let found = directory.join(name);
    if !found.exists() {
        bail!("{} is not built: run `make build`", found.display());
    }
    Ok(found)
}
