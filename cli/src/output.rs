//! How results are printed.

use std::io::{self, Write};

use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

use crate::args::Output;

/// A table in kubectl's manner: no lines, upper-case heads, as wide as the terminal.
pub fn table(heads: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_preset(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(heads);
    table
}

pub fn print_table(table: &Table) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for line in table.lines() {
        writeln!(out, "{}", line.trim())?;
    }
    Ok(())
}

/// JSON or YAML; the table is the caller's.
pub fn print_structured<T: Serialize>(value: &T, output: Output) -> anyhow::Result<()> {
    let text = match output {
        Output::Yaml => serde_saphyr::to_string(value)?,
        Output::Json | Output::Table => serde_json::to_string_pretty(value)? + "\n",
    };
    Ok(io::stdout().lock().write_all(text.as_bytes())?)
}

pub fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// 1234567 as 1.2M, as `top` shows it.
pub fn short(value: f64) -> String {
    match value {
        v if v >= 1e9 => format!("{:.1}G", v / 1e9),
        v if v >= 1e6 => format!("{:.1}M", v / 1e6),
        v if v >= 1e4 => format!("{:.1}k", v / 1e3),
        v => format!("{v:.0}"),
    }
}
