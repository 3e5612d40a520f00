//! How results are printed.

use std::io::{self, IsTerminal, Write};

use comfy_table::{Cell, CellAlignment, Color, ContentArrangement, Table, presets};
use serde::Serialize;

use crate::args::Output;

/// The head of a column; numbers stand at its right.
#[derive(Clone, Copy, Debug)]
pub enum Head {
    Text(&'static str),
    Number(&'static str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Good,
    Bad,
    Doubtful,
}

/// A table in kubectl's manner: no lines, upper-case heads; on a terminal no wider than that is.
pub fn table(heads: &[Head]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(heads.iter().map(|head| match head {
        Head::Text(name) | Head::Number(name) => *name,
    }));
    let last = heads.len().saturating_sub(1);
    for (index, (column, head)) in table.column_iter_mut().zip(heads).enumerate() {
        column.set_padding((0, if index == last { 0 } else { 2 }));
        if let Head::Number(_) = head {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// One that is as wide as it is: for those who asked for everything.
pub fn wide_table(heads: &[Head]) -> Table {
    let mut table = table(heads);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table
}

/// For text outside tables; plain where nothing is said, or no colours are wanted.
pub fn style(tone: Option<Tone>) -> anstyle::Style {
    let style = anstyle::Style::new();
    match tone.filter(|_| colours()) {
        None => style,
        Some(Tone::Good) => style.fg_color(Some(anstyle::AnsiColor::Green.into())),
        Some(Tone::Bad) => style.fg_color(Some(anstyle::AnsiColor::Red.into())),
        Some(Tone::Doubtful) => style.fg_color(Some(anstyle::AnsiColor::Yellow.into())),
    }
}

/// Coloured on a terminal, unless NO_COLOR is set.
pub fn toned(text: impl Into<String>, tone: Tone) -> Cell {
    let cell = Cell::new(text.into());
    if !colours() {
        return cell;
    }
    cell.fg(match tone {
        Tone::Good => Color::Green,
        Tone::Bad => Color::Red,
        Tone::Doubtful => Color::Yellow,
    })
}

fn colours() -> bool {
    let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    wanted && std::env::var_os("TERM").is_none_or(|term| term != "dumb") && io::stdout().is_terminal()
}

pub fn print_table(table: &Table) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for line in table.lines() {
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// A line on standard output. Not `println!`, which panics when the reader has gone.
pub fn print_line(line: impl std::fmt::Display) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{line}")
}

/// JSON or YAML; the table is the caller's.
pub fn print_structured<T: Serialize>(value: &T, output: Output) -> anyhow::Result<()> {
    let text = match output {
        Output::Yaml => serde_saphyr::to_string(value)?,
        Output::Json | Output::Table | Output::Wide => serde_json::to_string_pretty(value)? + "\n",
    };
    Ok(io::stdout().lock().write_all(text.as_bytes())?)
}

/// One object on one line.
pub fn print_json_line<T: Serialize>(value: &T) -> io::Result<()> {
    print_line(serde_json::to_string(value)?)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_at_the_right_and_a_narrow_terminal_wraps() {
        let mut rows = table(&[Head::Text("RULE"), Head::Number("PACKETS")]);
        rows.add_row(["bad-nets", "7"]).add_row(["a-rule-with-a-long-name", "1234567"]);
        let lines: Vec<String> = rows.lines().map(|line| line.trim_end().to_owned()).collect();
        assert_eq!(lines[1], "bad-nets                       7");
        rows.set_width(24);
        assert!(rows.lines().all(|line| line.chars().count() <= 24), "{rows}");
    }

    #[test]
    fn large_numbers_are_short() {
        assert_eq!([999.4, 12_345.0, 1_234_567.0, 2e9].map(short), ["999", "12.3k", "1.2M", "2.0G"]);
    }
}
