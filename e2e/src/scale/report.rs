//! What came out: a table with the bars, and the curves of an edit.

mod chart;

use std::path::Path;

use serde::Serialize;

use super::curve::Curve;
use crate::bench::report::{Table, machine, replace_measured};

const PAGE: &str = "benchmarks.md";
const CHART: &str = "scale.svg";
const MARKS: (&str, &str) =
    ("<!-- scale: from here on written by `make bench-scale` -->\n", "<!-- scale: to here -->\n");

#[derive(Debug, Serialize)]
pub struct Report {
    pub kernel: String,
    pub machine: String,
    pub load: f64,
    pub stages: Vec<Stage>,
    pub full: Option<Full>,
    /// Seconds from the end of the leader to the first and the last agent with what was decided next.
    pub leader: Option<(f64, f64)>,
}

/// One size of the fleet.
#[derive(Debug, Serialize)]
pub struct Stage {
    pub agents: usize,
    /// From nothing, without certificates.
    pub join: Curve,
    pub join_cpu: f64,
    /// From nothing but a certificate.
    pub cold: Curve,
    /// The operator died and is back; nothing changed.
    pub restart: Curve,
    /// Every agent died and is back; nothing changed.
    pub reconnect: Curve,
    /// To each, and from each.
    pub reconnect_bytes: (u64, u64),
    /// Plans that were encoded meanwhile.
    pub replanned: usize,
    pub cpu_percent: f64,
    pub steady_writes: usize,
    /// The edit in the middle of several.
    pub edit: Curve,
    pub edit_writes: usize,
    pub rss_mib: f64,
    pub peak_mib: f64,
}

/// The largest fleet, with more of everything.
#[derive(Debug, Serialize)]
pub struct Full {
    pub policies: usize,
    pub rss_mib: f64,
    pub peak_mib: f64,
    pub edit: Curve,
    pub set_prefixes: usize,
    pub set: Curve,
    pub set_bytes: u64,
    pub set_rss_mib: f64,
}

/// A figure that has to be kept.
struct Row {
    figure: String,
    found: String,
    bar: &'static str,
    kept: bool,
}

impl Row {
    fn new(figure: impl Into<String>, found: String, bar: &'static str, kept: bool) -> Row {
        Row { figure: figure.into(), found, bar, kept }
    }
}

impl Report {
    pub fn new() -> anyhow::Result<Report> {
        let load = std::fs::read_to_string("/proc/loadavg")?;
        Ok(Report {
            kernel: nix::sys::utsname::uname()?.release().to_string_lossy().into_owned(),
            machine: machine(),
            load: load.split(' ').next().unwrap_or_default().parse()?,
            stages: Vec::new(),
            full: None,
            leader: None,
        })
    }

    fn rows(&self) -> Vec<Row> {
        let mut rows = self.stages.last().map(Stage::rows).unwrap_or_default();
        rows.extend(self.full.iter().flat_map(Full::rows));
        rows.extend(self.leader.map(|(first, last)| {
            Row::new(
                "leader killed → next committed decision on its first agent / on all",
                format!("{first:.2} s / {last:.2} s"),
                "< 4 s",
                first < 4.0,
            )
        }));
        rows
    }

    fn bars(&self) -> Table {
        let row = |row: Row| {
            let bar = if row.kept { row.bar.to_owned() } else { format!("{} missed", row.bar) };
            vec![row.figure, row.found, bar]
        };
        Table { heads: vec!["figure", "found", "bar"], rows: self.rows().into_iter().map(row).collect() }
    }

    fn growth(&self) -> Table {
        Table {
            heads: vec![
                "agents",
                "join, p99",
                "cold start, p99",
                "operator restarts, p99",
                "edit to 99 %",
                "to all",
                "memory",
                "peak",
                "CPU for joining",
                "CPU, steady",
            ],
            rows: self.stages.iter().map(Stage::cells).collect(),
        }
    }

    fn heading(&self) -> String {
        format!(
            "Linux {}, {}. Load {:.1} at the start. Memory and CPU are the operator's.",
            self.kernel, self.machine, self.load
        )
    }

    pub fn print(&self) {
        println!("{}\n{}\n\n{}", self.heading(), self.bars().aligned(), self.growth().aligned());
    }

    /// The part of docs/benchmarks.md that is not written by hand.
    pub fn markdown(&self) -> String {
        format!("{}\n\n{}\n{}", self.heading(), self.bars().markdown(), self.growth().markdown())
    }

    pub fn write(&self, documentation: &Path) -> anyhow::Result<()> {
        let measured = format!("![How an edit spreads]({CHART})\n\n{}", self.markdown());
        replace_measured(&documentation.join(PAGE), MARKS, &measured)?;
        Ok(std::fs::write(documentation.join(CHART), chart::draw(&self.stages))?)
    }
}

impl Stage {
    fn rows(&self) -> Vec<Row> {
        let agents = self.agents;
        let seconds = |curve: &Curve| format!("{:.2} s", curve.until(0.99));
        let within = |curve: &Curve, bar: f64| curve.until(0.99) <= bar;
        let (edit, restart, (to, from)) = (&self.edit, &self.restart, self.reconnect_bytes);
        vec![
            Row::new(
                format!("{agents} agents with certificates: cold start, all programmed, p99"),
                seconds(&self.cold),
                "≤ 5 s",
                within(&self.cold, 5.0),
            ),
            Row::new(
                format!("the same without certificates: {agents} join"),
                seconds(&self.join),
                "≤ 5 s",
                within(&self.join, 5.0),
            ),
            Row::new(
                "one edit → 99 % / 100 % programmed",
                format!("{:.2} s / {:.2} s", edit.until(0.99), edit.last()),
                "≤ 1 s / ≤ 2 s",
                within(edit, 1.0) && edit.last() <= 2.0,
            ),
            Row::new(
                "the operator dies and starts: p99 of its agents, from its start",
                seconds(restart),
                "",
                true,
            ),
            Row::new(
                format!(
                    "{agents} reconnect, nothing changed: p99; payload to and from each, at most; plans encoded"
                ),
                format!("{}; {} B, {} B; {}", seconds(&self.reconnect), to, from, self.replanned),
                "< 200 B; 0",
                to < 200 && self.replanned == 0,
            ),
            Row::new("API writes for one edit", self.edit_writes.to_string(), "≤ 3", self.edit_writes <= 3),
            Row::new(
                "steady state: CPU of the leader; API writes",
                format!("{:.1} %; {}", self.cpu_percent, self.steady_writes),
                "< 2 %; 0",
                self.cpu_percent < 2.0 && self.steady_writes == 0,
            ),
        ]
    }

    fn cells(&self) -> Vec<String> {
        let seconds = |seconds: f64| format!("{seconds:.2} s");
        let p99 = |curve: &Curve| seconds(curve.until(0.99));
        vec![
            self.agents.to_string(),
            p99(&self.join),
            p99(&self.cold),
            p99(&self.restart),
            p99(&self.edit),
            seconds(self.edit.last()),
            format!("{:.0} MiB", self.rss_mib),
            format!("{:.0} MiB", self.peak_mib),
            seconds(self.join_cpu),
            format!("{:.1} %", self.cpu_percent),
        ]
    }
}

impl Full {
    fn rows(&self) -> Vec<Row> {
        let (policies, prefixes) = (self.policies, self.set_prefixes);
        vec![
            Row::new(
                format!("operator memory with {policies} policies; at most until then"),
                format!("{:.0} MiB; {:.0} MiB", self.rss_mib, self.peak_mib),
                "< 300 MiB",
                self.rss_mib < 300.0,
            ),
            Row::new(
                format!("one edit → 99 % / 100 % programmed, with {policies} policies"),
                format!("{:.2} s / {:.2} s", self.edit.until(0.99), self.edit.last()),
                "",
                true,
            ),
            Row::new(
                format!("one prefix added to {prefixes}: bytes per agent; to 99 %"),
                format!("{:.1} KiB; {:.2} s", self.set_bytes as f64 / 1024.0, self.set.until(0.99)),
                "< 64 KiB; ≤ 1 s",
                self.set_bytes < 64 << 10 && self.set.until(0.99) <= 1.0,
            ),
            Row::new("operator memory with that set", format!("{:.0} MiB", self.set_rss_mib), "", true),
        ]
    }
}
