//! `kubectl sluice why`.

use std::process::ExitCode;

use serde_json::{Value, json};
use sluice_plan::Epoch;
use sluice_proto::v1::{InterfaceState, WhyRequest, WhyResponse};

use crate::args::{Connection, Output, PolicyName, Why};
use crate::connect::{answer, connect};
use crate::output::{Tone, print_line, print_structured, style};

pub async fn run(connection: &Connection, args: &Why) -> anyhow::Result<ExitCode> {
    let mut operator = connect(connection).await?;
    let PolicyName { kind, namespace, name } = args.policy.clone();
    let request = WhyRequest { node: args.node.clone(), policy: name, kind, namespace };
    let why = answer(operator.why(request).await)?;
    match args.output {
        Output::Json | Output::Yaml => print_structured(&structured(&why), args.output)?,
        Output::Table | Output::Wide => print(&why)?,
    }
    Ok(if why.programmed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print(why: &WhyResponse) -> anyhow::Result<()> {
    let (tone, is) =
        if why.programmed { (Tone::Good, "is in force") } else { (Tone::Bad, "is not in force") };
    let style = style(Some(tone));
    print_line(format_args!("{} {style}{is}{style:#} on {}: {}", name(why), why.node, why.reason))?;
    print_line(format_args!("  {:<10}  {}", why.said_by, why.message))?;
    print_line(format_args!("  generation  {}", generation(why)))?;
    if let Some(epoch) = why.epoch {
        print_line(format_args!("  confirmed   epoch {}, plan {}", Epoch::from(epoch), why.plan_hash))?;
    }
    if !why.interfaces.is_empty() {
        let interfaces: Vec<String> = why.interfaces.iter().map(interface).collect();
        print_line(format_args!("  interfaces  {}", interfaces.join(", ")))?;
    }
    for note in &why.notes {
        print_line(format_args!("  note        {}: {}", note.reason, note.detail))?;
    }
    Ok(())
}

fn name(why: &WhyResponse) -> String {
    match why.namespace.as_str() {
        "" => format!("{}/{}", why.kind, why.policy),
        namespace => format!("{}/{namespace}/{}", why.kind, why.policy),
    }
}

fn generation(why: &WhyResponse) -> String {
    let since = since(why).map(|since| format!(", since {since}")).unwrap_or_default();
    match why.enforced {
        0 => why.generation.to_string(),
        enforced if enforced == why.generation => format!("{enforced}{since}"),
        enforced => format!("{}; in force is {enforced}{since}", why.generation),
    }
}

/// As far as the operator that decides now has heard it.
fn since(why: &WhyResponse) -> Option<String> {
    let at = jiff::Timestamp::from_millisecond(why.since).ok().filter(|_| why.since > 0)?;
    Some(format!("{at:.0}"))
}

fn interface(state: &InterfaceState) -> String {
    let mode = if state.mode.is_empty() { "nothing attached" } else { &state.mode };
    format!("{} ({mode})", state.name)
}

fn structured(why: &WhyResponse) -> Value {
    let interface = |state: &InterfaceState| json!({"name": state.name, "mode": state.mode});
    json!({
        "node": why.node, "kind": why.kind, "namespace": why.namespace, "name": why.policy,
        "generation": why.generation, "programmed": why.programmed, "reason": why.reason,
        "message": why.message, "saidBy": why.said_by,
        "enforced": (why.enforced > 0).then_some(why.enforced), "since": since(why),
        "epoch": why.epoch.map(|epoch| Epoch::from(epoch).to_string()), "plan": why.plan_hash,
        "interfaces": why.interfaces.iter().map(interface).collect::<Vec<_>>(),
        "notes": why.notes.iter().map(|note| json!({"reason": note.reason, "message": note.detail})).collect::<Vec<_>>(),
    })
}
