//! `kubectl sluice status`.

use std::process::ExitCode;

use serde_json::{Value, json};
use sluice_proto::v1::{ListRequest, PolicyStatus};

use crate::args::{Connection, Output};
use crate::connect::connect;
use crate::output::{print_structured, print_table, short, table};

pub async fn run(connection: &Connection, output: Output) -> anyhow::Result<ExitCode> {
    let mut operator = connect(connection).await?;
    let answer = operator.list_policies(ListRequest::default()).await?.into_inner();
    if output != Output::Table {
        let policies: Vec<Value> = answer.policies.iter().map(structured).collect();
        let epoch = answer.epoch.map(|epoch| sluice_plan::Epoch::from(epoch).to_string());
        print_structured(
            &json!({"epoch": epoch, "policies": policies, "problems": answer.problems}),
            output,
        )?;
        return Ok(ExitCode::SUCCESS);
    }
    let heads = ["NAME", "KIND", "MODE", "RULES", "NODES", "DROPPED", "DROPPED/S", "READY", "REASON"];
    let mut rows = table(&heads);
    for policy in &answer.policies {
        rows.add_row(row(policy));
    }
    if answer.policies.is_empty() {
        println!("No policies.");
    } else {
        print_table(&rows)?;
    }
    for policy in answer.policies.iter().filter(|policy| policy.ready != "True") {
        println!("\n{}: {}", policy.name, policy.message);
        for failing in &policy.failing {
            println!("  {}: {}: {}", failing.node, failing.reason, failing.message);
        }
    }
    for problem in &answer.problems {
        println!("\nnot in force: {problem}");
    }
    Ok(ExitCode::SUCCESS)
}

pub async fn confirm_deletion(connection: &Connection) -> anyhow::Result<ExitCode> {
    connect(connection).await?.confirm_deletion(ListRequest::default()).await?;
    println!("confirmed");
    Ok(ExitCode::SUCCESS)
}

fn row(policy: &PolicyStatus) -> Vec<String> {
    let name = if policy.namespace.is_empty() {
        policy.name.clone()
    } else {
        format!("{}/{}", policy.namespace, policy.name)
    };
    let rules = match policy.kind.as_str() {
        "XdpLoadBalancer" => format!("{}/{} healthy", policy.backends_healthy, policy.backends_total),
        _ => policy.rules.to_string(),
    };
    vec![
        name,
        policy.kind.clone(),
        policy.mode.clone(),
        rules,
        format!("{}/{}", policy.programmed, policy.desired),
        short(policy.dropped_packets as f64),
        short(policy.dropped_per_second),
        policy.ready.clone(),
        policy.reason.clone(),
    ]
}

fn structured(policy: &PolicyStatus) -> Value {
    let failing: Vec<Value> = policy
        .failing
        .iter()
        .map(|one| json!({"node": one.node, "reason": one.reason, "message": one.message}))
        .collect();
    json!({
        "kind": policy.kind, "namespace": policy.namespace, "name": policy.name, "uid": policy.uid,
        "generation": policy.generation, "hash": policy.hash, "mode": policy.mode, "rules": policy.rules,
        "nodes": {
            "desired": policy.desired, "programmed": policy.programmed, "rejected": policy.rejected,
            "unreachable": policy.unreachable, "failing": failing,
        },
        "droppedPackets": policy.dropped_packets, "droppedPerSecond": policy.dropped_per_second,
        "backends": {"healthy": policy.backends_healthy, "total": policy.backends_total},
        "ready": policy.ready, "reason": policy.reason, "message": policy.message,
    })
}
