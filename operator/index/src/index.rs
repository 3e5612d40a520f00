//! The index itself.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sluice_plan::Fleet;

use crate::class::{self, Snapshot};
use crate::desired::{Desired, ObjectKey, Problem};
use crate::held::Held;
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

    pub fn snapshot(&self) -> Snapshot {
        let policies = self.state.held.values().filter_map(|held| held.good.as_ref());
        let nodes = self.state.nodes.iter().filter_map(|(name, node)| {
            let labels = match &self.desired.nodes {
                // Before the cluster's nodes are known the agents' own words are all there is.
                None => &node.labels,
                Some(nodes) => &nodes.get(name)?.labels,
            };
            Some((name, node, labels))
        });
        let (services, pods) = (&self.state.services, &self.state.pods);
        Snapshot {
            owned: pods.iter().chain(services).map(|(address, owner)| (*address, owner.clone())).collect(),
            ..class::snapshot(policies, nodes, &self.state.fleet)
        }
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
