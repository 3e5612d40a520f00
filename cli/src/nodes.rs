//! `kubectl sluice nodes`.

use std::process::ExitCode;

use comfy_table::Cell;
use serde_json::{Value, json};
use sluice_proto::v1::{Capabilities, ListRequest, Nic, NodeStatus};

use crate::args::{Connection, Output};
use crate::connect::{answer, connect};
use crate::output::{Head, Tone, print_line, print_structured, print_table, table, toned, wide_table};

pub async fn run(connection: &Connection, output: Output) -> anyhow::Result<ExitCode> {
    let mut operator = connect(connection).await?;
    let nodes = answer(operator.list_nodes(ListRequest::default()).await)?.nodes;
    match output {
        Output::Json | Output::Yaml => {
            let nodes: Vec<Value> = nodes.iter().map(structured).collect();
            print_structured(&json!({"nodes": nodes}), output)?;
        }
        Output::Table | Output::Wide => print(&nodes, output == Output::Wide)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A line for each interface; the node's own columns on the first of them.
fn print(nodes: &[NodeStatus], wide: bool) -> anyhow::Result<()> {
    if nodes.is_empty() {
        print_line("No nodes.")?;
        return Ok(());
    }
    let mut rows = (if wide { wide_table } else { table })(&heads(wide));
    for node in nodes {
        let nics = node.facts.iter().flat_map(|facts| &facts.nics).filter(|nic| nic.name != "lo");
        let mut lines: Vec<Vec<Cell>> = nics.map(|nic| nic_cells(nic, wide)).collect();
        if lines.is_empty() {
            lines.push(Vec::new());
        }
        let mut own = node_cells(node, wide);
        for line in lines {
            let empty = own.iter().map(|_| Cell::new("")).collect();
            rows.add_row(std::mem::replace(&mut own, empty).into_iter().chain(line));
        }
    }
    Ok(print_table(&rows)?)
}

fn heads(wide: bool) -> Vec<Head> {
    let mut heads = vec![Head::Text("NODE"), Head::Text("AGENT"), Head::Text("KERNEL")];
    if wide {
        heads.extend(["VERSION", "TCX", "EPOCH", "PLAN"].map(Head::Text));
        heads.extend(["RULES-MAX", "SET-PREFIXES-MAX", "VERIFIED", "CODE", "NS/PACKET"].map(Head::Number));
    }
    heads.extend([Head::Text("INTERFACE"), Head::Text("DRIVER"), Head::Text("XDP")]);
    if wide {
        heads.extend(["MTU", "MBIT/S", "RX-QUEUES", "RX-DROPPED", "RX-ERRORS"].map(Head::Number));
    }
    heads
}

fn node_cells(node: &NodeStatus, wide: bool) -> Vec<Cell> {
    let agent = match node.connected {
        true => toned("connected", Tone::Good),
        false => toned("silent", Tone::Bad),
    };
    let takes = node.capabilities.clone().unwrap_or_default();
    let mut cells = vec![Cell::new(&node.name), agent, Cell::new(&takes.kernel)];
    if wide {
        let epoch = node.epoch.map(|epoch| sluice_plan::Epoch::from(epoch).to_string()).unwrap_or_default();
        let tcx = node.capabilities.as_ref().map_or("-", |takes| if takes.tcx { "yes" } else { "no" });
        cells.extend([&node.version, tcx, &epoch, &node.plan_hash].map(Cell::new));
        let program = node.program.unwrap_or_default();
        let program =
            [program.verified_instructions, program.jited_bytes, program.ns_per_packet].map(u64::from);
        cells.extend([takes.entries.into(), takes.set_prefixes].into_iter().chain(program).map(number));
    }
    cells
}

/// Nobody said it if it is 0.
fn number(number: u64) -> Cell {
    if number == 0 { Cell::new("-") } else { Cell::new(number) }
}

fn nic_cells(nic: &Nic, wide: bool) -> Vec<Cell> {
    let xdp = match &nic.foreign {
        Some(foreign) => {
            let name = if foreign.name.is_empty() { "another's program" } else { &foreign.name };
            toned(format!("{name} (id {}, {})", foreign.id, foreign.mode), Tone::Doubtful)
        }
        None if nic.xdp_mode.is_empty() => Cell::new("-"),
        None => Cell::new(&nic.xdp_mode),
    };
    let mut cells = vec![Cell::new(&nic.name), Cell::new(&nic.driver), xdp];
    if wide {
        cells.extend(
            [nic.mtu.into(), nic.speed_mbps.into(), nic.rx_queues.into()].map(|value: u64| Cell::new(value)),
        );
        cells.extend([nic.rx_dropped, nic.rx_errors].map(Cell::new));
    }
    cells
}

fn structured(node: &NodeStatus) -> Value {
    let facts = node.facts.clone().unwrap_or_default();
    let nics: Vec<Value> = facts
        .nics
        .iter()
        .map(|nic| {
            json!({
                "name": nic.name, "ifindex": nic.ifindex, "driver": nic.driver, "mac": nic.mac, "speedMbps": nic.speed_mbps,
                "mtu": nic.mtu, "rxQueues": nic.rx_queues, "txQueues": nic.tx_queues, "channels": nic.channels,
                "up": nic.up, "defaultRoute": nic.default_route, "xdpMode": nic.xdp_mode, "xdpFeatures": nic.xdp_features,
                "vlanStripping": nic.vlan_stripping, "lro": nic.lro, "rxDropped": nic.rx_dropped, "rxErrors": nic.rx_errors,
                "rxFcsErrors": nic.rx_fcs_errors, "linkFlaps": nic.link_flaps,
                "foreign": nic.foreign.as_ref().map(|foreign| json!({"id": foreign.id, "mode": foreign.mode, "name": foreign.name})),
            })
        })
        .collect();
    let takes = |takes: &Capabilities| json!({"tcx": takes.tcx, "rules": takes.entries, "setPrefixes": takes.set_prefixes, "successors": takes.successors});
    json!({
        "name": node.name, "connected": node.connected, "version": node.version, "class": node.class,
        "kernel": node.capabilities.as_ref().map(|takes| &takes.kernel),
        "takes": node.capabilities.as_ref().map(takes),
        "program": node.program.map(|program| json!({
            "verifiedInstructions": program.verified_instructions, "jitedBytes": program.jited_bytes,
            "nsPerPacket": Some(program.ns_per_packet).filter(|ns| *ns > 0),
        })),
        "epoch": node.epoch.map(|epoch| sluice_plan::Epoch::from(epoch).to_string()), "plan": node.plan_hash,
        "lastSeenMs": node.last_seen, "nics": nics, "addresses": facts.addresses,
        "softnet": {"dropped": facts.softnet_dropped, "timeSqueeze": facts.softnet_time_squeeze},
    })
}
