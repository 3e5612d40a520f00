//! Counters and statistics in the protocol's words.

use std::collections::BTreeMap;

use sluice_abi::{Counter, Stat};
use sluice_datapath::{Counts, SlotKey, Stats};
use sluice_health::Health;
use sluice_proto::v1::{BackendHealth, CounterSample};

/// One sample for each verdict that a rule's packets met.
pub fn counters(counts: &BTreeMap<SlotKey, Counts>) -> Vec<CounterSample> {
    let samples = counts.iter().flat_map(|(key, counts)| {
        let Counts { pass, drop, next, audited, oversize, continued } = *counts;
        let by_verdict = [
            ("pass", pass),
            ("drop", drop),
            ("next", next),
            ("audited", audited),
            ("oversize", oversize),
            ("continue", continued),
        ];
        by_verdict
            .into_iter()
            .filter(|(_, counter)| counter.packets > 0)
            .map(|(verdict, counter)| sample(key, verdict, counter))
    });
    samples.collect()
}

const STATS: [(&str, Stat); 14] = [
    ("packets", Stat::Packets),
    ("malformed", Stat::Malformed),
    ("failsafe_passed", Stat::FailsafePassed),
    ("failsafe_limited", Stat::FailsafeLimited),
    ("transmitted", Stat::Transmitted),
    ("no_backend", Stat::NoBackend),
    ("oversize", Stat::Oversize),
    ("decapsulated", Stat::Decapsulated),
    ("no_next_hop", Stat::NoNextHop),
    ("decap_refused", Stat::DecapRefused),
    ("hop_limit_exceeded", Stat::HopLimitExceeded),
    ("unmarked", Stat::Unmarked),
    ("samples_lost", Stat::SamplesLost),
    ("samples_suppressed", Stat::SamplesSuppressed),
];

pub fn stats(stats: &Stats) -> BTreeMap<String, u64> {
    STATS.iter().map(|(name, stat)| ((*name).to_owned(), stats.get(*stat))).collect()
}

pub fn backends(found: &[Health]) -> Vec<BackendHealth> {
    let backend = |health: &Health| BackendHealth {
        policy_uid: health.policy.clone(),
        address: health.address.to_string(),
        healthy: health.healthy,
        detail: health.detail.clone(),
    };
    found.iter().map(backend).collect()
}

fn sample(key: &SlotKey, verdict: &str, counter: Counter) -> CounterSample {
    CounterSample {
        policy_uid: key.policy.clone(),
        name: key.name.clone(),
        verdict: verdict.into(),
        packets: counter.packets,
        bytes: counter.bytes,
        ..CounterSample::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_that_never_happened_are_left_out() {
        let key = SlotKey { policy: "u".into(), name: "bad-nets".into() };
        let counts = Counts { drop: Counter { packets: 3, bytes: 180 }, ..Counts::default() };
        let samples = counters(&[(key, counts)].into());
        let [sample] = samples.as_slice() else { panic!("one sample expected: {samples:?}") };
        assert_eq!((sample.verdict.as_str(), sample.packets, sample.bytes), ("drop", 3, 180));
    }
}
