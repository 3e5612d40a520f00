//! `kubectl sluice get counters`.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::bail;
use serde_json::{Value, json};
use sluice_proto::v1::{ListRequest, NamedCounter, NodeCounters};

use crate::args::{Connection, Counters, Output};
use crate::connect::{answer, connect};
use crate::output::{Head, print_line, print_structured, print_table, table, wide_table};

pub async fn run(connection: &Connection, args: &Counters) -> anyhow::Result<ExitCode> {
    let mut operator = connect(connection).await?;
    let name = args.policy.clone().unwrap_or_default();
    if !name.is_empty() {
        let known = answer(operator.list_policies(ListRequest { name: name.clone() }).await)?.policies;
        if known.is_empty() {
            bail!("no policy is named \"{name}\": `kubectl sluice status` lists them");
        }
    }
    let nodes = answer(operator.list_counters(ListRequest { name }).await)?.nodes;
    match args.output {
        Output::Json | Output::Yaml => {
            let nodes: Vec<Value> = nodes.iter().map(structured_node).collect();
            print_structured(&json!({"nodes": nodes}), args.output)?;
        }
        Output::Table | Output::Wide => print(&nodes, args.output == Output::Wide)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn print(nodes: &[NodeCounters], wide: bool) -> anyhow::Result<()> {
    let mut heads = vec![Head::Text("NODE")];
    heads.extend(wide.then_some(Head::Text("KIND")));
    heads.extend([Head::Text("POLICY"), Head::Text("RULE"), Head::Text("VERDICT")]);
    heads.extend([Head::Number("PACKETS"), Head::Number("BYTES")]);
    let mut rows = (if wide { wide_table } else { table })(&heads);
    for node in nodes {
        for counter in &node.counters {
            let mut cells = vec![node.node.clone()];
            cells.extend(wide.then(|| counter.kind.clone()));
            cells.extend([policy(counter), counter.rule.clone(), counter.verdict.clone()]);
            cells.extend([counter.packets.to_string(), counter.bytes.to_string()]);
            rows.add_row(cells);
        }
    }
    if rows.row_count() == 0 {
        print_line("No counters.")?;
        return Ok(());
    }
    Ok(print_table(&rows)?)
}

fn policy(counter: &NamedCounter) -> String {
    if counter.namespace.is_empty() {
        return counter.policy.clone();
    }
    format!("{}/{}", counter.namespace, counter.policy)
}

fn structured_node(node: &NodeCounters) -> Value {
    let counters: Vec<Value> = node.counters.iter().map(structured).collect();
    let stats: BTreeMap<_, _> = node.stats.iter().collect();
    json!({"node": node.node, "counters": counters, "stats": stats})
}

fn structured(counter: &NamedCounter) -> Value {
    json!({
        "kind": counter.kind, "namespace": counter.namespace, "policy": counter.policy, "rule": counter.rule,
        "verdict": counter.verdict, "packets": counter.packets, "bytes": counter.bytes,
    })
}
