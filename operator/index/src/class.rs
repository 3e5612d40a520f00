//! Nodes that the same policies select form a class: one plan is compiled for all of them, and who cannot take it is found
//! afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use sluice_admit::ClaimRefused;
use sluice_plan::{Fleet, Hash};
use sluice_policy::{Balancer, Filter, NodeSelector};
use sluice_sets::Contents;

use crate::node::{Capabilities, Node};
use crate::sets::SetRefused;

/// Stable while the same policies (by uid) select a node, whatever their contents.
pub type ClassKey = String;

#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    pub fleet: Fleet,
    pub classes: BTreeMap<ClassKey, Class>,
    pub node_class: BTreeMap<String, ClassKey>,
    /// By node.
    pub capabilities: BTreeMap<String, Capabilities>,
    /// Filters in the versions whose sets are there, whether they select a node or not.
    pub filters: Vec<Arc<Filter>>,
    /// Contents of address sets, by name.
    pub sets: BTreeMap<String, Arc<Contents>>,
    /// Balancers that may have their addresses, each in the version that may, whether they select a node or not.
    pub balancers: Vec<Arc<Balancer>>,
    /// By uid, why the newest version of an object is not in force. An earlier one may be among `balancers` or `filters`;
    /// otherwise it is left out whole: half of a service answers its clients worse than none.
    pub refused: BTreeMap<String, Refused>,
    /// Addresses of the nodes that each balancer (by uid) selects.
    pub balancer_nodes: BTreeMap<String, BTreeSet<IpAddr>>,
    /// Addresses of every node.
    pub node_addresses: BTreeSet<IpAddr>,
}

/// Why other objects keep a sound version from being in force.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("{0}")]
    Claim(ClaimRefused),
    #[error("{0}")]
    Set(SetRefused),
}

impl Refused {
    /// A reason of the conditions.
    pub fn reason(&self) -> &'static str {
        match self {
            Refused::Claim(claim) => claim.reason(),
            Refused::Set(_) => sluice_crds::reason::UNKNOWN_SET,
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Class {
    pub filters: Vec<Arc<Filter>>,
    pub balancers: Vec<ClassBalancer>,
    pub nodes: BTreeSet<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassBalancer {
    pub balancer: Arc<Balancer>,
    /// The nodes balance for it; otherwise they only hold backends of it.
    pub balances: bool,
}

/// A node with the labels that selectors go by.
pub(crate) struct KnownNode<'a> {
    pub name: &'a str,
    pub node: &'a Node,
    pub labels: &'a BTreeMap<String, String>,
}

impl<'a> KnownNode<'a> {
    /// Its addresses, and whose they are.
    pub fn claims(&self) -> impl Iterator<Item = (IpAddr, String)> + use<'a> {
        let owner = format!("node {}", self.name);
        self.node.addresses.iter().map(move |address| (*address, owner.clone()))
    }
}

pub(crate) fn snapshot(
    filters: Vec<Arc<Filter>>,
    balancers: Vec<Arc<Balancer>>,
    nodes: Vec<KnownNode>,
) -> Snapshot {
    let mut snapshot = Snapshot::default();
    for KnownNode { name, node, labels } in nodes {
        snapshot.node_addresses.extend(&node.addresses);
        let class = select(&filters, &balancers, node, labels);
        for chosen in class.balancers.iter().filter(|chosen| chosen.balances) {
            let addresses = snapshot.balancer_nodes.entry(chosen.balancer.object.uid.clone()).or_default();
            addresses.extend(&node.addresses);
        }
        let key = class_key(&class);
        snapshot.capabilities.insert(name.to_owned(), node.capabilities);
        snapshot.classes.entry(key.clone()).or_insert(class).nodes.insert(name.to_owned());
        snapshot.node_class.insert(name.to_owned(), key);
    }
    snapshot.filters = filters;
    snapshot.balancers = balancers;
    snapshot
}

fn select(
    filters: &[Arc<Filter>],
    balancers: &[Arc<Balancer>],
    node: &Node,
    labels: &BTreeMap<String, String>,
) -> Class {
    let chosen = |selector: &NodeSelector| selector.matches(labels);
    let filters = filters.iter().filter(|filter| chosen(&filter.nodes)).cloned().collect();
    let mut class = Class { filters, ..Class::default() };
    for balancer in balancers {
        let balances = chosen(&balancer.nodes);
        let has_backend = balancer.backends.iter().any(|backend| node.addresses.contains(&backend.address));
        if balances || has_backend {
            class.balancers.push(ClassBalancer { balancer: balancer.clone(), balances });
        }
    }
    class
}

fn class_key(class: &Class) -> ClassKey {
    let mut text = String::new();
    for filter in &class.filters {
        text.push_str(&format!("filter {}\n", filter.object.uid));
    }
    for chosen in &class.balancers {
        text.push_str(&format!("balancer {} {}\n", chosen.balancer.object.uid, chosen.balances));
    }
    Hash::of(text.as_bytes()).short()
}
