//! `kubectl sluice rollout`.

mod history;
mod order;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use comfy_table::Cell;
use serde_json::{Value, json};
use sluice_proto::v1::{ListRequest, PolicyStatus, RolloutStatus};
use tokio::time::{Instant, sleep};

use crate::args::{Connection, Output, Rollout, RolloutStatus as Args};
use crate::connect::{Operator, answer, connect};
use crate::output::{Head, Tone, print_line, print_structured, print_table, table, toned};

const FILTER: &str = "XdpFilter";
const POLL: Duration = Duration::from_secs(1);

pub async fn run(connection: &Connection, what: &Rollout) -> anyhow::Result<ExitCode> {
    match what {
        Rollout::Status(args) => status(connection, args).await,
        Rollout::Pause(args) => order::give(connection, &args.filter, sluice_rollout::Order::Pause).await,
        Rollout::Resume(args) => order::give(connection, &args.filter, sluice_rollout::Order::Resume).await,
        Rollout::Promote(args) => order::give(connection, &args.filter, sluice_rollout::Order::Promote).await,
        Rollout::Undo(args) => order::give(connection, &args.filter, sluice_rollout::Order::Abort).await,
        Rollout::History(args) => history::run(connection, args).await,
    }
}

/// A filter that there is, with its rollout.
async fn rollout_of(operator: &mut Operator, name: &str) -> anyhow::Result<(PolicyStatus, RolloutStatus)> {
    let found = answer(operator.list_policies(ListRequest { name: name.to_owned() }).await)?;
    let Some(filter) = found.policies.into_iter().find(|policy| policy.kind == FILTER) else {
        bail!("there is no XdpFilter {name}: `kubectl sluice status` lists them");
    };
    match filter.rollout.clone() {
        Some(rollout) => Ok((filter, rollout)),
        None => bail!("XdpFilter {name} has no spec.rollout: its versions come to all nodes at once"),
    }
}

async fn status(connection: &Connection, args: &Args) -> anyhow::Result<ExitCode> {
    let mut operator = connect(connection).await?;
    let filters = match &args.filter {
        Some(name) => vec![wait(&mut operator, name, args.wait).await?],
        None => {
            let found = answer(operator.list_policies(ListRequest::default()).await)?;
            let rolling =
                found.policies.into_iter().filter_map(|policy| Some((policy.clone(), policy.rollout?)));
            rolling.collect()
        }
    };
    match args.output {
        Output::Json | Output::Yaml => {
            let filters: Vec<Value> = filters.iter().map(structured).collect();
            print_structured(&json!({"filters": filters}), args.output)?;
        }
        Output::Table | Output::Wide => print(&filters)?,
    }
    let through = args.wait.is_none() || filters.iter().all(|(_, rollout)| rollout.phase == "Done");
    Ok(if through { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Until it is through, or goes nowhere by itself.
async fn wait(
    operator: &mut Operator,
    name: &str,
    wait: Option<Duration>,
) -> anyhow::Result<(PolicyStatus, RolloutStatus)> {
    let until = Instant::now() + wait.unwrap_or_default();
    loop {
        let found = rollout_of(operator, name).await?;
        let on_its_way = matches!(found.1.phase.as_str(), "Advancing" | "Holding");
        if !on_its_way || Instant::now() >= until {
            return Ok(found);
        }
        sleep(POLL).await;
    }
}

fn print(filters: &[(PolicyStatus, RolloutStatus)]) -> anyhow::Result<()> {
    if filters.is_empty() {
        print_line("No XdpFilter has a rollout.")?;
        return Ok(());
    }
    let heads = [
        Head::Text("FILTER"),
        Head::Number("GENERATION"),
        Head::Text("PHASE"),
        Head::Text("WAVE"),
        Head::Text("NODES"),
    ];
    let mut rows = table(&heads);
    for (filter, rollout) in filters {
        rows.add_row([
            Cell::new(&filter.name),
            Cell::new(filter.generation),
            toned(&rollout.phase, tone(&rollout.phase)),
            Cell::new(&rollout.wave),
            Cell::new(format!("{}/{}", rollout.updated, rollout.total)),
        ]);
    }
    print_table(&rows)?;
    for (filter, rollout) in filters.iter().filter(|(_, rollout)| !rollout.message.is_empty()) {
        print_line(format_args!("\n{}: {}", filter.name, rollout.message))?;
    }
    Ok(())
}

fn tone(phase: &str) -> Tone {
    match phase {
        "Done" => Tone::Good,
        "RolledBack" => Tone::Bad,
        _ => Tone::Doubtful,
    }
}

fn structured((filter, rollout): &(PolicyStatus, RolloutStatus)) -> Value {
    json!({
        "name": filter.name, "uid": filter.uid, "generation": filter.generation, "phase": rollout.phase,
        "wave": rollout.wave, "updated": rollout.updated, "total": rollout.total, "message": rollout.message,
    })
}
