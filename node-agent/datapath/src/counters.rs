//! Counters and statistics, summed over the CPUs.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::BorrowedFd;

use sluice_abi::{Counted, Counter, MAX_SLOTS, STATS, Stat, VERDICTS};

use crate::bpf;
use crate::error::{Context, Result};
use crate::slots::{SlotKey, SlotTable};

/// What happened to the packets of one rule, default, VIP or backend since its slot was given out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub pass: Counter,
    pub drop: Counter,
    pub next: Counter,
    /// Would have been acted on if the rule or its filter were not in Audit.
    pub audited: Counter,
    /// Too long for the way to a backend once encapsulated; only a VIP counts these.
    pub oversize: Counter,
    /// Went on with the next rule.
    pub continued: Counter,
}

/// Node-wide statistics, by [`Stat`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats([u64; STATS as usize]);

impl Stats {
    pub fn get(&self, stat: Stat) -> u64 {
        self.0[stat as usize]
    }
}

/// One batched read for each verdict, up to the highest slot in use.
pub fn read_counters(map: BorrowedFd<'_>, slots: &SlotTable) -> Result<BTreeMap<SlotKey, Counts>> {
    let (end, cpus) = (slots.iter().map(|(_, slot)| slot + 1).max().unwrap_or(0), cpus()?);
    let read = |counted: u32| bpf::per_cpu_elements(map, counted * MAX_SLOTS, end, cpus);
    let elements: Vec<Vec<Vec<u8>>> =
        (0..VERDICTS).map(read).collect::<io::Result<_>>().context(|| "reading the counters".into())?;
    let sum = |slot: u32, counted: Counted| {
        let cpus = elements[counted as usize].get(slot as usize).map_or(&[][..], Vec::as_slice);
        cpus.chunks_exact(size_of::<Counter>())
            .map(bytemuck::pod_read_unaligned)
            .fold(Counter::default(), add)
    };
    let counts = slots.iter().map(|(key, slot)| {
        let counts = Counts {
            pass: sum(slot, Counted::Pass),
            drop: sum(slot, Counted::Drop),
            next: sum(slot, Counted::Next),
            audited: sum(slot, Counted::Audited),
            oversize: sum(slot, Counted::Oversize),
            continued: sum(slot, Counted::Continue),
        };
        (key.clone(), counts)
    });
    Ok(counts.collect())
}

pub fn read_stats(map: BorrowedFd<'_>) -> Result<Stats> {
    let elements =
        bpf::per_cpu_elements(map, 0, STATS, cpus()?).context(|| "reading the statistics".into())?;
    let mut stats = Stats::default();
    for (sum, cpus) in stats.0.iter_mut().zip(&elements) {
        *sum = cpus.chunks_exact(8).map(bytemuck::pod_read_unaligned::<u64>).sum();
    }
    Ok(stats)
}

/// A statistic as each CPU has it.
pub fn read_stat(map: BorrowedFd<'_>, stat: Stat) -> Result<Vec<u64>> {
    let element = bpf::per_cpu_elements(map, stat as u32, 1, cpus()?);
    let element = element.context(|| "reading a statistic".into())?;
    Ok(element.concat().chunks_exact(8).map(bytemuck::pod_read_unaligned).collect())
}

/// Sets the slots' counters to zero for their next owners.
pub fn zero(map: BorrowedFd<'_>, slots: &[u32]) -> Result<()> {
    let of_verdict = |counted: u32| slots.iter().map(move |slot| counted * MAX_SLOTS + slot);
    let elements: Vec<u32> = (0..VERDICTS).flat_map(of_verdict).collect();
    bpf::zero_per_cpu(map, &elements, cpus()?).context(|| format!("clearing {} counter slots", slots.len()))
}

/// Possible CPUs, as the kernel sizes per-CPU values.
fn cpus() -> Result<usize> {
    aya::util::nr_cpus()
        .map_err(|(path, error)| io::Error::other(format!("{path}: {error}")))
        .context(|| "counting CPUs".into())
}

fn add(a: Counter, b: Counter) -> Counter {
    Counter { packets: a.packets.wrapping_add(b.packets), bytes: a.bytes.wrapping_add(b.bytes) }
}
