//! Warnings of every filter, made anew only for those whose warnings can have changed.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::IpAddr;

use sluice_index::{Index, Policy, Snapshot};
use sluice_lint::{Surroundings, Warning, lint};
use sluice_plan::Failsafe;
use sluice_policy::{Action, Filter};

#[derive(Debug, Default)]
pub struct Lints {
    /// By filter uid.
    known: BTreeMap<String, (Cause, Vec<Warning>)>,
}

/// All that warnings follow from.
#[derive(Debug, PartialEq)]
struct Cause {
    generation: i64,
    failsafe: Failsafe,
    node_addresses: Vec<IpAddr>,
    /// Uid and generation of the filters before it, of which only an allow-list takes notice.
    before: Vec<(String, i64)>,
}

impl Lints {
    pub fn of(&mut self, index: &Index, snapshot: &Snapshot) -> BTreeMap<String, Vec<Warning>> {
        let policies = index.state().held.values().filter_map(|held| held.good.as_ref());
        let mut filters: Vec<&Filter> = policies
            .filter_map(|policy| match policy {
                Policy::Filter(filter) => Some(filter),
                Policy::Balancer(_) => None,
            })
            .collect();
        filters.sort_by_key(|filter| (Reverse(filter.priority), &filter.object.name));
        let failsafe = &snapshot.fleet.failsafe;
        let node_addresses: Vec<IpAddr> = snapshot.node_addresses.iter().copied().collect();
        let mut known = std::mem::take(&mut self.known);
        for (position, filter) in filters.iter().enumerate() {
            let takes_notice = filter.default_action == Action::Drop;
            let before = if takes_notice { &filters[..position] } else { &[] };
            let cause = Cause {
                generation: filter.object.generation,
                failsafe: failsafe.clone(),
                node_addresses: node_addresses.clone(),
                before: before.iter().map(|one| (one.object.uid.clone(), one.object.generation)).collect(),
            };
            let around = Surroundings { failsafe, node_addresses: &node_addresses, before };
            let warnings = match known.remove(&filter.object.uid) {
                Some((known, warnings)) if known == cause => warnings,
                _ => lint(filter, &around),
            };
            self.known.insert(filter.object.uid.clone(), (cause, warnings));
        }
        self.known.iter().map(|(uid, (_, warnings))| (uid.clone(), warnings.clone())).collect()
    }
}
