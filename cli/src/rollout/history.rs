//! `kubectl sluice rollout history`.

use std::process::ExitCode;

use anyhow::{Context, bail};
use comfy_table::Cell;
use serde_json::{Value, json};
use similar::{ChangeTag, TextDiff};
use sluice_proto::v1::ListRequest;

use super::rollout_of;
use crate::args::{Connection, History, Output};
use crate::connect::{answer, connect};
use crate::output::{Head, Tone, print_line, print_structured, print_table, style, table};

struct Version {
    generation: i64,
    at: String,
    spec: Value,
}

pub async fn run(connection: &Connection, args: &History) -> anyhow::Result<ExitCode> {
    let mut operator = connect(connection).await?;
    rollout_of(&mut operator, &args.filter).await?;
    let request = ListRequest { name: args.filter.clone() };
    let found = answer(operator.list_revisions(request).await)?.revisions;
    let version = |revision: sluice_proto::v1::Revision| {
        let spec = serde_json::from_str(&revision.spec).context("the operator's answer is no JSON")?;
        let at = jiff::Timestamp::from_millisecond(revision.at).unwrap_or_default();
        Ok(Version { generation: revision.generation, at: format!("{at:.0}"), spec })
    };
    let versions: Vec<Version> = found.into_iter().map(version).collect::<anyhow::Result<_>>()?;
    match (args.revision, args.output) {
        (Some(generation), _) => print_changes(&versions, generation)?,
        (None, Output::Json | Output::Yaml) => {
            let all = versions
                .iter()
                .map(|one| json!({"generation": one.generation, "at": one.at, "spec": one.spec}));
            print_structured(&json!({"revisions": all.collect::<Vec<_>>()}), args.output)?;
        }
        (None, Output::Table | Output::Wide) => print_list(&versions)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn print_list(versions: &[Version]) -> anyhow::Result<()> {
    let mut rows = table(&[Head::Number("GENERATION"), Head::Text("SINCE"), Head::Text("LINES")]);
    let mut before: Option<String> = None;
    for version in versions {
        let lines = yaml(&version.spec)?;
        let changed = match &before {
            Some(before) => changed(before, &lines),
            None => "-".to_owned(),
        };
        rows.add_row([Cell::new(version.generation), Cell::new(&version.at), Cell::new(changed)]);
        before = Some(lines);
    }
    Ok(print_table(&rows)?)
}

/// As `+3 -1`.
fn changed(before: &str, after: &str) -> String {
    let diff = TextDiff::from_lines(before, after);
    let count = |tag| diff.iter_all_changes().filter(|change| change.tag() == tag).count();
    format!("+{} -{}", count(ChangeTag::Insert), count(ChangeTag::Delete))
}

fn print_changes(versions: &[Version], generation: i64) -> anyhow::Result<()> {
    let Some(index) = versions.iter().position(|version| version.generation == generation) else {
        let known: Vec<String> = versions.iter().map(|version| version.generation.to_string()).collect();
        bail!("generation {generation} is not kept: those are {}", known.join(", "));
    };
    let after = yaml(&versions[index].spec)?;
    let Some(before) = index.checked_sub(1).map(|index| &versions[index]) else {
        return Ok(print_line(after.trim_end())?);
    };
    let before_text = yaml(&before.spec)?;
    let diff = TextDiff::from_lines(&before_text, &after);
    let heads = (format!("generation {}", before.generation), format!("generation {generation}"));
    let text = diff.unified_diff().context_radius(3).header(&heads.0, &heads.1).to_string();
    for line in text.lines() {
        let tone = match line.as_bytes().first() {
            Some(b'+') => Some(Tone::Good),
            Some(b'-') => Some(Tone::Bad),
            _ => None,
        };
        let style = style(tone);
        print_line(format_args!("{style}{line}{style:#}"))?;
    }
    Ok(())
}

fn yaml(spec: &Value) -> anyhow::Result<String> {
    Ok(serde_saphyr::to_string(spec)?)
}
