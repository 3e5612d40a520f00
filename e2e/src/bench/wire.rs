//! End to end: real frames over a cable to a receiver on the same CPU, and what that CPU spends on each.

mod clock;
mod counters;
mod receiver;
mod rows;

use anyhow::ensure;
use serde::{Deserialize, Serialize};
use sluice_datapath::measure::{Fate, Generator};

use super::rows::Label;
use super::{SAME, median, uninterrupted};
use crate::room;
use clock::Clock;
use rows::{Family, Row, Rows};

/// Where frames that go nowhere come from.
const LOOPBACK: u32 = 1;
/// Others that want the CPU may keep a queue from being emptied in time; a cell that lost frames is measured again.
const ATTEMPTS: usize = 5;

/// What one process found, as medians over its rounds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Wire {
    /// The empty program in the driver against itself.
    pub same: f64,
    /// Nanoseconds of a frame that the empty program drops, as a hint only.
    pub drop_ns: f64,
    pub rows: Vec<Ratio>,
    /// Cells that lost frames and were measured again.
    pub lossy: usize,
    pub missing: Vec<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ratio {
    pub label: Label,
    /// To the empty program that drops in the driver, both without what making the frame costs.
    pub drops: f64,
    /// To the empty program that passes to the same socket, likewise; for rows that pass.
    pub passes: Option<f64>,
}

/// In network namespaces of its own, on the CPU that it happens to run on.
pub fn one_process(rounds: usize) -> anyhow::Result<Wire> {
    room::leave()?;
    let Rows { drop, pass, rows, missing } = rows::all()?;
    let bench = Bench::new()?;
    let (mut same, mut alone, mut lossy) = (Vec::new(), Vec::new(), 0);
    let mut found = vec![(Vec::new(), Vec::new()); rows.len()];
    for _ in 0..rounds {
        let mut units = Vec::new();
        for _ in 0..SAME {
            let made = bench.made(Family::Drops)?;
            let (one, other) = (bench.cell(&drop, &mut lossy)? - made, bench.cell(&drop, &mut lossy)? - made);
            same.push(other / one);
            units.extend([one, other]);
        }
        let unit = median(units);
        alone.push(unit);
        for (row, (drops, passes)) in rows.iter().zip(&mut found) {
            let base = if row.family == Family::Drops { &drop } else { &pass };
            let (made, base) = (bench.made(row.family)?, bench.cell(base, &mut lossy)?);
            let (base, cost) = (base - made, bench.cell(row, &mut lossy)? - made);
            drops.push(cost / if row.family == Family::Drops { base } else { unit });
            passes.push(cost / base);
        }
    }
    for row in rows.iter().chain([&drop, &pass]) {
        row.receiver.check_driver()?;
    }
    let ratio = |(row, (drops, passes)): (Row, (Vec<f64>, Vec<f64>))| Ratio {
        label: row.label,
        drops: median(drops),
        passes: (row.family == Family::Passes).then(|| median(passes)),
    };
    let rows = rows.into_iter().zip(found).map(ratio).collect();
    Ok(Wire { same: median(same), drop_ns: median(alone), rows, lossy, missing })
}

struct Bench {
    clock: Clock,
    /// Makes frames that go nowhere.
    idle: Generator,
}

impl Bench {
    fn new() -> anyhow::Result<Bench> {
        Ok(Bench {
            clock: Clock::pinned()?,
            idle: Generator::new(&rows::frame(rows::DROPPED), Fate::Dropped)?,
        })
    }

    /// Nanoseconds of CPU for a frame that is made and no more.
    fn made(&self, family: Family) -> anyhow::Result<f64> {
        let (runs, frames) = family.shape();
        let run = |_| Ok(self.idle.run(frames, LOOPBACK)?);
        uninterrupted(|| run(0))?;
        uninterrupted(|| self.clock.per_frame(runs * frames, || (0..runs).try_for_each(run)))
    }

    /// Nanoseconds of CPU for a frame that is made, sent, and meets its verdict.
    fn cell(&self, row: &Row, lossy: &mut usize) -> anyhow::Result<f64> {
        for _ in 0..ATTEMPTS {
            match uninterrupted(|| self.attempt(row))? {
                Some(cost) => return Ok(cost),
                None => *lossy += 1,
            }
        }
        anyhow::bail!("{}: frames were lost {ATTEMPTS} times: the CPU is too busy", row.label.name)
    }

    /// `None` if frames were lost.
    fn attempt(&self, row: &Row) -> anyhow::Result<Option<f64>> {
        let (runs, frames) = row.family.shape();
        let total = u64::from(runs * frames);
        row.receiver.forget()?;
        // What ran before has left its own in the caches, and pages by the thousand.
        let before = row.receiver.counts()?.device;
        (0..runs).try_for_each(|_| row.run().map(drop))?;
        row.receiver.settle(before + total)?;
        let (before, mut read) = (row.receiver.counts()?, 0);
        let cost = self.clock.per_frame(runs * frames, || {
            for _ in 0..runs {
                read += row.run()?;
            }
            row.receiver.settle(before.device + total)
        })?;
        let counts = row.receiver.counts()? - before;
        if counts.device != total {
            return Ok(None);
        }
        let (name, expected) = (&row.label.name, row.verdict.counts(total));
        ensure!(counts == expected && read == expected.delivered, "{name}: {counts:?}, {read} read");
        Ok(Some(cost))
    }
}
