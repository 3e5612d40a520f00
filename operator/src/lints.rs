//! Warnings of every filter, made anew only for those whose warnings can have changed.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::IpAddr;

use sluice_index::{Index, Snapshot};
use sluice_lint::{Reason, Surroundings, Warning, lint};
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
        let mut filters: Vec<&Filter> = snapshot.filters.iter().map(AsRef::as_ref).collect();
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
        let mut all: BTreeMap<String, Vec<Warning>> =
            self.known.iter().map(|(uid, (_, warnings))| (uid.clone(), warnings.clone())).collect();
        for filter in filters {
            let gone = index.gone_sets(filter).into_iter().map(set_gone);
            all.entry(filter.object.uid.clone()).or_default().extend(gone);
        }
        all
    }
}

fn set_gone((rule, set): (&str, &str)) -> Warning {
    let message = format!(
        "uses the set {set}, which was deleted: its last contents stay in force; make it again, or remove it from the rule"
    );
    Warning { rule: Some(rule.to_owned()), reason: Reason::SetGone, message }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};
    use sluice_crds::Kind;
    use sluice_index::{Desired, Object, ObjectKey};

    use super::*;

    fn filter(name: &str, beside: Value, rules: Value) -> Value {
        let mut object = json!({
            "apiVersion": "sluice.dev/v1alpha1", "kind": "XdpFilter", "metadata": {"name": name},
            "spec": {"interfaces": {"names": ["eth0"]}, "rules": rules},
        });
        let spec = object["spec"].as_object_mut().expect("an object");
        spec.extend(beside.as_object().expect("an object").clone());
        object
    }

    fn save(index: &mut Index, filters: &[Value]) {
        let object = |value: &Value| {
            let found: sluice_crds::XdpFilter = serde_json::from_value(value.clone()).expect("a filter");
            let name = found.metadata.name.clone().expect("a name");
            (ObjectKey::new(Kind::XdpFilter, "", &name), Arc::new(Object::Filter(found)))
        };
        let objects = filters.iter().map(object).collect();
        index.update(Arc::new(Desired { synced: true, objects, ..Desired::default() }));
    }

    #[test]
    fn an_edit_changes_the_warnings_of_those_that_it_concerns() {
        let (mut index, mut lints) = (Index::default(), Lints::default());
        let closed = filter("closed", json!({"defaultAction": "Drop"}), json!([]));
        let open = json!([{"name": "all", "action": "Pass"}]);
        let narrow = json!([{"name": "all", "action": "Pass", "match": {"protocols": ["GRE"]}}]);
        for (rules, warned) in [(&narrow, true), (&open, false), (&narrow, true)] {
            save(&mut index, &[filter("before", json!({"priority": 7}), rules.clone()), closed.clone()]);
            let warnings = lints.of(&index, &index.snapshot());
            assert_eq!(
                warnings,
                Lints::default().of(&index, &index.snapshot()),
                "what is kept is what is made anew"
            );
            let said: Vec<Reason> = warnings.values().flatten().map(|warning| warning.reason).collect();
            assert_eq!(said == [Reason::AllowListIncomplete], warned, "{warnings:?}");
        }
        save(&mut index, &[]);
        index.confirm_mass_deletion();
        assert!(lints.of(&index, &index.snapshot()).is_empty(), "nothing is kept of what is gone");
    }
}
