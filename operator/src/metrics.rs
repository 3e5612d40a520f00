//! Prometheus series, made from the view at every scrape.

use std::collections::BTreeMap;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use sluice_raft::Report;

use crate::counters::{Counter, of_node};
use crate::view::View;

/// Rules with a series of their own, over the whole fleet; the others share `rule="_other"`.
const RULE_SERIES: usize = 200;

#[derive(Clone, Debug, Hash, PartialEq, Eq, PartialOrd, Ord, EncodeLabelSet)]
struct RuleLabels {
    kind: String,
    namespace: String,
    policy: String,
    rule: String,
    verdict: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ObjectLabels {
    kind: String,
    namespace: String,
    policy: String,
    state: &'static str,
}

#[derive(Clone, Debug)]
struct Snapshot {
    view: Arc<View>,
    /// None until there is a store.
    replica: Option<Report>,
}

pub fn text(view: Arc<View>, replica: Option<Report>) -> String {
    let mut registry = Registry::with_prefix("sluice");
    registry.register_collector(Box::new(Snapshot { view, replica }));
    let mut text = String::new();
    encode(&mut text, &registry).expect("a string takes any text");
    text
}

impl std::fmt::Display for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "epoch {}", self.view.epoch)
    }
}

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), std::fmt::Error> {
        if let Some(replica) = &self.replica {
            encode_replica(replica, &mut encoder)?;
        }
        let view = &self.view;
        // The others know nothing of the fleet, and a 0 would say that there is none.
        if !view.known {
            return Ok(());
        }
        let connected = view.nodes.values().filter(|node| node.connected).count() as i64;
        gauge(&mut encoder, "agents_connected", "Agents with an open stream", connected)?;
        gauge(&mut encoder, "nodes", "Nodes known to the operator", view.nodes.len() as i64)?;
        gauge(
            &mut encoder,
            "source_problems",
            "Files or objects that are not in force",
            view.problems.len() as i64,
        )?;
        gauge(&mut encoder, "epoch_index", "Raft index of the epoch in force", view.epoch.index as i64)?;
        encode_objects(view, &mut encoder)?;
        encode_rules(view, &mut encoder)
    }
}

fn encode_replica(replica: &Report, encoder: &mut DescriptorEncoder) -> Result<(), std::fmt::Error> {
    let Report { leads, term, applied, voters } = *replica;
    gauge(encoder, "raft_leads", "This replica decides", i64::from(leads))?;
    gauge(encoder, "raft_voters", "Replicas that have a vote", voters as i64)?;
    gauge(encoder, "raft_term", "Term of the consensus", term as i64)?;
    gauge(encoder, "raft_applied_index", "Last log entry in this replica's state", applied as i64)
}

fn gauge(encoder: &mut DescriptorEncoder, name: &str, help: &str, value: i64) -> Result<(), std::fmt::Error> {
    let gauge = ConstGauge::new(value);
    gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)
}

fn encode_objects(view: &View, encoder: &mut DescriptorEncoder) -> Result<(), std::fmt::Error> {
    let kind = ConstGauge::new(0i64).metric_type();
    let mut family =
        encoder.encode_descriptor("policy_nodes", "Nodes of each policy by state", None, kind)?;
    for (key, (_, state)) in &view.objects {
        let counts = [
            ("desired", state.desired),
            ("programmed", state.programmed),
            ("rejected", state.rejected),
            ("unreachable", state.unreachable),
        ];
        for (label, count) in counts {
            let labels = ObjectLabels {
                kind: key.kind.clone(),
                namespace: key.namespace.clone(),
                policy: key.name.clone(),
                state: label,
            };
            ConstGauge::new(i64::from(count)).encode(family.encode_family(&labels)?)?;
        }
    }
    Ok(())
}

fn encode_rules(view: &View, encoder: &mut DescriptorEncoder) -> Result<(), std::fmt::Error> {
    let sums = bounded(sum_rules(view));
    for (name, help, pick) in [
        ("rule_packets", "Packets that a rule matched, summed over the nodes", 0),
        ("rule_bytes", "Bytes of the packets that a rule matched, summed over the nodes", 1),
    ] {
        let kind = ConstCounter::new(0u64).metric_type();
        let mut family = encoder.encode_descriptor(name, help, None, kind)?;
        for (labels, sum) in &sums {
            ConstCounter::new(if pick == 0 { sum.0 } else { sum.1 }).encode(family.encode_family(labels)?)?;
        }
    }
    Ok(())
}

fn sum_rules(view: &View) -> BTreeMap<RuleLabels, (u64, u64)> {
    let mut sums: BTreeMap<RuleLabels, (u64, u64)> = BTreeMap::new();
    for Counter { key, name, verdict, total } in view.nodes.keys().flat_map(|node| of_node(view, node)) {
        let labels = RuleLabels {
            kind: key.kind.clone(),
            namespace: key.namespace.clone(),
            policy: key.name.clone(),
            rule: name.to_owned(),
            verdict: verdict.to_owned(),
        };
        let sum = sums.entry(labels).or_default();
        sum.0 += total.packets;
        sum.1 += total.bytes;
    }
    sums
}

/// Keeps the busiest rules and adds the others up.
fn bounded(sums: BTreeMap<RuleLabels, (u64, u64)>) -> BTreeMap<RuleLabels, (u64, u64)> {
    if sums.len() <= RULE_SERIES {
        return sums;
    }
    let mut busiest: Vec<_> = sums.into_iter().collect();
    busiest.sort_by(|a, b| b.1.0.cmp(&a.1.0).then_with(|| a.0.cmp(&b.0)));
    let mut kept: BTreeMap<_, _> = busiest.drain(..RULE_SERIES).collect();
    for (labels, sum) in busiest {
        let other = kept.entry(RuleLabels { rule: "_other".to_owned(), ..labels }).or_default();
        other.0 += sum.0;
        other.1 += sum.1;
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busiest_rules_have_their_series_and_no_packet_is_lost() {
        let labels = |rule: String| RuleLabels {
            kind: "XdpFilter".to_owned(),
            namespace: String::new(),
            policy: "edge".to_owned(),
            rule,
            verdict: "drop".to_owned(),
        };
        let rules = |number: u64| (0..number).map(|rule| (labels(format!("rule-{rule}")), (rule, rule * 60)));
        let kept = bounded(rules(300).collect());
        assert_eq!(kept.len(), RULE_SERIES + 1);
        let quiet = (0..100).sum::<u64>();
        assert_eq!(kept[&labels("_other".to_owned())], (quiet, quiet * 60));
        assert_eq!(kept.values().map(|sum| sum.0).sum::<u64>(), (0..300).sum::<u64>());
        assert_eq!(bounded(rules(200).collect()).len(), 200, "nothing is added up that need not be");
    }
}
