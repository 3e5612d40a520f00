//! The index itself.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sluice_admit::{Taken, grant_claims};
use sluice_plan::Fleet;
use sluice_policy::Balancer;

use crate::class::{self, KnownNode, Snapshot};
use crate::desired::{Desired, ObjectKey, Problem};
use crate::held::{Held, Policy};
use crate::node::Node;

#[derive(Debug, Default)]
pub struct Index {
    desired: Arc<Desired>,
    state: IndexState,
}

/// What a restarted operator needs to serve the last good version before its source has spoken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexState {
    pub held: BTreeMap<ObjectKey, Held>,
    pub nodes: BTreeMap<String, Node>,
    pub fleet: Fleet,
    /// Addresses of Services, as far as an address pool has them.
    pub services: BTreeMap<IpAddr, String>,
    /// And of pods.
    pub pods: BTreeMap<IpAddr, String>,
    /// A source that lost more than half of its objects at once; they stay in force until it is confirmed.
    pub mass_deletion: Option<usize>,
}

impl Index {
    pub fn restore(state: IndexState) -> Index {
        Index { desired: Arc::default(), state }
    }

    pub fn state(&self) -> &IndexState {
        &self.state
    }

    pub fn problems(&self) -> &[Problem] {
        &self.desired.problems
    }

    /// Takes over the newest desired state; false if nothing of it changes what is in force or what is said of it.
    pub fn update(&mut self, desired: Arc<Desired>) -> bool {
        let before = self.state.clone();
        let this = 1 + self.state.held.values().map(|held| held.since).max().unwrap_or_default();
        for (key, object) in &desired.objects {
            let seen =
                self.desired.objects.get(key).is_some_and(|old| Arc::ptr_eq(old, object) || old == object);
            if !seen {
                let held = Held::admit(self.state.held.remove(key), key, object).came_with(this);
                self.state.held.insert(key.clone(), held);
            }
        }
        if desired.synced && !desired.partial {
            self.remove_absent(&desired);
        }
        if let Some(fleet) = &desired.fleet {
            self.state.fleet = fleet.clone();
        }
        if let Some(services) = &desired.services {
            // The others concern nobody, and there may be thousands that come and go.
            let pools = &self.state.fleet.address_pools;
            let in_pool = |address: &IpAddr| pools.iter().any(|pool| pool.holds(*address));
            let found = services.iter().filter(|(address, _)| in_pool(address));
            self.state.services = found.map(|(address, owner)| (*address, owner.clone())).collect();
        }
        if let Some(pods) = &desired.pods {
            self.state.pods.clone_from(pods);
        }
        let changed = before != self.state
            || self.desired.nodes != desired.nodes
            || self.desired.problems != desired.problems;
        self.desired = desired;
        changed
    }

    /// Confirms that the objects which vanished together are really to go.
    pub fn confirm_mass_deletion(&mut self) -> bool {
        let confirmed = self.state.mass_deletion.take().is_some();
        if confirmed {
            let desired = self.desired.clone();
            self.state.held.retain(|key, _| desired.names(key));
        }
        confirmed
    }

    /// An agent's greeting or a change of its facts.
    pub fn set_node(&mut self, name: &str, node: Node) -> bool {
        self.state.nodes.insert(name.to_owned(), node.clone()).as_ref() != Some(&node)
    }

    pub fn remove_node(&mut self, name: &str) -> bool {
        self.state.nodes.remove(name).is_some()
    }

    /// Remembers which versions of balancers were planned for: those stay while newer ones may not have their addresses.
    pub fn set_in_force<'a>(&mut self, balancers: impl IntoIterator<Item = &'a Balancer>) {
        let balancers: BTreeMap<&str, &Balancer> =
            balancers.into_iter().map(|balancer| (balancer.object.uid.as_str(), balancer)).collect();
        for held in self.state.held.values_mut() {
            if let Some(balancer) = balancers.get(held.uid.as_str()) {
                held.in_force = Some((*balancer).clone());
            }
        }
    }

    pub fn snapshot(&self) -> Snapshot {
        let nodes: Vec<_> = self.nodes().collect();
        let held = self.state.held.values();
        let pools = &self.state.fleet.address_pools;
        let grants = grant_claims(held.clone().filter_map(Held::claim), pools, &self.taken(&nodes));
        let filter = |held: &'_ Held| match &held.good {
            Some(Policy::Filter(filter)) => Some(Arc::new(filter.clone())),
            Some(Policy::Balancer(_)) | None => None,
        };
        let balancer =
            |held: &Held| grants.granted.get(held.uid.as_str()).map(|one| Arc::new((*one).clone()));
        Snapshot {
            fleet: self.state.fleet.clone(),
            refused: grants.refused.iter().map(|(uid, why)| ((*uid).to_owned(), why.clone())).collect(),
            ..class::snapshot(
                held.clone().filter_map(filter).collect(),
                held.filter_map(balancer).collect(),
                nodes,
            )
        }
    }

    fn nodes(&self) -> impl Iterator<Item = KnownNode<'_>> {
        self.state.nodes.iter().filter_map(|(name, node)| {
            let labels = match &self.desired.nodes {
                // Before the cluster's nodes are known the agents' own words are all there is.
                None => &node.labels,
                Some(nodes) => &nodes.get(name)?.labels,
            };
            Some(KnownNode { name, node, labels })
        })
    }

    fn taken(&self, nodes: &[KnownNode]) -> Taken {
        let IndexState { fleet, services, pods, .. } = &self.state;
        let owned = pods.iter().chain(services).map(|(address, owner)| (*address, owner.clone()));
        let endpoints = fleet.failsafe.control_endpoints.iter();
        let control =
            endpoints.map(|endpoint| (endpoint.address, format!("control endpoint {}", endpoint.port)));
        owned.chain(control).chain(nodes.iter().flat_map(KnownNode::claims)).collect()
    }

    /// An empty or half-read source must not open every node: more than half gone at once (of at least four) is held,
    /// until a person confirms it or the objects are back.
    fn remove_absent(&mut self, desired: &Desired) {
        let gone = self.state.held.keys().filter(|key| !desired.names(key)).count();
        let many = self.state.held.len() >= 4 && gone * 2 > self.state.held.len();
        let waiting = self.state.mass_deletion.is_some() && gone > 0;
        self.state.mass_deletion = (many || waiting).then_some(gone);
        if self.state.mass_deletion.is_none() {
            self.state.held.retain(|key, _| desired.names(key));
        }
    }
}
