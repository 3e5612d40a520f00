//! The report as tables: aligned on a terminal, in Markdown for the documentation.

use comfy_table::{CellAlignment, ContentArrangement, presets};

use super::{CableRow, Report, Row, Spread};
use crate::bench::rows::Label;

/// A load average below which nobody else counts.
const QUIET: f64 = 1.5;

/// Names to the left, numbers to the right.
pub struct Table {
    pub heads: Vec<&'static str>,
    pub rows: Vec<Vec<String>>,
}

impl Report {
    pub fn print(&self) {
        println!("Linux {}, {}\n{}\n", self.kernel, self.machine, self.circumstances());
        for table in self.tables() {
            println!("{}\n", table.aligned());
        }
        self.words().iter().for_each(|line| println!("{line}"));
    }

    /// The part of docs/benchmarks.md that is not written by hand.
    pub fn markdown(&self) -> String {
        let mut text = format!("Linux {}, {}. {}\n", self.kernel, self.machine, self.circumstances());
        self.tables().iter().for_each(|table| text += &format!("\n{}", table.markdown()));
        self.words().iter().for_each(|line| text += &format!("\n{line}\n"));
        text
    }

    fn circumstances(&self) -> String {
        let Report { load, rounds, wire, .. } = self;
        let quiet = if *load < QUIET { "" } else { ", so others used the machine meanwhile" };
        let against_itself = |same: &Spread| format!("{:.3} to {:.3} against itself", same.least, same.most);
        format!(
            "Load {load:.1} at the start{quiet}. Programs: {} of {} processes, {rounds} rounds each; the empty program takes \
             {:.1} ns and is {}. End to end: {} of {} processes; the empty program's frame takes {:.0} ns and is {}; {} cells \
             lost frames.",
            self.processes,
            self.started,
            self.empty_ns,
            against_itself(&self.same),
            wire.processes,
            self.started,
            wire.drop_ns,
            against_itself(&wire.same),
            wire.lossy
        )
    }

    fn tables(&self) -> Vec<Table> {
        vec![self.packets(), self.wire(), self.programs()]
    }

    fn packets(&self) -> Table {
        let row = |row: &Row| {
            vec![
                row.label.name.clone(),
                format!("{:.2}", row.total.median),
                format!("{:.2}–{:.2}", row.total.least, row.total.most),
                bar(row.most, row.total.median),
                format!("{:.2}", row.net.median),
                references(&row.label),
            ]
        };
        Table {
            heads: vec!["packet", "× empty", "spread", "bar", "without wrapper", "others, elsewhere"],
            rows: self.packets.iter().map(row).collect(),
        }
    }

    fn wire(&self) -> Table {
        let row = |row: &CableRow| {
            let shown = row.passes.unwrap_or(row.drops);
            vec![
                row.label.name.clone(),
                format!("{:.2}", row.drops.median),
                row.passes.map_or(String::new(), |passes| format!("{:.2}", passes.median)),
                format!("{:.2}–{:.2}", shown.least, shown.most),
                bar(row.most(), shown.median),
                references(&row.label),
            ]
        };
        Table {
            heads: vec!["end to end", "× empty drop", "× empty pass", "spread", "bar", "others, elsewhere"],
            rows: self.wire.rows.iter().map(row).collect(),
        }
    }

    fn programs(&self) -> Table {
        let row = |facts: &crate::bench::programs::Facts| {
            vec![
                facts.name.clone(),
                facts.instructions.to_string(),
                format!("{} B", facts.jited),
                facts.verified.to_string(),
            ]
        };
        Table {
            heads: vec!["program", "instructions", "machine code", "walked by the verifier"],
            rows: self.programs.iter().map(row).collect(),
        }
    }

    /// What is no table.
    fn words(&self) -> Vec<String> {
        let edits = self.edits.iter().map(|edits| {
            format!(
                "Edit to last of {} nodes programmed: median {:.0} ms of {} edits ({:.0} to {:.0}; with a new feature {:.0}), bar 150.",
                edits.nodes,
                edits.median_ms,
                edits.edits,
                edits.fastest_ms,
                edits.slowest_ms,
                edits.new_features_ms
            )
        });
        let missing = self.missing.iter().map(|missing| format!("MISSING: {missing}."));
        edits.chain(missing).collect()
    }
}

/// With a word where it is not kept; to the second digit where the first would say nothing.
fn bar(most: Option<f64>, found: f64) -> String {
    let missed = if most.is_some_and(|most| found > most) { " missed" } else { "" };
    most.map_or(String::new(), |most| format!("{most:.*}{missed}", if most < 2.0 { 2 } else { 1 }))
}

fn references(label: &Label) -> String {
    let references = label.references.iter();
    let texts: Vec<String> = references.map(|other| format!("{} {}", other.name, other.times)).collect();
    texts.join(", ")
}

impl Table {
    pub fn aligned(&self) -> comfy_table::Table {
        let mut table = comfy_table::Table::new();
        table
            .load_preset(presets::NOTHING)
            .set_content_arrangement(ContentArrangement::Disabled)
            .set_header(self.heads.iter().map(|head| head.to_uppercase()));
        self.rows.iter().for_each(|row| _ = table.add_row(row));
        let columns = table.column_iter_mut().skip(1);
        columns.for_each(|column| column.set_cell_alignment(CellAlignment::Right));
        table
    }

    pub fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let heads: Vec<String> = self.heads.iter().map(|head| (*head).to_owned()).collect();
        let mut text = line(&heads) + "|---" + &"|---:".repeat(heads.len() - 1) + "|\n";
        self.rows.iter().for_each(|row| text += &line(row));
        text
    }
}
