//! Nodes that the same policies select form a class: one plan is compiled for all of them, and who cannot take it is found
//! afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use sluice_admit::ClaimRefused;
use sluice_plan::{Fleet, Hash};
use sluice_policy::{Balancer, Filter};
use sluice_sets::Contents;

use crate::node::{Capabilities, Node};
use crate::rolling::{Assigned, Versions};
use crate::sets::SetRefused;

/// Stable while the same policies (by uid) select a node, whatever their contents; of one that rolls out, nodes with the
/// former version are a class of their own.
pub type ClassKey = String;

#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// By which filters have ended or not, in Unix milliseconds.
    pub now: i64,
    pub fleet: Fleet,
    pub classes: BTreeMap<ClassKey, Class>,
    pub node_class: BTreeMap<String, ClassKey>,
    /// By node.
    pub capabilities: BTreeMap<String, Capabilities>,
    /// Filters in the versions whose sets are there, whether they select a node or not. Of one that rolls out, the version
    /// that all nodes are to have in the end.
    pub filters: Vec<Arc<Filter>>,
    /// By uid of a filter that was to be among `filters` and has ended, when it did, in Unix milliseconds.
    pub ended: BTreeMap<String, i64>,
    /// By uid of a filter that is on its way and by node, what each is to have of it now.
    pub rolling: BTreeMap<String, BTreeMap<String, Assigned>>,
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
#[derive(Clone, Copy)]
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
    filters: &[Versions],
    balancers: Vec<Arc<Balancer>>,
    nodes: &[KnownNode],
    now: i64,
) -> Snapshot {
    let mut snapshot = Snapshot { now, ..Snapshot::default() };
    for known in nodes {
        let KnownNode { name, node, .. } = *known;
        snapshot.node_addresses.extend(&node.addresses);
        for (uid, assigned) in filters.iter().filter_map(|versions| versions.assigned(known, now)) {
            snapshot.rolling.entry(uid.to_owned()).or_default().insert(name.to_owned(), assigned);
        }
        let (key, class) = select(filters, &balancers, known, now);
        for chosen in class.balancers.iter().filter(|chosen| chosen.balances) {
            let addresses = snapshot.balancer_nodes.entry(chosen.balancer.object.uid.clone()).or_default();
            addresses.extend(&node.addresses);
        }
        snapshot.capabilities.insert(name.to_owned(), node.capabilities);
        snapshot.classes.entry(key.clone()).or_insert(class).nodes.insert(name.to_owned());
        snapshot.node_class.insert(name.to_owned(), key);
    }
    for filter in filters.iter().filter_map(Versions::aim) {
        match filter.expires.filter(|_| filter.has_ended(now)) {
            Some(at) => _ = snapshot.ended.insert(filter.object.uid.clone(), at),
            None => snapshot.filters.push(filter.clone()),
        }
    }
    snapshot.balancers = balancers;
    snapshot
}

fn select(
    filters: &[Versions],
    balancers: &[Arc<Balancer>],
    known: &KnownNode,
    now: i64,
) -> (ClassKey, Class) {
    let (mut class, mut text) = (Class::default(), String::new());
    for (filter, is_former) in filters.iter().filter_map(|versions| versions.on(known, now)) {
        let version = if is_former { " former" } else { "" };
        text.push_str(&format!("filter {}{version}\n", filter.object.uid));
        class.filters.push(filter.clone());
    }
    for balancer in balancers {
        let balances = balancer.nodes.matches(known.labels);
        let has_backend =
            balancer.backends.iter().any(|backend| known.node.addresses.contains(&backend.address));
        if balances || has_backend {
            text.push_str(&format!("balancer {} {balances}\n", balancer.object.uid));
            class.balancers.push(ClassBalancer { balancer: balancer.clone(), balances });
        }
    }
    (Hash::of(text.as_bytes()).short(), class)
}
