//! From what was measured to what is worth sending on this stream.

use std::collections::{BTreeMap, HashMap};

use sluice_proto::v1;

use crate::{Drifted, Telemetry};

/// What the operator was told on one stream.
#[derive(Default)]
pub(crate) struct Deltas {
    counters: HashMap<(String, String, String), (u64, u64)>,
    backends: Vec<v1::BackendHealth>,
    stats: BTreeMap<String, u64>,
    facts: Option<v1::NodeFacts>,
    /// Count of each.
    drift: BTreeMap<String, u64>,
}

impl Deltas {
    /// Facts that went with Hello need not be sent again.
    pub fn after_hello(facts: v1::NodeFacts) -> Deltas {
        Deltas { facts: Some(facts), ..Deltas::default() }
    }

    /// Only what changed since the last call; `None` if nothing did. The first sample of a counter on a stream has no
    /// delta: what was counted before is in its absolute value.
    pub fn report(&mut self, telemetry: &Telemetry) -> Option<v1::Report> {
        let counters: Vec<_> = telemetry.counters.iter().filter_map(|sample| self.counter(sample)).collect();
        let stats = telemetry.stats.iter().filter(|(name, value)| self.stats.get(*name) != Some(value));
        let stats: HashMap<_, _> = stats.map(|(name, value)| (name.clone(), *value)).collect();
        let backends = (self.backends != telemetry.backends).then(|| telemetry.backends.clone());
        let facts = self.facts.as_ref().is_none_or(|told| differs(told, &telemetry.facts));
        let drift = self.drift(telemetry);
        if counters.is_empty() && stats.is_empty() && backends.is_none() && !facts && drift.is_empty() {
            return None;
        }
        self.stats.clone_from(&telemetry.stats);
        if let Some(backends) = &backends {
            self.backends.clone_from(backends);
        }
        if facts {
            self.facts = Some(telemetry.facts.clone());
        }
        Some(v1::Report {
            counters,
            backends: backends.unwrap_or_default(),
            stats,
            facts: facts.then(|| telemetry.facts.clone()),
            drift,
        })
    }

    /// Whether a backend came up or went down, or somebody meddled with the node.
    pub fn is_urgent(&self, telemetry: &Telemetry) -> bool {
        self.backends != telemetry.backends || telemetry.drift.iter().any(|drifted| self.is_untold(drifted))
    }

    fn drift(&mut self, telemetry: &Telemetry) -> Vec<v1::Drift> {
        let untold = telemetry.drift.iter().filter(|drifted| self.is_untold(*drifted));
        let drift: Vec<_> = untold
            .map(|(what, drifted)| v1::Drift {
                what: what.clone(),
                place: drifted.place.clone(),
                repaired: drifted.repaired,
                count: drifted.count,
                age_ms: u64::try_from(drifted.at.elapsed().as_millis()).unwrap_or(u64::MAX),
            })
            .collect();
        self.drift.extend(drift.iter().map(|drift| (drift.what.clone(), drift.count)));
        drift
    }

    fn is_untold(&self, (what, drifted): (&String, &Drifted)) -> bool {
        self.drift.get(what) != Some(&drifted.count)
    }

    fn counter(&mut self, sample: &v1::CounterSample) -> Option<v1::CounterSample> {
        let key = (sample.policy_uid.clone(), sample.name.clone(), sample.verdict.clone());
        let former = self.counters.insert(key, (sample.packets, sample.bytes));
        let (packets, bytes) = former.unwrap_or((sample.packets, sample.bytes));
        let unchanged = former == Some((sample.packets, sample.bytes));
        // A slot that was given to the same name again starts at 0.
        let delta = |now: u64, before: u64| now.checked_sub(before).unwrap_or(now);
        (!unchanged).then(|| v1::CounterSample {
            packets_delta: delta(sample.packets, packets),
            bytes_delta: delta(sample.bytes, bytes),
            ..sample.clone()
        })
    }
}

/// Losses that only count up are no reason to send all facts each second; they go along when something else changed.
fn differs(told: &v1::NodeFacts, now: &v1::NodeFacts) -> bool {
    steady(told) != steady(now)
}

fn steady(facts: &v1::NodeFacts) -> v1::NodeFacts {
    let nics =
        facts.nics.iter().map(|nic| v1::Nic { rx_dropped: 0, rx_errors: 0, rx_fcs_errors: 0, ..nic.clone() });
    v1::NodeFacts { nics: nics.collect(), addresses: facts.addresses.clone(), ..v1::NodeFacts::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn telemetry(packets: u64) -> Telemetry {
        let sample = v1::CounterSample {
            policy_uid: "u".into(),
            name: "bad-nets".into(),
            verdict: "drop".into(),
            packets,
            bytes: packets * 60,
            ..v1::CounterSample::default()
        };
        Telemetry { counters: vec![sample], ..Telemetry::default() }
    }

    #[test]
    fn the_first_sample_of_a_stream_is_absolute_only() {
        let mut deltas = Deltas::after_hello(v1::NodeFacts::default());
        let first = deltas.report(&telemetry(10)).expect("a report");
        assert_eq!((first.counters[0].packets, first.counters[0].packets_delta), (10, 0));
        let second = deltas.report(&telemetry(15)).expect("a report");
        assert_eq!((second.counters[0].packets_delta, second.counters[0].bytes_delta), (5, 300));
        assert_eq!(deltas.report(&telemetry(15)), None);
        let again = deltas.report(&telemetry(3)).expect("a report");
        assert_eq!(again.counters[0].packets_delta, 3);
    }

    #[test]
    fn facts_go_out_on_change_only() {
        let nic = |up, rx_dropped| v1::NodeFacts {
            nics: vec![v1::Nic { name: "eth0".into(), up, rx_dropped, ..v1::Nic::default() }],
            ..v1::NodeFacts::default()
        };
        let with = |facts| Telemetry { facts, ..Telemetry::default() };
        let mut deltas = Deltas::after_hello(nic(true, 0));
        assert_eq!(deltas.report(&with(nic(true, 9))), None);
        let down = deltas.report(&with(nic(false, 9))).expect("a report");
        assert_eq!(down.facts, Some(nic(false, 9)));
    }

    #[test]
    fn drift_goes_out_once_on_each_stream() {
        let drifted = |count| Drifted {
            count,
            place: "eth0".into(),
            repaired: true,
            at: tokio::time::Instant::now() - std::time::Duration::from_secs(9),
        };
        let with = |count| {
            let drift = [("program_detached".to_owned(), drifted(count))].into();
            Telemetry { drift, ..Telemetry::default() }
        };
        let mut deltas = Deltas::after_hello(v1::NodeFacts::default());
        assert!(deltas.is_urgent(&with(1)));
        let told = deltas.report(&with(1)).expect("a report").drift;
        assert_eq!((told.len(), told[0].count, told[0].place.as_str()), (1, 1, "eth0"));
        assert!(told[0].repaired && (9_000..60_000).contains(&told[0].age_ms), "{told:?}");
        assert!(!deltas.is_urgent(&with(1)));
        assert_eq!(deltas.report(&with(1)), None);
        assert_eq!(deltas.report(&with(3)).expect("a report").drift[0].count, 3);
    }

    #[test]
    fn backends_go_out_on_change_only() {
        let healthy =
            v1::BackendHealth { address: "192.0.2.7".into(), healthy: true, ..v1::BackendHealth::default() };
        let mut deltas = Deltas::after_hello(v1::NodeFacts::default());
        let with = |backends| Telemetry { backends, ..Telemetry::default() };
        assert!(deltas.report(&with(vec![healthy.clone()])).is_some());
        assert_eq!(deltas.report(&with(vec![healthy])), None);
    }
}
