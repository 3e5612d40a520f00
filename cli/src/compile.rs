//! `kubectl sluice compile`: what policies become.

use std::collections::BTreeSet;

use serde::Serialize;
use sluice_abi::{Entry, Pattern, Row, Straight, dimension, features};
use sluice_balance::Rings;
use sluice_plan::NodePlan;

use crate::args::{Compile, Output};
use crate::output::{Head, print_line, print_structured, print_table, table};
use crate::policies::{self, Policies};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    /// Names the plan in the protocol and in the agents' confirmations.
    hash: String,
    bytes: usize,
    entries: usize,
    words_per_row: u32,
    dimensions: Vec<&'static str>,
    tables: Vec<Table>,
    policies: Vec<CompiledPolicy>,
}

#[derive(Serialize)]
struct Table {
    name: String,
    elements: usize,
    bytes: usize,
}

#[derive(Serialize)]
struct CompiledPolicy {
    kind: String,
    name: String,
    rules: usize,
    hash: String,
}

pub fn run(args: &Compile) -> anyhow::Result<()> {
    let policies = policies::read(&args.policies)?;
    let plan = plan(&policies)?;
    let report = report(&plan);
    match args.output {
        Output::Json | Output::Yaml => print_structured(&report, args.output),
        Output::Table | Output::Wide => Ok(print(&report)?),
    }
}

fn print(report: &Report) -> std::io::Result<()> {
    print_line(format_args!("plan {}: {} bytes, {} entries", report.hash, report.bytes, report.entries))?;
    if !report.dimensions.is_empty() {
        print_line(format_args!("looked up: {}", report.dimensions.join(", ")))?;
    }
    print_line("")?;
    let mut rows =
        table(&[Head::Text("POLICY"), Head::Text("KIND"), Head::Number("RULES"), Head::Text("HASH")]);
    for policy in &report.policies {
        rows.add_row([&policy.name, &policy.kind, &policy.rules.to_string(), &policy.hash]);
    }
    print_table(&rows)?;
    print_line("")?;
    let mut rows = table(&[Head::Text("TABLE"), Head::Number("ELEMENTS"), Head::Number("BYTES")]);
    for table in &report.tables {
        rows.add_row([table.name.clone(), table.elements.to_string(), table.bytes.to_string()]);
    }
    print_table(&rows)
}

/// One node that every given policy selects.
pub fn plan(policies: &Policies) -> anyhow::Result<NodePlan> {
    let rings = rings(policies);
    let balancers = policies.balancers.iter().zip(&rings).map(|(balancer, rings)| {
        sluice_compile::BalancerInput { balancer, balances: true, rings, unhealthy: Default::default() }
    });
    Ok(sluice_compile::compile(&sluice_compile::ClassInput {
        filters: policies.filters.iter().collect(),
        balancers: balancers.collect(),
        failsafe: policies.fleet.failsafe.clone(),
        balancer_nodes: Default::default(),
    })?)
}

/// Of each balancer, while all of its backends are healthy.
pub fn rings(policies: &Policies) -> Vec<Rings> {
    let ring = |balancer| sluice_balance::repair_all(&Rings::new(), balancer, &BTreeSet::new());
    policies.balancers.iter().map(ring).collect()
}

const DIMENSIONS: [(usize, &str, usize); dimension::COUNT] = [
    (dimension::KIND, "kind", 4),
    (dimension::PROTOCOL, "protocol", 4),
    (dimension::SOURCE_V4, "sourceIPv4", 8),
    (dimension::DESTINATION_V4, "destinationIPv4", 8),
    (dimension::SOURCE_V6, "sourceIPv6", 24),
    (dimension::DESTINATION_V6, "destinationIPv6", 24),
    (dimension::SOURCE_PORT, "sourcePort", 8),
    (dimension::DESTINATION_PORT, "destinationPort", 8),
    (dimension::TCP_FLAGS, "tcpFlags", 4),
    (dimension::ICMP, "icmp", 8),
    (dimension::HOP_LIMIT, "ttl", 4),
    (dimension::TRAFFIC_CLASS, "dscp/ecn", 4),
    (dimension::LENGTH, "length", 8),
    (dimension::OUTER_VLAN, "outerVlan", 8),
    (dimension::INNER_VLAN, "innerVlan", 8),
    (dimension::ETHER_TYPE, "etherType", 8),
    (dimension::SOURCE_MAC, "sourceMac", 16),
    (dimension::DESTINATION_MAC, "destinationMac", 16),
    (dimension::IP_OPTIONS, "ipOptions", 4),
    (dimension::EXTENSION_HEADERS, "extensionHeaders", 4),
    (dimension::PAYLOADS, "payload 1-8", 4),
    (dimension::PAYLOADS + 1, "payload 9-16", 4),
    (dimension::PAYLOADS + 2, "payload 17-24", 4),
    (dimension::PAYLOADS + 3, "payload 25-32", 4),
    (dimension::SOURCE_SETS, "sourceSets", 4),
    (dimension::DESTINATION_SETS, "destinationSets", 4),
    (dimension::ESTABLISHED, "established", 4),
];

fn report(plan: &NodePlan) -> Report {
    let NodePlan { schema: _, filters, balancers, failsafe: _, sets: _, confirm_ms: _ } = plan;
    let used = |index: usize| filters.tables.features & features::dimension(index) != 0;
    let mut tables = Vec::new();
    let mut add = |name: &str, bytes: usize, element: usize| {
        if bytes > 0 {
            tables.push(Table { name: name.to_owned(), elements: bytes / element, bytes });
        }
    };
    add("entries", filters.tables.entries.len(), size_of::<Entry>());
    add("straight", filters.tables.straight.len(), size_of::<Straight>());
    add("rows", filters.tables.rows.len(), size_of::<Row>());
    add("direct", filters.tables.direct.len(), 4);
    add("patterns", filters.tables.patterns.len(), size_of::<Pattern>());
    for (index, name, element) in DIMENSIONS {
        add(name, filters.tables.bounds.get(index).map_or(0, Vec::len), element);
    }
    let large = &filters.tables.large;
    add("nodes", large.nodes.len(), size_of::<sluice_abi::Node>());
    add("children", large.children.len(), 4);
    add("recordsIPv4", large.records_v4.len(), size_of::<sluice_abi::RecordV4>());
    add("recordsIPv6", large.records_v6.len(), size_of::<sluice_abi::RecordV6>());
    add("ring", balancers.tables.ring.len(), 4);
    add("targets", balancers.tables.targets.len(), size_of::<sluice_abi::Target>());
    let filter = |part: &sluice_plan::FilterPart| CompiledPolicy {
        kind: part.policy.kind.clone(),
        name: part.policy.name.clone(),
        rules: part.rules.len(),
        hash: part.policy.hash.short(),
    };
    let balancer = |part: &sluice_plan::BalancerPart| CompiledPolicy {
        kind: part.policy.kind.clone(),
        name: format!("{}/{}", part.policy.namespace, part.policy.name),
        rules: 0,
        hash: part.policy.hash.short(),
    };
    Report {
        hash: plan.hash().short(),
        bytes: plan.encode().len(),
        entries: filters.tables.entries.len() / size_of::<Entry>(),
        words_per_row: filters.tables.words,
        dimensions: DIMENSIONS.iter().filter(|(index, ..)| used(*index)).map(|(_, name, _)| *name).collect(),
        tables,
        policies: filters.parts.iter().map(filter).chain(balancers.parts.iter().map(balancer)).collect(),
    }
}
