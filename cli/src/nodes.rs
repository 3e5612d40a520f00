//! `kubectl sluice nodes`.

use std::process::ExitCode;

use serde_json::{Value, json};
use sluice_proto::v1::{ListRequest, Nic, NodeStatus};

use crate::args::{Connection, Output};
use crate::connect::connect;
use crate::output::{print_structured, table};

pub async fn run(connection: &Connection, output: Output) -> anyhow::Result<ExitCode> {
    let mut operator = connect(connection).await?;
    let nodes = operator.list_nodes(ListRequest::default()).await?.into_inner().nodes;
    if output != Output::Table {
        let nodes: Vec<Value> = nodes.iter().map(structured).collect();
        print_structured(&json!({"nodes": nodes}), output)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut rows =
        table(&["NODE", "AGENT", "KERNEL", "EPOCH", "PLAN", "INTERFACE", "DRIVER", "XDP", "MTU", "FOREIGN"]);
    for node in &nodes {
        let mut head = node_cells(node);
        let nics: Vec<&Nic> =
            node.facts.iter().flat_map(|facts| &facts.nics).filter(|nic| nic.name != "lo").collect();
        if nics.is_empty() {
            rows.add_row(head.into_iter().chain(std::iter::repeat_n(String::new(), 5)).collect::<Vec<_>>());
            continue;
        }
        for nic in nics {
            rows.add_row(head.clone().into_iter().chain(nic_cells(nic)).collect::<Vec<_>>());
            head = vec![String::new(); head.len()];
        }
    }
    print_table_keeping_indent(&rows)?;
    Ok(ExitCode::SUCCESS)
}

fn print_table_keeping_indent(rows: &comfy_table::Table) -> anyhow::Result<()> {
    use std::io::Write;
    if rows.row_count() == 0 {
        println!("No nodes.");
        return Ok(());
    }
    let mut out = std::io::stdout().lock();
    for line in rows.lines() {
        writeln!(out, "{}", line.trim_end().strip_prefix(' ').unwrap_or(line.trim_end()))?;
    }
    Ok(())
}

fn node_cells(node: &NodeStatus) -> Vec<String> {
    let agent = if node.connected { node.version.clone() } else { "silent".to_owned() };
    let kernel =
        node.capabilities.as_ref().map(|capabilities| capabilities.kernel.clone()).unwrap_or_default();
    let epoch = node.epoch.map(|epoch| sluice_plan::Epoch::from(epoch).to_string()).unwrap_or_default();
    vec![node.name.clone(), agent, kernel, epoch, node.plan_hash.clone()]
}

fn nic_cells(nic: &Nic) -> Vec<String> {
    let foreign =
        nic.foreign.as_ref().map(|foreign| format!("{} ({} {})", foreign.name, foreign.mode, foreign.id));
    vec![
        nic.name.clone(),
        nic.driver.clone(),
        if nic.xdp_mode.is_empty() { "-".to_owned() } else { nic.xdp_mode.clone() },
        nic.mtu.to_string(),
        foreign.unwrap_or_default(),
    ]
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
    json!({
        "name": node.name, "connected": node.connected, "version": node.version, "class": node.class,
        "kernel": node.capabilities.as_ref().map(|capabilities| &capabilities.kernel),
        "epoch": node.epoch.map(|epoch| sluice_plan::Epoch::from(epoch).to_string()), "plan": node.plan_hash,
        "lastSeenMs": node.last_seen, "nics": nics, "addresses": facts.addresses,
        "softnet": {"dropped": facts.softnet_dropped, "timeSqueeze": facts.softnet_time_squeeze},
    })
}
