//! All processes together: a table for people, JSON for machines.

mod chart;
mod tables;
mod write;

pub use tables::Table;
pub use write::replace_measured;

use anyhow::ensure;
use serde::Serialize;

use super::cells::{Ratio, Rounds};
use super::edits::Edits;
use super::median;
use super::programs::Facts;
use super::rows::{Bar, Label};
use super::sets::SetTimes;
use super::wire::{self, Wire};

#[derive(Debug, Serialize)]
pub struct Report {
    pub kernel: String,
    pub machine: String,
    /// Load average of a minute when it began: others' work.
    pub load: f64,
    pub started: usize,
    /// Those of them that were even enough.
    pub processes: usize,
    pub rounds: usize,
    pub same: Spread,
    pub empty_ns: f64,
    pub packets: Vec<Row>,
    pub wire: Cables,
    pub programs: Vec<Facts>,
    /// Rows that could not be measured, in words.
    pub missing: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub edits: Option<Edits>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sets: Option<SetTimes>,
}

/// Times are those of the empty program alone.
#[derive(Debug, Serialize)]
pub struct Row {
    #[serde(flatten)]
    pub label: Label,
    /// What must not be exceeded.
    pub most: Option<f64>,
    pub total: Spread,
    /// Without what the wrapper costs.
    pub net: Spread,
}

/// End to end.
#[derive(Debug, Serialize)]
pub struct Cables {
    pub processes: usize,
    pub same: Spread,
    pub drop_ns: f64,
    /// Cells that lost frames and were measured again.
    pub lossy: usize,
    pub rows: Vec<CableRow>,
}

#[derive(Debug, Serialize)]
pub struct CableRow {
    #[serde(flatten)]
    pub label: Label,
    /// Times the empty program that drops.
    pub drops: Spread,
    /// Times the empty program that passes.
    pub passes: Option<Spread>,
}

impl CableRow {
    /// Of the rows that pass, in empty programs that pass.
    fn most(&self) -> Option<f64> {
        match self.label.bar.as_ref()? {
            Bar::Empties(times) => Some(*times),
            Bar::Rows(..) => None,
        }
    }
}

/// Over the processes.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Spread {
    pub median: f64,
    pub least: f64,
    pub most: f64,
}

impl Spread {
    fn of(values: impl Iterator<Item = f64> + Clone) -> Spread {
        Spread {
            median: median(values.clone()),
            least: values.clone().fold(f64::INFINITY, f64::min),
            most: values.fold(0.0, f64::max),
        }
    }
}

/// What several processes found; those in which the empty program differed from itself by more than `uneven` percent are
/// left out: the machine was not even enough for the rest to mean anything.
pub fn gather(
    packets: Vec<Rounds>,
    wire: Vec<Wire>,
    rounds: usize,
    load: f64,
    uneven: f64,
) -> anyhow::Result<Report> {
    let started = packets.len();
    let packets = even(packets, |one| one.same, uneven)?;
    let wire = even(wire, |one| one.same, uneven)?;
    Ok(Report {
        kernel: nix::sys::utsname::uname()?.release().to_string_lossy().into_owned(),
        machine: machine(),
        load,
        started,
        processes: packets.len(),
        rounds,
        same: Spread::of(packets.iter().map(|one| one.same)),
        empty_ns: median(packets.iter().map(|one| one.empty_ns)),
        packets: rows(&packets),
        wire: cables(&wire),
        programs: packets[0].programs.clone(),
        missing: packets[0].missing.iter().chain(&wire[0].missing).cloned().collect(),
        edits: None,
        sets: None,
    })
}

/// At least one of the processes.
fn even<T>(all: Vec<T>, same: fn(&T) -> f64, uneven: f64) -> anyhow::Result<Vec<T>> {
    let found: Vec<String> = all.iter().map(|one| format!("{:.3}", same(one))).collect();
    let even: Vec<T> = all.into_iter().filter(|one| (same(one) - 1.0).abs() * 100.0 <= uneven).collect();
    ensure!(
        !even.is_empty(),
        "the empty program differs from itself by more than {uneven} % in every process ({}): try again later",
        found.join(", ")
    );
    Ok(even)
}

fn cables(even: &[Wire]) -> Cables {
    let row = |(index, ratio): (usize, &wire::Ratio)| {
        let passes: Vec<f64> = even.iter().filter_map(|one| one.rows[index].passes).collect();
        CableRow {
            label: ratio.label.clone(),
            drops: Spread::of(even.iter().map(|one| one.rows[index].drops)),
            passes: (!passes.is_empty()).then(|| Spread::of(passes.into_iter())),
        }
    };
    Cables {
        processes: even.len(),
        same: Spread::of(even.iter().map(|one| one.same)),
        drop_ns: median(even.iter().map(|one| one.drop_ns)),
        lossy: even.iter().map(|one| one.lossy).sum(),
        rows: even[0].rows.iter().enumerate().map(row).collect(),
    }
}

fn rows(even: &[Rounds]) -> Vec<Row> {
    let values = |index: usize, value: fn(&Ratio) -> f64| {
        Spread::of(even.iter().map(move |one| value(&one.rows[index])))
    };
    let row = |(index, ratio): (usize, &Ratio)| Row {
        label: ratio.label.clone(),
        most: None,
        total: values(index, |ratio| ratio.total),
        net: values(index, |ratio| ratio.net),
    };
    let mut rows: Vec<Row> = even[0].rows.iter().enumerate().map(row).collect();
    let mosts: Vec<Option<f64>> = rows.iter().map(|row| most(row.label.bar.as_ref()?, &rows)).collect();
    rows.iter_mut().zip(mosts).for_each(|(row, most)| row.most = most);
    rows
}

fn most(bar: &Bar, rows: &[Row]) -> Option<f64> {
    match bar {
        Bar::Empties(times) => Some(*times),
        Bar::Rows(times, name) => {
            let other = rows.iter().find(|row| row.label.name == *name)?;
            Some(times * other.total.median)
        }
    }
}

pub fn machine() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let models: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("model name"))
        .filter_map(|line| Some(line.split_once(':')?.1.trim()))
        .collect();
    format!("{} × {}", models.len(), models.first().unwrap_or(&"unknown CPU"))
}
