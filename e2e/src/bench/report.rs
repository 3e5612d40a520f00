//! All processes together: a table for people, JSON for machines.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde::Serialize;

use super::cells::{Ratio, Rounds};
use super::edits::Edits;
use super::{median, programs};

/// An A/A row further from 1 says that the machine was too uneven for the rest to mean anything.
const MOST_UNEVEN: f64 = 0.03;

#[derive(Debug, Serialize)]
pub struct Report {
    pub kernel: String,
    pub machine: String,
    /// Load average of a minute when it began: others' work.
    pub load: f64,
    pub processes: usize,
    pub rounds: usize,
    pub same: Spread,
    pub empty_ns: f64,
    pub packets: Vec<Row>,
    pub programs: Vec<programs::Facts>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub edits: Option<Edits>,
}

#[derive(Debug, Serialize)]
pub struct Row {
    pub name: String,
    pub net: Spread,
    pub wrapped: Spread,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bar: Option<f64>,
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

/// What must not be exceeded, in units of the empty program alone.
fn bar(name: &str) -> Option<f64> {
    [("1 rule, hit", 4.5), ("rate limit per source, 10,000 sources", 15.0), ("balancer, hot flow", 9.0)]
        .into_iter()
        .find_map(|(barred, bar)| (barred == name).then_some(bar))
}

/// What several processes found; those in which the empty program differed from itself are left out.
pub fn gather(all: Vec<Rounds>, rounds: usize, load: f64) -> anyhow::Result<Report> {
    let even: Vec<Rounds> = all.into_iter().filter(|one| (one.same - 1.0).abs() <= MOST_UNEVEN).collect();
    let Some(first) = even.first() else {
        anyhow::bail!(
            "the empty program differs from itself by more than 3 % in every process: try again later"
        );
    };
    let values = |index: usize, value: fn(&Ratio) -> f64| {
        Spread::of(even.iter().map(move |one| value(&one.rows[index])))
    };
    let row = |(index, ratio): (usize, &Ratio)| Row {
        name: ratio.name.clone(),
        net: values(index, |ratio| ratio.net),
        wrapped: values(index, |ratio| ratio.wrapped),
        bar: bar(&ratio.name),
    };
    Ok(Report {
        kernel: nix::sys::utsname::uname()?.release().to_string_lossy().into_owned(),
        machine: machine(),
        load,
        processes: even.len(),
        rounds,
        same: Spread::of(even.iter().map(|one| one.same)),
        empty_ns: median(even.iter().map(|one| one.empty_ns)),
        packets: first.rows.iter().enumerate().map(row).collect(),
        programs: first.programs.clone(),
        edits: None,
    })
}

fn machine() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let models: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("model name"))
        .filter_map(|line| Some(line.split_once(':')?.1.trim()))
        .collect();
    format!("{} × {}", models.len(), models.first().unwrap_or(&"unknown CPU"))
}

impl Report {
    pub fn print(&self) {
        println!("Linux {}, {}, load {:.1} at the start", self.kernel, self.machine, self.load);
        println!(
            "{} processes of {} rounds; the empty program takes {:.1} ns and differs from itself by {:.3} to {:.3}\n",
            self.processes, self.rounds, self.empty_ns, self.same.least, self.same.most
        );
        self.print_packets();
        self.print_programs();
        if let Some(edits) = &self.edits {
            println!(
                "\nedit to last of {} nodes programmed: median {:.0} ms of {} edits ({:.0} to {:.0}; with a new feature {:.0}), bar 150",
                edits.nodes,
                edits.median_ms,
                edits.edits,
                edits.fastest_ms,
                edits.slowest_ms,
                edits.new_features_ms
            );
        }
    }

    fn print_packets(&self) {
        let mut table = table(&["PACKET", "× EMPTY", "SPREAD", "BAR", "IN WRAPPER"]);
        for Row { name, net, wrapped, bar } in &self.packets {
            let bar = bar.map_or(String::new(), |bar| format!("{bar:.1}"));
            let spread = format!("{:.2}-{:.2}", net.least, net.most);
            table.add_row([
                name.clone(),
                format!("{:.2}", net.median),
                spread,
                bar,
                format!("{:.2}", wrapped.median),
            ]);
        }
        println!("{table}\n");
    }

    fn print_programs(&self) {
        let mut table = table(&["PROGRAM", "INSTRUCTIONS", "MACHINE CODE", "VERIFIED"]);
        for facts in &self.programs {
            table.add_row([
                facts.name.clone(),
                facts.instructions.to_string(),
                format!("{} B", facts.jited),
                facts.verified.to_string(),
            ]);
        }
        println!("{table}");
    }
}

/// The first column to the left, numbers to the right.
fn table(heads: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_preset(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(heads);
    let columns = table.column_iter_mut().skip(1);
    columns.for_each(|column| column.set_cell_alignment(CellAlignment::Right));
    table
}
