//! One process: every row against the empty program, in turn, in cells of a few milliseconds.

use std::time::Duration;

use anyhow::ensure;
use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use sluice_datapath::measure::Repeatable;
use sluice_datapath::test_run::XdpAction;

use super::programs::Facts;
use super::rows::{self, Label, Row};
use super::{SAME, median, uninterrupted};
use crate::room::{self, Room};

/// Thread CPU time of one cell.
const CELL: Duration = Duration::from_millis(8);
/// Repetitions to find out how many make a cell.
const TRIAL: u32 = 10_000;

/// What one process found, as medians over its rounds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Rounds {
    /// The empty program against itself.
    pub same: f64,
    /// Nanoseconds of the empty program, as a hint only.
    pub empty_ns: f64,
    pub rows: Vec<Ratio>,
    pub programs: Vec<Facts>,
    /// Rows that could not be measured, in words.
    pub missing: Vec<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ratio {
    pub label: Label,
    /// In its wrapper, to the empty program alone.
    pub total: f64,
    /// The same after the wrapper's own cost has been taken off.
    pub net: f64,
}

/// In a network namespace of its own, as if all packets came in on a veth: on the loopback, programs count for tests.
pub fn one_process(rounds: usize) -> anyhow::Result<Rounds> {
    room::leave()?;
    let other_end = Room::create()?;
    other_end.connect("eth0", "02:00:00:00:00:01")?;
    let ingress = room::index("eth0")?;
    let rows::All { rows, facts, missing } = rows::all(ingress)?;
    let bench = Bench::new(ingress)?;
    let mut same = Vec::new();
    let mut alone = Vec::new();
    let mut found = vec![(Vec::new(), Vec::new()); rows.len()];
    for _ in 0..rounds {
        for _ in 0..SAME {
            same.push(bench.alone()? / bench.alone()?);
        }
        for (row, (total, net)) in rows.iter().zip(&mut found) {
            let (unit, empty, full) =
                (bench.alone()?, bench.cell(&row.empty, row, XdpAction::Drop)?, bench.row(row)?);
            total.push(full / unit);
            net.push(1.0 + (full - empty) / unit);
            alone.push(unit);
        }
    }
    let ratio = |(row, (total, net)): (Row, (Vec<f64>, Vec<f64>))| Ratio {
        label: row.label,
        total: median(total),
        net: median(net),
    };
    Ok(Rounds {
        same: median(same),
        empty_ns: median(alone),
        rows: rows.into_iter().zip(found).map(ratio).collect(),
        programs: facts,
        missing,
    })
}

struct Bench {
    ingress: u32,
    empty: Repeatable,
    frame: Vec<u8>,
    /// CPU time of a test run beside its repetitions.
    call: f64,
}

impl Bench {
    fn new(ingress: u32) -> anyhow::Result<Bench> {
        let mut bench = Bench { ingress, empty: Repeatable::empty()?, frame: vec![0; 100], call: 0.0 };
        let calls: anyhow::Result<Vec<f64>> =
            (0..101).map(|_| bench.time(&bench.empty, &bench.frame, 1, XdpAction::Drop)).collect();
        bench.call = median(calls?);
        Ok(bench)
    }

    fn alone(&self) -> anyhow::Result<f64> {
        self.mean(&self.empty, &self.frame, XdpAction::Drop)
    }

    fn row(&self, row: &Row) -> anyhow::Result<f64> {
        self.cell(&row.program, row, row.expected)
    }

    fn cell(&self, program: &Repeatable, row: &Row, expected: XdpAction) -> anyhow::Result<f64> {
        self.mean(program, &row.frame, expected)
    }

    /// Nanoseconds of CPU for one packet, over a cell.
    fn mean(&self, program: &Repeatable, frame: &[u8], expected: XdpAction) -> anyhow::Result<f64> {
        let trial = self.time(program, frame, TRIAL, expected)? - self.call;
        let cell = CELL.as_nanos() as f64;
        let repeat = (f64::from(TRIAL) * cell / trial.max(1.0)).clamp(f64::from(TRIAL), 5e6) as u32;
        Ok((self.time(program, frame, repeat, expected)? - self.call) / f64::from(repeat))
    }

    /// Nanoseconds of CPU of this thread.
    fn time(
        &self,
        program: &Repeatable,
        frame: &[u8],
        repeat: u32,
        expected: XdpAction,
    ) -> anyhow::Result<f64> {
        let (action, spent) = uninterrupted(|| {
            let start = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?;
            let action = program.run(frame, repeat, self.ingress)?;
            Ok((action, Duration::from(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)? - start)))
        })?;
        ensure!(action == expected, "the program says {action:?} and not {expected:?}");
        Ok(spent.as_nanos() as f64)
    }
}
