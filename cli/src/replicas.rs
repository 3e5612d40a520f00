//! `kubectl sluice replicas`.

use std::process::ExitCode;

use comfy_table::Cell;
use serde_json::{Value, json};
use sluice_proto::v1::{ListRequest, ReplicaStatus};

use crate::args::{Connection, Output};
use crate::connect::{answer, connect};
use crate::output::{Head, Tone, print_structured, print_table, table, toned};

pub async fn run(connection: &Connection, output: Output) -> anyhow::Result<ExitCode> {
    let mut operator = connect(connection).await?;
    let answer = answer(operator.list_replicas(ListRequest::default()).await)?;
    match output {
        Output::Json | Output::Yaml => {
            let replicas: Vec<Value> = answer.replicas.iter().map(structured).collect();
            print_structured(&json!({"term": answer.term, "replicas": replicas}), output)?;
        }
        Output::Table | Output::Wide => print(&answer.replicas)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn print(replicas: &[ReplicaStatus]) -> anyhow::Result<()> {
    let heads = [Head::Text("ADDRESS"), Head::Number("ID"), Head::Text("STATE"), Head::Number("BEHIND")];
    let mut rows = table(&heads);
    for replica in replicas {
        let address = if replica.address.is_empty() { "-" } else { &replica.address };
        rows.add_row([Cell::new(address), Cell::new(replica.id), state(replica), Cell::new(replica.behind)]);
    }
    Ok(print_table(&rows)?)
}

fn state(replica: &ReplicaStatus) -> Cell {
    match (replica.leads, replica.silent, replica.votes) {
        (true, _, _) => toned("decides", Tone::Good),
        (false, true, _) => toned("silent", Tone::Bad),
        (false, false, true) => toned("follows", Tone::Good),
        (false, false, false) => toned("catches up", Tone::Doubtful),
    }
}

fn structured(replica: &ReplicaStatus) -> Value {
    json!({
        "id": replica.id, "address": replica.address, "leads": replica.leads, "votes": replica.votes,
        "behind": replica.behind, "silent": replica.silent,
    })
}
