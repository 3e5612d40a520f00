//! Which nodes and which interfaces a policy is for.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The object that a policy came from.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectRef {
    /// `XdpFilter` or `XdpLoadBalancer`.
    pub kind: String,
    /// Empty for cluster-scoped kinds.
    pub namespace: String,
    pub name: String,
    /// `metadata.uid`; in directory mode derived from kind, namespace and name.
    pub uid: String,
    /// `metadata.generation`; in directory mode counted by the source whenever the spec changes.
    pub generation: i64,
}

/// A label selector; empty selects every node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeSelector {
    pub match_labels: BTreeMap<String, String>,
    pub requirements: Vec<Requirement>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Requirement {
    In { key: String, values: Vec<String> },
    NotIn { key: String, values: Vec<String> },
    Exists { key: String },
    DoesNotExist { key: String },
}

impl NodeSelector {
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.match_labels.iter().all(|(key, value)| labels.get(key) == Some(value))
            && self.requirements.iter().all(|requirement| requirement.matches(labels))
    }

    /// The first thing that it asks for and the labels do not have, in words; none if it matches.
    pub fn mismatch(&self, labels: &BTreeMap<String, String>) -> Option<String> {
        let has = |key: &str| match labels.get(key) {
            Some(value) => format!("the node has {key}={value}"),
            None => format!("the node has no label {key}"),
        };
        let label = self.match_labels.iter().find(|(key, value)| labels.get(*key) != Some(*value));
        if let Some((key, value)) = label {
            return Some(format!("it asks for {key}={value}, {}", has(key)));
        }
        let requirement = self.requirements.iter().find(|requirement| !requirement.matches(labels))?;
        Some(match requirement {
            Requirement::In { key, values } => {
                format!("it asks for {key} in ({}), {}", values.join(", "), has(key))
            }
            Requirement::NotIn { key, values } => {
                format!("it asks for {key} not in ({}), {}", values.join(", "), has(key))
            }
            Requirement::Exists { key } => format!("it asks for a label {key}, and {}", has(key)),
            Requirement::DoesNotExist { key } => format!("it asks for no label {key}, and {}", has(key)),
        })
    }
}

impl Requirement {
    /// As Kubernetes does: `NotIn` also matches a node without the label.
    fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        match self {
            Requirement::In { key, values } => labels.get(key).is_some_and(|value| values.contains(value)),
            Requirement::NotIn { key, values } => labels.get(key).is_none_or(|value| !values.contains(value)),
            Requirement::Exists { key } => labels.contains_key(key),
            Requirement::DoesNotExist { key } => !labels.contains_key(key),
        }
    }
}

/// Interfaces of a node: any of the names, any of the shell patterns, or those of the default routes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interfaces {
    pub names: Vec<String>,
    /// Shell patterns (`*`, `?`, `[…]`) on the whole name.
    pub patterns: Vec<String>,
    pub default_route: bool,
}

/// Where packets meet a filter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Hook {
    #[default]
    Xdp,
    TcIngress,
    TcEgress,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum AttachMode {
    /// Native where the driver can, else generic, with the reason in the status.
    #[default]
    Auto,
    Native,
    Generic,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_named_exactly_where_nothing_matches() {
        let labels = BTreeMap::from([("role", "edge"), ("zone", "a")]);
        let labels = labels.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let key = || "zone".to_owned();
        let values = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>();
        let label = |key: &str, value: &str| NodeSelector {
            match_labels: [(key.to_owned(), value.to_owned())].into(),
            ..NodeSelector::default()
        };
        let asks = |requirement| NodeSelector { requirements: vec![requirement], ..NodeSelector::default() };
        for (selector, says) in [
            (NodeSelector::default(), None),
            (label("role", "edge"), None),
            (label("role", "core"), Some("it asks for role=core, the node has role=edge")),
            (label("rack", "7"), Some("it asks for rack=7, the node has no label rack")),
            (asks(Requirement::In { key: key(), values: values(&["a", "b"]) }), None),
            (
                asks(Requirement::In { key: key(), values: values(&["b", "c"]) }),
                Some("it asks for zone in (b, c), the node has zone=a"),
            ),
            (
                asks(Requirement::NotIn { key: key(), values: values(&["a"]) }),
                Some("it asks for zone not in (a), the node has zone=a"),
            ),
            (
                asks(Requirement::Exists { key: "rack".to_owned() }),
                Some("it asks for a label rack, and the node has no label rack"),
            ),
            (
                asks(Requirement::DoesNotExist { key: key() }),
                Some("it asks for no label zone, and the node has zone=a"),
            ),
        ] {
            assert_eq!(selector.mismatch(&labels).as_deref(), says);
            assert_eq!(selector.matches(&labels), says.is_none(), "{says:?}");
        }
    }
}
