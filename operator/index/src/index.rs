//! The index itself.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sluice_address_set::AddressSet;
use sluice_admit::{Taken, grant_claims};
use sluice_crds::Kind;
use sluice_plan::Fleet;
use sluice_policy::{Balancer, Feed, Filter};
use sluice_rollout::Seen;
use sluice_sets::Resolution;

use crate::class::{self, KnownNode, Refused, Snapshot};
use crate::desired::{Desired, Object, ObjectKey, Problem};
use crate::held::Held;
use crate::node::Node;
use crate::rolling::Versions;
use crate::sets::{self, Feeds, Sets};

#[derive(Debug, Default)]
pub struct Index {
    desired: Arc<Desired>,
    state: IndexState,
    sets: Sets,
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
        Index { state, ..Index::default() }
    }

    /// With the contents of the address sets that were in force.
    #[must_use]
    pub fn with_contents(self, contents: BTreeMap<String, AddressSet>) -> Index {
        Index { sets: Sets::restore(contents), ..self }
    }

    pub fn state(&self) -> &IndexState {
        &self.state
    }

    /// As the source has it.
    pub fn object(&self, key: &ObjectKey) -> Option<&Object> {
        self.desired.objects.get(key).map(Arc::as_ref)
    }

    /// The labels of a node that selectors go by, whether an agent was ever heard of there or not.
    pub fn labels(&self, node: &str) -> Option<&BTreeMap<String, String>> {
        match &self.desired.nodes {
            Some(nodes) => nodes.get(node).map(|node| &node.labels),
            None => self.state.nodes.get(node).map(|node| &node.labels),
        }
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
        let sets_changed = self.sets.update(&self.state.held, &desired.lists);
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
        let changed = sets_changed
            || before != self.state
            || self.desired.nodes != desired.nodes
            || self.desired.problems != desired.problems;
        self.desired = desired;
        changed
    }

    /// Confirms that the objects which vanished together are really to go, and those that go in waves at once.
    pub fn confirm_mass_deletion(&mut self) -> bool {
        let confirmed = self.state.mass_deletion.take().is_some();
        if confirmed {
            self.let_go(&self.desired.clone());
        }
        let before = self.state.held.len();
        self.state.held.retain(|_, held| !held.gone || !held.leaves_in_waves());
        confirmed || self.state.held.len() < before
    }

    /// What feeds gave; true if it changes anything.
    pub fn set_feeds(&mut self, feeds: Arc<Feeds>) -> bool {
        self.sets.feeds = feeds;
        self.resolve()
    }

    /// The time by which filters and entries of sets expire, in Unix milliseconds; true if it changes anything.
    pub fn set_time(&mut self, now: i64) -> bool {
        let is_due = |at: Option<i64>| at.is_some_and(|at| at <= now);
        let (sets, filters) = (is_due(self.sets.next_expiry()), is_due(self.next_end()));
        self.sets.now = now;
        (sets && self.resolve()) || filters
    }

    /// When the next filter or entry of a set expires.
    pub fn next_expiry(&self) -> Option<i64> {
        [self.sets.next_expiry(), self.next_end()].into_iter().flatten().min()
    }

    /// When the next version of a filter ends that may be in force somewhere.
    fn next_end(&self) -> Option<i64> {
        let ends = self.state.held.values().flat_map(Held::filters).filter_map(|filter| filter.expires);
        ends.filter(|at| *at > self.sets.now).min()
    }

    /// Feeds that sets draw from.
    pub fn feeds(&self) -> BTreeSet<Feed> {
        sets::feeds(&self.state.held)
    }

    /// Addresses of the fleet itself, as far as they are known: its nodes, Services and pods, and where the API server is.
    pub fn own_addresses(&self) -> BTreeSet<IpAddr> {
        let IndexState { fleet, services, pods, nodes, .. } = &self.state;
        let control = fleet.failsafe.control_endpoints.iter().map(|endpoint| &endpoint.address);
        let nodes = nodes.values().flat_map(|node| &node.addresses);
        let services = self.desired.services.iter().flat_map(BTreeMap::keys).chain(services.keys());
        control.chain(nodes).chain(services).chain(pods.keys()).copied().collect()
    }

    /// What the feeds gave last.
    pub fn feed_states(&self) -> &Feeds {
        &self.sets.feeds
    }

    /// What became of each set, by name.
    pub fn sets(&self) -> &BTreeMap<String, Resolution> {
        &self.sets.resolved
    }

    /// Rules of a filter, each with a set that the source no longer has.
    pub fn gone_sets<'a>(&self, filter: &'a Filter) -> Vec<(&'a str, &'a str)> {
        sets::gone(filter, &self.state.held)
    }

    fn resolve(&mut self) -> bool {
        let lists = &self.desired.lists;
        self.sets.update(&self.state.held, lists)
    }

    /// An agent's greeting or a change of its facts.
    pub fn set_node(&mut self, name: &str, node: Node) -> bool {
        self.state.nodes.insert(name.to_owned(), node.clone()).as_ref() != Some(&node)
    }

    pub fn remove_node(&mut self, name: &str) -> bool {
        self.state.nodes.remove(name).is_some()
    }

    /// Remembers which versions were planned for: those of balancers stay while newer ones may not have their addresses,
    /// those of filters while the sets of newer ones are not there. Sets that are gone and that nothing uses any more are
    /// let go of.
    pub fn set_in_force<'a>(
        &mut self,
        balancers: impl IntoIterator<Item = &'a Balancer>,
        filters: impl IntoIterator<Item = &'a Filter>,
    ) {
        let balancers: BTreeMap<&str, &Balancer> =
            balancers.into_iter().map(|balancer| (balancer.object.uid.as_str(), balancer)).collect();
        let filters: BTreeMap<&str, &Filter> =
            filters.into_iter().map(|filter| (filter.object.uid.as_str(), filter)).collect();
        for held in self.state.held.values_mut() {
            if let Some(balancer) = balancers.get(held.uid.as_str()) {
                held.in_force = Some((*balancer).clone());
            }
            if let Some(filter) = filters.get(held.uid.as_str()) {
                held.set_filter_in_force(filter);
            }
        }
        let used = sets::in_use(&self.state.held);
        let set = Kind::XdpAddressSet.name();
        self.state.held.retain(|key, held| !held.gone || key.kind != set || used.contains(&key.name));
        self.resolve();
    }

    pub fn snapshot(&self) -> Snapshot {
        let nodes: Vec<_> = self.nodes().collect();
        let held = self.state.held.values();
        let pools = &self.state.fleet.address_pools;
        let grants = grant_claims(held.clone().filter_map(Held::claim), pools, &self.taken(&nodes));
        let mut refused: BTreeMap<String, Refused> = BTreeMap::new();
        for (uid, why) in &grants.refused {
            refused.insert((*uid).to_owned(), Refused::Claim(why.clone()));
        }
        let known = self.sets.known(&self.state.held);
        let versions = |held| {
            let (usable, why) = sets::usable(held, &known);
            if let Some(why) = why {
                refused.insert(held.uid.clone(), Refused::Set(why));
            }
            Versions::of(held, usable)
        };
        let filters: Vec<Versions> = held.clone().filter_map(versions).collect();
        let balancer =
            |held: &Held| grants.granted.get(held.uid.as_str()).map(|one| Arc::new((*one).clone()));
        let balancers = held.filter_map(balancer).collect();
        Snapshot {
            fleet: self.state.fleet.clone(),
            sets: self.sets.contents().map(|(name, found)| (name.clone(), found.clone())).collect(),
            refused,
            ..class::snapshot(&filters, balancers, &nodes, self.sets.now)
        }
    }

    /// Sees to it that what may be in force now goes out as its rollout says, before plans are made of it. Filters without
    /// an object that no node has any more are let go of.
    pub fn begin_rollouts(&mut self, now: i64) {
        let nodes: Vec<_> = self.nodes().collect();
        let known = self.sets.known(&self.state.held);
        let rolling = |held: &Held| match sets::usable(held, &known).0 {
            None if !held.gone => held.rolling.clone(),
            newest => held.rolling_to(newest, &nodes, now),
        };
        let rolling: Vec<_> = self.state.held.values().map(rolling).collect();
        for (held, rolling) in self.state.held.values_mut().zip(rolling) {
            held.rolling = rolling;
        }
        let set = Kind::XdpAddressSet.name();
        self.state.held.retain(|key, held| key.kind == set || !held.has_left());
    }

    /// Takes rollouts on, or back, by what nodes say of each filter (by uid). True if the plans have to follow.
    pub fn observe_rollouts(&mut self, seen: &BTreeMap<String, Vec<Seen>>, now: i64) -> bool {
        let heard = |held: &Held| seen.get(&held.uid).map_or(&[][..], Vec::as_slice);
        let moved =
            self.state.held.values_mut().filter_map(|held| held.observe(heard(held), now).then_some(()));
        moved.count() > 0
    }

    /// When the next wave may begin, in Unix milliseconds.
    pub fn next_wave(&self) -> Option<i64> {
        self.state.held.values().filter_map(Held::holds_until).min()
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
        let gone = self.state.held.iter().filter(|(key, held)| !held.gone && !desired.names(key)).count();
        let many = self.state.held.len() >= 4 && gone * 2 > self.state.held.len();
        let waiting = self.state.mass_deletion.is_some() && gone > 0;
        self.state.mass_deletion = (many || waiting).then_some(gone);
        if self.state.mass_deletion.is_none() {
            self.let_go(desired);
        }
    }

    /// A set outlives its object as long as a filter uses it: without it the filter would be another. A filter that goes in
    /// waves outlives it until the last.
    fn let_go(&mut self, desired: &Desired) {
        let set = Kind::XdpAddressSet.name();
        self.state.held.retain(|key, held| desired.names(key) || key.kind == set || held.leaves_in_waves());
        let used = sets::in_use(&self.state.held);
        self.state.held.retain(|key, held| {
            held.gone = !desired.names(key);
            !held.gone || key.kind != set || used.contains(&key.name)
        });
    }
}
