//! `kubectl sluice status`.

mod watch;

use std::process::ExitCode;

use comfy_table::{Cell, Table};
use serde_json::{Value, json};
use sluice_proto::v1::{ListPoliciesResponse, ListRequest, PolicyStatus, SetStatus};

use crate::args::{Connection, Output, Status};
use crate::connect::{answer, connect};
use crate::output::{Head, Tone, print_line, print_structured, print_table, short, table, toned, wide_table};

const FILTER: &str = "XdpFilter";
const BALANCER: &str = "XdpLoadBalancer";
const SET: &str = "XdpAddressSet";
/// Reason of objects that vanished together and are held.
const HELD: &str = "MassDeletion";

pub async fn run(connection: &Connection, args: &Status) -> anyhow::Result<ExitCode> {
    let output = args.output;
    if args.watch {
        match watch::watch(connection, output).await? {}
    }
    let mut operator = connect(connection).await?;
    let found = answer(operator.list_policies(ListRequest::default()).await)?;
    match output {
        Output::Json | Output::Yaml => print_structured(&structured(&found), output)?,
        Output::Table | Output::Wide => print_tables(&found, output == Output::Wide)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Lets go of what is held, if anything is.
pub async fn confirm_deletion(connection: &Connection) -> anyhow::Result<ExitCode> {
    let mut operator = connect(connection).await?;
    // Who may confirm need not be one who may look.
    let seen = operator.list_policies(ListRequest::default()).await.ok();
    answer(operator.confirm_deletion(ListRequest::default()).await)?;
    let held = seen.is_none_or(|seen| seen.get_ref().policies.iter().any(|policy| policy.reason == HELD));
    print_line(match held {
        true => "confirmed: what vanished from the source is taken off the nodes",
        false => "nothing is held: no deletion waits for a confirmation",
    })?;
    Ok(ExitCode::SUCCESS)
}

fn print_tables(found: &ListPoliciesResponse, wide: bool) -> anyhow::Result<()> {
    let tables = [(FILTER, filter_heads(wide)), (BALANCER, balancer_heads(wide)), (SET, set_heads(wide))];
    let mut printed = false;
    for (kind, heads) in tables {
        let mut policies = found.policies.iter().filter(|policy| policy.kind == kind).peekable();
        if policies.peek().is_none() {
            continue;
        }
        if printed {
            print_line("")?;
        }
        let mut rows = (if wide { wide_table } else { table })(&heads);
        policies.for_each(|policy| add_row(&mut rows, policy, wide));
        print_table(&rows)?;
        printed = true;
    }
    if !printed {
        print_line("No policies.")?;
    }
    for policy in found.policies.iter().filter(|policy| policy.ready != "True") {
        print_line(format_args!("\n{}: {}", name(policy), policy.message))?;
        // The first of them are in the message.
        for failing in policy.failing.iter().filter(|failing| !policy.message.contains(&failing.message)) {
            print_line(format_args!("  {}: {}: {}", failing.node, failing.reason, failing.message))?;
        }
    }
    for policy in &found.policies {
        if let Some(error) = policy.set.as_ref().map(|set| &set.error).filter(|error| !error.is_empty()) {
            print_line(format_args!("\n{}: the last good reading is in force of {error}", name(policy)))?;
        }
        for warning in &policy.warnings {
            print_line(format_args!("\n{}: warning: {warning}", name(policy)))?;
        }
    }
    for problem in &found.problems {
        print_line(format_args!("\nnot in force: {problem}"))?;
    }
    Ok(())
}

fn filter_heads(wide: bool) -> Vec<Head> {
    heads("FILTER", &[Head::Text("MODE"), Head::Number("RULES")], wide)
}

fn balancer_heads(wide: bool) -> Vec<Head> {
    heads("BALANCER", &[Head::Text("BACKENDS")], wide)
}

fn set_heads(wide: bool) -> Vec<Head> {
    let mut heads = vec![Head::Text("SET"), Head::Number("ENTRIES"), Head::Number("PREFIXES")];
    heads.extend([Head::Text("NODES"), Head::Text("READY"), Head::Text("REASON")]);
    if wide {
        heads.extend([
            Head::Number("BYTES"),
            Head::Text("FETCHED"),
            Head::Text("GENERATION"),
            Head::Text("HASH"),
        ]);
    }
    heads
}

fn heads(first: &'static str, own: &[Head], wide: bool) -> Vec<Head> {
    let mut heads = vec![Head::Text(first)];
    heads.extend(own);
    heads.extend([Head::Text("NODES"), Head::Number("DROPPED/S"), Head::Text("READY"), Head::Text("REASON")]);
    if wide {
        heads.extend([Head::Number("DROPPED"), Head::Text("GENERATION"), Head::Text("HASH")]);
    }
    heads
}

fn add_row(rows: &mut Table, policy: &PolicyStatus, wide: bool) {
    let mut cells = vec![Cell::new(name(policy))];
    if policy.kind == SET {
        rows.add_row(set_cells(cells, policy, wide));
        return;
    }
    if policy.kind == BALANCER {
        let (healthy, total) = (policy.backends_healthy, policy.backends_total);
        let tone = if healthy == total { Tone::Good } else { Tone::Doubtful };
        cells.push(toned(format!("{healthy}/{total}"), tone));
    } else {
        cells.extend([Cell::new(&policy.mode), Cell::new(policy.rules)]);
    }
    cells.extend([
        Cell::new(format!("{}/{}", policy.programmed, policy.desired)),
        Cell::new(short(policy.dropped_per_second)),
        ready(policy),
        Cell::new(&policy.reason),
    ]);
    if wide {
        cells.extend([
            Cell::new(policy.dropped_packets),
            Cell::new(policy.generation),
            Cell::new(&policy.hash),
        ]);
    }
    rows.add_row(cells);
}

fn ready(policy: &PolicyStatus) -> Cell {
    let tone = match policy.ready.as_str() {
        "True" => Tone::Good,
        "False" => Tone::Bad,
        _ => Tone::Doubtful,
    };
    toned(&policy.ready, tone)
}

fn set_cells(mut cells: Vec<Cell>, policy: &PolicyStatus, wide: bool) -> Vec<Cell> {
    let set = policy.set.clone().unwrap_or_default();
    cells.extend([
        Cell::new(set.entries),
        Cell::new(set.prefixes),
        Cell::new(format!("{}/{}", policy.programmed, policy.desired)),
        ready(policy),
        Cell::new(&policy.reason),
    ]);
    if wide {
        cells.extend([
            Cell::new(set.kernel_bytes),
            Cell::new(fetched(&set).unwrap_or_else(|| "-".to_owned())),
            Cell::new(policy.generation),
            Cell::new(&policy.hash),
        ]);
    }
    cells
}

/// RFC 3339, to the second.
fn fetched(set: &SetStatus) -> Option<String> {
    let at = jiff::Timestamp::from_second(set.last_fetch / 1000).ok()?;
    (set.last_fetch > 0).then(|| at.to_string())
}

fn name(policy: &PolicyStatus) -> String {
    if policy.namespace.is_empty() {
        return policy.name.clone();
    }
    format!("{}/{}", policy.namespace, policy.name)
}

fn structured(found: &ListPoliciesResponse) -> Value {
    let policies: Vec<Value> = found.policies.iter().map(structured_policy).collect();
    let epoch = found.epoch.map(|epoch| sluice_plan::Epoch::from(epoch).to_string());
    json!({"epoch": epoch, "policies": policies, "problems": found.problems})
}

fn structured_policy(policy: &PolicyStatus) -> Value {
    let failing: Vec<Value> = policy
        .failing
        .iter()
        .map(|one| json!({"node": one.node, "reason": one.reason, "message": one.message}))
        .collect();
    if let Some(set) = &policy.set {
        return json!({
            "kind": policy.kind, "name": policy.name, "uid": policy.uid, "generation": policy.generation,
            "hash": policy.hash, "entries": set.entries, "prefixes": set.prefixes, "kernelBytes": set.kernel_bytes,
            "lastFetch": fetched(set), "error": set.error,
            "nodes": {
                "desired": policy.desired, "programmed": policy.programmed, "rejected": policy.rejected,
                "unreachable": policy.unreachable, "failing": failing,
            },
            "ready": policy.ready, "reason": policy.reason, "message": policy.message,
        });
    }
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
        "warnings": policy.warnings,
    })
}
