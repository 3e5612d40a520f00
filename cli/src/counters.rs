//! `kubectl sluice get counters`.

use std::process::ExitCode;

use serde_json::{Value, json};
use sluice_proto::v1::{ListRequest, NamedCounter};

use crate::args::{Connection, Counters, Output};
use crate::connect::connect;
use crate::output::{print_structured, print_table, table};

pub async fn run(connection: &Connection, args: &Counters) -> anyhow::Result<ExitCode> {
    let mut operator = connect(connection).await?;
    let request = ListRequest { name: args.policy.clone().unwrap_or_default() };
    let nodes = operator.list_counters(request).await?.into_inner().nodes;
    if args.output != Output::Table {
        let nodes: Vec<Value> = nodes
            .iter()
            .map(|node| {
                let counters: Vec<Value> = node.counters.iter().map(structured).collect();
                let stats: std::collections::BTreeMap<_, _> = node.stats.iter().collect();
                json!({"node": node.node, "counters": counters, "stats": stats})
            })
            .collect();
        print_structured(&json!({"nodes": nodes}), args.output)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut rows = table(&["NODE", "POLICY", "RULE", "VERDICT", "PACKETS", "BYTES"]);
    for node in &nodes {
        for counter in &node.counters {
            let (packets, bytes) = (counter.packets.to_string(), counter.bytes.to_string());
            rows.add_row([&node.node, &counter.policy, &counter.rule, &counter.verdict, &packets, &bytes]);
        }
    }
    print_table(&rows)?;
    Ok(ExitCode::SUCCESS)
}

fn structured(counter: &NamedCounter) -> Value {
    json!({
        "kind": counter.kind, "namespace": counter.namespace, "policy": counter.policy, "rule": counter.rule,
        "verdict": counter.verdict, "packets": counter.packets, "bytes": counter.bytes,
    })
}
