//! Nodes with the same selection and capabilities form a class: one plan is compiled for all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use sluice_plan::{Fleet, Hash};
use sluice_policy::{Balancer, Filter, NodeSelector};

use crate::held::Policy;
use crate::node::Node;

/// Stable while the same policies (by uid) select the same kind of node, whatever their contents.
pub type ClassKey = String;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    pub fleet: Fleet,
    pub classes: BTreeMap<ClassKey, Class>,
    pub node_class: BTreeMap<String, ClassKey>,
    /// Every balancer, whether it selects a node or not: each claims its addresses.
    pub balancers: Vec<Arc<Balancer>>,
    /// Addresses of the nodes that each balancer (by uid) selects.
    pub balancer_nodes: BTreeMap<String, BTreeSet<IpAddr>>,
    /// Addresses of every node, which no VIP may take, and the node's name.
    pub node_addresses: BTreeMap<IpAddr, String>,
    /// Addresses of Services and pods in address pools, which no VIP may take either, and whose they are.
    pub owned: BTreeMap<IpAddr, String>,
}

impl Snapshot {
    /// As if these balancers (by uid) selected no node and had no backend anywhere.
    pub fn leave_out(&mut self, balancers: &BTreeSet<&str>) {
        for class in self.classes.values_mut() {
            class.balancers.retain(|chosen| !balancers.contains(chosen.balancer.object.uid.as_str()));
        }
        self.balancer_nodes.retain(|uid, _| !balancers.contains(uid.as_str()));
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

pub(crate) fn snapshot<'a>(
    policies: impl Iterator<Item = &'a Policy>,
    nodes: impl Iterator<Item = (&'a String, &'a Node, &'a BTreeMap<String, String>)>,
    fleet: &Fleet,
) -> Snapshot {
    let (filters, balancers) = split(policies);
    let mut snapshot = Snapshot { fleet: fleet.clone(), ..Snapshot::default() };
    for (name, node, labels) in nodes {
        snapshot.node_addresses.extend(node.addresses.iter().map(|address| (*address, name.clone())));
        let class = select(&filters, &balancers, node, labels);
        for chosen in class.balancers.iter().filter(|chosen| chosen.balances) {
            let addresses = snapshot.balancer_nodes.entry(chosen.balancer.object.uid.clone()).or_default();
            addresses.extend(&node.addresses);
        }
        let key = class_key(&class, &node.capabilities);
        snapshot.classes.entry(key.clone()).or_insert(class).nodes.insert(name.clone());
        snapshot.node_class.insert(name.clone(), key);
    }
    snapshot.balancers = balancers;
    snapshot
}

fn split<'a>(policies: impl Iterator<Item = &'a Policy>) -> (Vec<Arc<Filter>>, Vec<Arc<Balancer>>) {
    let (mut filters, mut balancers) = (Vec::new(), Vec::new());
    for policy in policies {
        match policy {
            Policy::Filter(filter) => filters.push(Arc::new(filter.clone())),
            Policy::Balancer(balancer) => balancers.push(Arc::new(balancer.clone())),
        }
    }
    (filters, balancers)
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

fn class_key(class: &Class, capabilities: &str) -> ClassKey {
    let mut text = format!("{capabilities}\n");
    for filter in &class.filters {
        text.push_str(&format!("filter {}\n", filter.object.uid));
    }
    for chosen in &class.balancers {
        text.push_str(&format!("balancer {} {}\n", chosen.balancer.object.uid, chosen.balances));
    }
    Hash::of(text.as_bytes()).short()
}
