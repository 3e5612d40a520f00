//! `kubectl sluice lint`: what is valid and yet hardly meant.

use std::process::ExitCode;

use serde::Serialize;

use crate::args::{Lint, Output};
use crate::output::{Head, print_line, print_structured, print_table, table, wide_table};
use crate::policies;

#[derive(Serialize)]
struct Report {
    warnings: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    policy: String,
    /// Null: the filter as a whole.
    rule: Option<String>,
    reason: &'static str,
    message: String,
}

pub fn run(args: &Lint) -> anyhow::Result<ExitCode> {
    let policies = policies::read(&args.policies)?;
    let filters: Vec<_> = policies.filters.iter().collect();
    let found = sluice_lint::lint_all(&filters, &policies.fleet.failsafe, &args.node_address);
    let lines = filters.iter().zip(found).flat_map(|(filter, warnings)| {
        warnings.into_iter().map(|warning| Line {
            policy: filter.object.name.clone(),
            rule: warning.rule,
            reason: warning.reason.as_str(),
            message: warning.message,
        })
    });
    let report = Report { warnings: lines.collect() };
    match args.output {
        Output::Json | Output::Yaml => print_structured(&report, args.output)?,
        Output::Table | Output::Wide => print(&report, args.output)?,
    }
    Ok(if report.warnings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print(report: &Report, output: Output) -> std::io::Result<()> {
    if report.warnings.is_empty() {
        return print_line("no warnings");
    }
    let heads = [Head::Text("POLICY"), Head::Text("RULE"), Head::Text("REASON"), Head::Text("MESSAGE")];
    let mut rows = if output == Output::Wide { wide_table(&heads) } else { table(&heads) };
    for line in &report.warnings {
        rows.add_row([&line.policy, line.rule.as_deref().unwrap_or("-"), line.reason, &line.message]);
    }
    print_table(&rows)
}
