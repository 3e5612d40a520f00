//! Counters, by policy and name.

use std::collections::BTreeMap;

use sluice_interpret::{Counted, Outcome};

/// Whose counter: policy uid, name, and what happened.
pub type Key = (String, String, Counted);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    pub packets: u64,
    pub bytes: u64,
}

/// Counters that are not zero.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts(pub BTreeMap<Key, Count>);

impl Counts {
    /// What the filters count.
    pub fn add(&mut self, outcome: &Outcome, frame: &[u8]) {
        for matched in &outcome.matched {
            let entry = &matched.entry;
            self.count((entry.policy.uid.clone(), entry.name.to_owned(), matched.counted), frame);
        }
    }

    pub fn count(&mut self, key: Key, frame: &[u8]) {
        let count = self.0.entry(key).or_default();
        count.packets += 1;
        count.bytes += frame.len() as u64;
    }

    /// Where the two differ: key, here, there.
    pub fn differences<'a>(&'a self, other: &'a Counts) -> Vec<(&'a Key, Count, Count)> {
        let keys = self.0.keys().chain(other.0.keys().filter(|key| !self.0.contains_key(*key)));
        let of = |counts: &Counts, key| counts.0.get(key).copied().unwrap_or_default();
        keys.map(|key| (key, of(self, key), of(other, key)))
            .filter(|(_, here, there)| here != there)
            .collect()
    }
}
