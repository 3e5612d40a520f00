//! What each rule counted on a node, rules without a packet included, in the order of the policy.

use std::collections::BTreeMap;

use sluice_index::ObjectKey;
use sluice_policy::{Action, Balancer, Filter, Mode};
use sluice_status::{NodeState, Total};

use crate::view::View;

/// Counter name of a filter's default action.
const DEFAULT: &str = "_default";
/// Of packets that connections of the node's own take.
const ESTABLISHED: &str = "_established";

/// A name under which a policy counts, and as what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub name: String,
    pub verdict: &'static str,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Counter<'v> {
    pub key: &'v ObjectKey,
    pub name: &'v str,
    pub verdict: &'v str,
    pub total: Total,
}

/// The verdict is what a rule says; a packet can meet another one, as a later fragment does under
/// `laterFragments: Drop`, and is then counted apart.
pub fn of_filter(filter: &Filter) -> Vec<Entry> {
    let verdict = |mode: Mode, action: Action| match (filter.mode, mode, action) {
        (Mode::Audit, ..) | (_, Mode::Audit, _) => "audited",
        (_, _, Action::Pass) => "pass",
        (_, _, Action::Drop) => "drop",
        (_, _, Action::Next) => "next",
        (_, _, Action::Count | Action::RateLimit(_) | Action::Mark(_)) => "continue",
    };
    let mut entries = Vec::new();
    if filter.allow_established {
        let verdict = verdict(Mode::Enforce, Action::Pass);
        entries.push(Entry { name: ESTABLISHED.to_owned(), verdict });
    }
    let rules = filter.rules.iter();
    entries.extend(
        rules.map(|rule| Entry { name: rule.name.clone(), verdict: verdict(rule.mode, rule.action) }),
    );
    if filter.default_action != Action::Next {
        let verdict = verdict(Mode::Enforce, filter.default_action);
        entries.push(Entry { name: DEFAULT.to_owned(), verdict });
    }
    entries
}

pub fn of_balancer(balancer: &Balancer) -> Vec<Entry> {
    let pairs = sluice_balance::vips(balancer).flat_map(|vip| {
        let backends = balancer.backends.iter().map(|backend| backend.address);
        let served = backends.filter(move |backend| backend.is_ipv4() == vip.address.is_ipv4());
        served.map(move |backend| Entry { name: format!("{vip}>{backend}"), verdict: "pass" })
    });
    pairs.collect()
}

/// Of every policy that the node enforces, and what still counts of a policy that it no longer does.
pub fn of_node<'v>(view: &'v View, node: &str) -> Vec<Counter<'v>> {
    let Some(state) = view.nodes.get(node) else { return Vec::new() };
    let mut counters = Vec::new();
    for (key, (placed, _)) in &view.objects {
        let mut counted = counted(&placed.uid, state);
        let counter = |name, verdict, total| Counter { key, name, verdict, total };
        let is_here = placed.nodes.binary_search_by(|expected| expected.node.as_str().cmp(node)).is_ok();
        let entries: &[Entry] = if is_here { view.entries(key) } else { &[] };
        for entry in entries {
            let never = vec![(entry.verdict, Total::default())];
            let found = counted.remove(entry.name.as_str()).unwrap_or(never);
            counters.extend(found.into_iter().map(|(verdict, total)| counter(&entry.name, verdict, total)));
        }
        for (name, found) in counted {
            counters.extend(found.into_iter().map(|(verdict, total)| counter(name, verdict, total)));
        }
    }
    counters
}

/// What counted for one policy, by name.
fn counted<'v>(uid: &str, state: &'v NodeState) -> BTreeMap<&'v str, Vec<(&'v str, Total)>> {
    let mut counted: BTreeMap<&str, Vec<(&str, Total)>> = BTreeMap::new();
    let first = (uid.to_owned(), String::new(), String::new());
    let of_policy = state.counters.range(first..).take_while(|((other, ..), _)| other == uid);
    for ((_, name, verdict), total) in of_policy {
        counted.entry(name).or_default().push((verdict, *total));
    }
    counted
}
