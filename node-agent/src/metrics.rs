//! Prometheus series, made from the latest telemetry at every scrape.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use sluice_client::{Held, LinkState, Telemetry};
use sluice_plan::{NodePlan, PolicyRef};
use sluice_proto::v1::CounterSample;

/// Rules of this node with series of their own; the others share `rule="_other"`.
const RULE_SERIES: usize = 200;

/// What may be found otherwise than it was left; from 0 on, so that the first time is an increase.
const DRIFT: [&str; 9] = [
    "program_detached",
    "program_replaced",
    "pin_removed",
    "marks_detached",
    "set_replaced",
    "set_altered",
    "interface_gone",
    "interface_renamed",
    "interface_down",
];

/// All that a scrape shows, at one moment.
#[derive(Clone, Debug)]
pub struct Moment {
    pub telemetry: Telemetry,
    pub plan: Arc<NodePlan>,
    pub held: Held,
    pub link: LinkState,
    /// Bytes of the operator's messages.
    pub received: u64,
    /// Bytes of the messages to it.
    pub sent: u64,
    /// The operator's last plan is not in force.
    pub rejected: bool,
}

pub fn text(moment: Moment) -> String {
    let mut registry = Registry::with_prefix("sluice");
    // The kernel's, whosever program it was: no name of the agent's.
    registry.register_collector(Box::new(Exceptions(moment.telemetry.exceptions.clone())));
    registry.sub_registry_with_prefix("agent").register_collector(Box::new(moment));
    let mut text = String::new();
    encode(&mut text, &registry).expect("a string takes any text");
    text
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, PartialOrd, Ord, EncodeLabelSet)]
struct RuleLabels {
    kind: String,
    namespace: String,
    policy: String,
    rule: String,
    verdict: String,
}

/// One label with a name of its own.
#[derive(Clone, Debug, Hash, PartialEq, Eq)]
struct Pair<'a>(&'static str, &'a str);

impl EncodeLabelSet for Pair<'_> {
    fn encode(&self, encoder: &mut prometheus_client::encoding::LabelSetEncoder<'_>) -> fmt::Result {
        EncodeLabelSet::encode(&[(self.0, self.1)], encoder)
    }
}

#[derive(Debug)]
struct Exceptions(BTreeMap<String, u64>);

impl Collector for Exceptions {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let values = self.0.iter().map(|(reason, count)| (Pair("reason", reason), *count));
        counters(&mut encoder, "xdp_exceptions", "What XDP failed at on this node", values)
    }
}

impl Collector for Moment {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let connected = i64::from(matches!(self.link, LinkState::Connected(_)));
        gauge(&mut encoder, "operator_connected", "Whether the stream to an operator is open", connected)?;
        gauge(
            &mut encoder,
            "plan_rejected",
            "Whether the operator's last plan is not in force",
            self.rejected.into(),
        )?;
        let epoch = self.held.epoch.unwrap_or_default();
        gauge(&mut encoder, "epoch_index", "Index of the epoch in force", epoch.index as i64)?;
        for (name, help, bytes) in [
            ("received_bytes", "Bytes of the operator's messages, before encryption", self.received),
            ("sent_bytes", "Bytes of the messages to the operator, before encryption", self.sent),
        ] {
            let counter = ConstCounter::new(bytes);
            counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)?;
        }
        self.encode_rules(&mut encoder)?;
        self.encode_stats(&mut encoder)?;
        self.encode_drift(&mut encoder)?;
        self.encode_nics(&mut encoder)?;
        self.encode_backends(&mut encoder)
    }
}

impl Moment {
    fn encode_rules(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let sums = bounded(self.sums());
        let packets = sums.iter().map(|(labels, sum)| (labels.clone(), sum.0));
        counters(encoder, "rule_packets", "Packets that a rule matched", packets)?;
        counters(
            encoder,
            "rule_bytes",
            "Bytes of the packets that a rule matched",
            sums.into_iter().map(|(labels, sum)| (labels, sum.1)),
        )
    }

    fn sums(&self) -> BTreeMap<RuleLabels, (u64, u64)> {
        let filters = self.plan.filters.parts.iter().map(|part| &part.policy);
        let balancers = self.plan.balancers.parts.iter().map(|part| &part.policy);
        let by_uid: HashMap<&str, &PolicyRef> =
            filters.chain(balancers).map(|policy| (policy.uid.as_str(), policy)).collect();
        let labelled = |sample: &CounterSample| {
            // A policy that is just being taken away has counters and no name any more.
            let policy = by_uid.get(sample.policy_uid.as_str())?;
            let labels = RuleLabels {
                kind: policy.kind.clone(),
                namespace: policy.namespace.clone(),
                policy: policy.name.clone(),
                rule: sample.name.clone(),
                verdict: sample.verdict.clone(),
            };
            Some((labels, (sample.packets, sample.bytes)))
        };
        self.telemetry.counters.iter().filter_map(labelled).collect()
    }

    fn encode_stats(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let stats = self.telemetry.stats.iter().map(|(name, value)| (Pair("stat", name), *value));
        counters(encoder, "data_plane", "Packets by what the data plane did beside rules", stats)?;
        let facts = &self.telemetry.facts;
        let softnet = [("dropped", facts.softnet_dropped), ("time_squeeze", facts.softnet_time_squeeze)];
        let softnet = softnet.into_iter().map(|(name, value)| (Pair("event", name), value));
        counters(encoder, "softnet", "Losses between driver and stack, over all CPUs", softnet)
    }

    fn encode_drift(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let count = |what: &str| self.telemetry.drift.get(what).map_or(0, |drifted| drifted.count);
        let values = DRIFT.into_iter().map(|what| (Pair("what", what), count(what)));
        counters(encoder, "drift", "Times that the node was found otherwise than the agent left it", values)
    }

    fn encode_nics(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let nics = &self.telemetry.facts.nics;
        for (name, help, pick) in [
            ("nic_rx_dropped", "Packets that an interface dropped", 0),
            ("nic_rx_errors", "Frames that an interface received with an error", 1),
            ("nic_rx_fcs_errors", "Frames that an interface received with a wrong checksum", 2),
            ("nic_link_flaps", "Times that an interface's carrier came or went", 3),
        ] {
            let values = nics.iter().map(|nic| {
                let values = [nic.rx_dropped, nic.rx_errors, nic.rx_fcs_errors, nic.link_flaps];
                (Pair("interface", &nic.name), values[pick])
            });
            counters(encoder, name, help, values)?;
        }
        Ok(())
    }

    fn encode_backends(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let backends = &self.telemetry.backends;
        let healthy = backends.iter().filter(|backend| backend.healthy).count() as i64;
        gauge(encoder, "backends_healthy", "Backends that this node's checks reach", healthy)?;
        gauge(encoder, "backends_checked", "Backends that this node checks", backends.len() as i64)
    }
}

fn gauge(encoder: &mut DescriptorEncoder, name: &str, help: &str, value: i64) -> fmt::Result {
    let gauge = ConstGauge::new(value);
    gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)
}

fn counters<L: EncodeLabelSet>(
    encoder: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    values: impl Iterator<Item = (L, u64)>,
) -> fmt::Result {
    let kind = ConstCounter::new(0u64).metric_type();
    let mut family = encoder.encode_descriptor(name, help, None, kind)?;
    for (labels, value) in values {
        ConstCounter::new(value).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

/// Keeps the busiest and adds the others up.
fn bounded(sums: BTreeMap<RuleLabels, (u64, u64)>) -> BTreeMap<RuleLabels, (u64, u64)> {
    let mut busiest: Vec<_> = sums.into_iter().collect();
    busiest.sort_by(|a, b| b.1.0.cmp(&a.1.0).then_with(|| a.0.cmp(&b.0)));
    let rest = busiest.split_off(busiest.len().min(RULE_SERIES));
    let mut kept: BTreeMap<_, _> = busiest.into_iter().collect();
    for (labels, sum) in rest {
        let other = kept.entry(RuleLabels { rule: "_other".to_owned(), ..labels }).or_default();
        other.0 += sum.0;
        other.1 += sum.1;
    }
    kept
}

#[cfg(test)]
mod tests {
    use sluice_plan::{FilterPart, Filters};

    use super::*;

    fn moment(rules: u64) -> Moment {
        let policy = PolicyRef {
            kind: "XdpFilter".into(),
            name: "edge".into(),
            uid: "u".into(),
            ..PolicyRef::default()
        };
        let part = FilterPart {
            policy,
            interfaces: Default::default(),
            attach: Default::default(),
            hook: Default::default(),
            audit: false,
            first: 0,
            end: 0,
            rules: vec![],
        };
        let sample = |rule: u64| CounterSample {
            policy_uid: "u".into(),
            name: format!("rule-{rule}"),
            verdict: "drop".into(),
            packets: 1000 - rule,
            ..CounterSample::default()
        };
        let exceptions = [("aborted".to_owned(), 2)].into();
        let telemetry =
            Telemetry { counters: (0..rules).map(sample).collect(), exceptions, ..Telemetry::default() };
        let filters = Filters { parts: vec![part], ..Filters::default() };
        let plan = Arc::new(NodePlan { filters, ..NodePlan::default() });
        Moment {
            telemetry,
            plan,
            held: Held::default(),
            link: LinkState::default(),
            received: 7,
            sent: 8,
            rejected: false,
        }
    }

    #[test]
    fn a_rule_has_a_series() {
        let text = text(moment(1));
        let series = r#"sluice_agent_rule_packets_total{kind="XdpFilter",namespace="",policy="edge",rule="rule-0",verdict="drop"} 1000"#;
        assert!(text.contains(series), "{text}");
        assert!(text.contains("sluice_agent_operator_connected 0"), "{text}");
        assert!(text.contains("sluice_agent_received_bytes_total 7"), "{text}");
        assert!(text.contains("sluice_agent_sent_bytes_total 8"), "{text}");
        assert!(text.contains(r#"sluice_agent_drift_total{what="pin_removed"} 0"#), "{text}");
        assert!(text.contains(r#"sluice_xdp_exceptions_total{reason="aborted"} 2"#), "{text}");
    }

    #[test]
    fn many_rules_share_one_series_and_no_packet_is_lost() {
        let sums = bounded(moment(300).sums());
        assert_eq!(sums.len(), RULE_SERIES + 1);
        let total: u64 = sums.values().map(|sum| sum.0).sum();
        assert_eq!(total, (0..300).map(|rule| 1000 - rule).sum::<u64>());
        assert!(sums.keys().any(|labels| labels.rule == "_other"));
        assert!(sums.keys().all(|labels| labels.rule != "rule-200"), "the quietest have none of their own");
    }
}
