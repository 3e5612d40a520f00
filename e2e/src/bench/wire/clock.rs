//! What a CPU spends: the measuring thread, interrupts' work in its time, and what the kernel put off to a thread of its own.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use anyhow::Context;
use nix::sched::{CpuSet, sched_getcpu, sched_setaffinity};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;

pub struct Clock {
    /// Of the CPU's ksoftirqd.
    put_off: File,
}

impl Clock {
    /// Of the CPU that the calling thread is on, and stays on from now.
    pub fn pinned() -> anyhow::Result<Clock> {
        let cpu = sched_getcpu()?;
        let mut set = CpuSet::new();
        set.set(cpu)?;
        sched_setaffinity(Pid::from_raw(0), &set)?;
        let pid = thread(&format!("ksoftirqd/{cpu}"))?;
        Ok(Clock { put_off: File::open(format!("/proc/{pid}/schedstat"))? })
    }

    /// Nanoseconds for each of `frames` that `work` handles.
    pub fn per_frame(&self, frames: u32, work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<f64> {
        let before = self.now()?;
        work()?;
        Ok((self.now()? - before) as f64 / f64::from(frames))
    }

    fn now(&self) -> anyhow::Result<u64> {
        let own = Duration::from(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?);
        let mut text = [0; 64];
        let length = self.put_off.read_at(&mut text, 0)?;
        let text = std::str::from_utf8(&text[..length])?;
        let put_off: u64 = text.split(' ').next().context("schedstat is empty")?.parse()?;
        Ok(own.as_nanos() as u64 + put_off)
    }
}

/// Pid of a thread of the kernel.
fn thread(name: &str) -> anyhow::Result<u32> {
    let is_it = |pid: &u32| {
        std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim_end() == name)
    };
    let entries = std::fs::read_dir("/proc")?.flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.into_iter().find(is_it).with_context(|| format!("{name} is not to be seen from here"))
}
