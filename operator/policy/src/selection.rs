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
