//! The Kubernetes API: one reflector per kind, published whole at every change.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use k8s_openapi::api::core::v1::{Node, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{Api, PartialObjectMeta};
use kube::core::DeserializeGuard;
use kube::runtime::reflector::Store;
use kube::runtime::watcher;
use kube::{Client, Resource, ResourceExt};
use sluice_crds::{ConfigMapList, Kind, XdpAddressSet, XdpFilter, XdpLoadBalancer};
use sluice_index::{Desired, NodeObject, Object, ObjectKey, Problem};
use sluice_plan::{ControlEndpoint, Fleet};
use sluice_policy::ListRef;
use sluice_sets::ListState;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use self::config_maps::ConfigMaps;
pub use self::follow::events;
use self::follow::reflect;
use crate::gather::gather;

mod config_maps;
mod follow;
mod pods;
mod services;

const QUIET: Duration = Duration::from_millis(10);
/// Label of the slices that say where the API server is.
const API_SERVER: &str = "kubernetes.io/service-name=kubernetes";
/// Endpoints, Services and pods may be hidden from this account; everything else goes on without them.
const EXTRAS: Duration = Duration::from_secs(5);

type Guarded<K> = DeserializeGuard<K>;

struct Stores {
    filters: Store<Guarded<XdpFilter>>,
    balancers: Store<Guarded<XdpLoadBalancer>>,
    sets: Store<Guarded<XdpAddressSet>>,
    nodes: Store<PartialObjectMeta<Node>>,
    /// Of the API server.
    endpoints: Store<EndpointSlice>,
    services: Store<Service>,
    pods: watch::Receiver<pods::Owners>,
}

/// Follows the API until the receiver is gone. What is published is `synced` once each kind was listed.
pub fn watch_cluster(client: Client, fleet: Fleet) -> watch::Receiver<Arc<Desired>> {
    let (changed, changes) = mpsc::channel(1);
    let all = watcher::Config::default;
    let stores = Stores {
        filters: reflect(Api::all(client.clone()), all(), changed.clone()),
        balancers: reflect(Api::all(client.clone()), all(), changed.clone()),
        sets: reflect(Api::all(client.clone()), all(), changed.clone()),
        // Metadata only: a node's status changes every few seconds and its labels are all that matters here.
        nodes: reflect(Api::all(client.clone()), all(), changed.clone()),
        endpoints: reflect(
            Api::namespaced(client.clone(), "default"),
            all().labels(API_SERVER),
            changed.clone(),
        ),
        services: reflect(Api::all(client.clone()), all(), changed.clone()),
        pods: pods::follow(client.clone(), fleet.address_pools.clone(), changed.clone()),
    };
    let config_maps = ConfigMaps::new(client, changed);
    let (sender, receiver) = watch::channel(Arc::new(Desired::default()));
    tokio::spawn(publish(stores, config_maps, fleet, changes, sender));
    receiver
}

async fn publish(
    stores: Stores,
    mut config_maps: ConfigMaps,
    fleet: Fleet,
    mut changes: mpsc::Receiver<()>,
    sender: watch::Sender<Arc<Desired>>,
) {
    let ready = async {
        stores.filters.wait_until_ready().await?;
        stores.balancers.wait_until_ready().await?;
        stores.sets.wait_until_ready().await?;
        stores.nodes.wait_until_ready().await
    };
    if ready.await.is_err() {
        return;
    }
    stores.wait_for_extras().await;
    let mut seen = Seen::default();
    loop {
        let mut desired = stores.desired(&fleet, &mut seen);
        desired.lists = lists(&desired, &mut config_maps);
        sender.send_if_modified(|current| {
            let changed = **current != desired;
            if changed {
                *current = Arc::new(desired);
            }
            changed
        });
        tokio::select! {
            () = sender.closed() => return,
            change = changes.recv() => if change.is_none() { return },
        }
        gather(&mut changes, QUIET).await;
    }
}

/// Objects as last converted, by resource version: an unchanged object keeps its `Arc`.
#[derive(Default)]
struct Seen(BTreeMap<ObjectKey, (String, Arc<Object>)>);

impl Stores {
    async fn wait_for_extras(&self) {
        let mut pods = self.pods.clone();
        let (services, pods, endpoints) = tokio::join!(
            timeout(EXTRAS, self.services.wait_until_ready()),
            timeout(EXTRAS, async { pods.wait_for(Option::is_some).await.is_ok() }),
            timeout(EXTRAS, self.endpoints.wait_until_ready()),
        );
        for (read, what) in [(services.is_ok(), "Services"), (pods.is_ok(), "pods")] {
            if !read {
                tracing::warn!(
                    "{what} cannot be read yet: no new balancer is kept from taking their addresses"
                );
            }
        }
        if endpoints.is_err() {
            tracing::warn!(
                "where the API server is cannot be read: no filter is kept from cutting nodes off from it"
            );
        }
    }

    fn desired(&self, fleet: &Fleet, seen: &mut Seen) -> Desired {
        let mut desired = Desired { synced: true, fleet: Some(self.reachable(fleet)), ..Desired::default() };
        let mut next = Seen::default();
        for stored in self.filters.state() {
            convert(Kind::XdpFilter, &stored, Object::Filter, seen, &mut next, &mut desired);
        }
        for stored in self.balancers.state() {
            convert(Kind::XdpLoadBalancer, &stored, Object::Balancer, seen, &mut next, &mut desired);
        }
        for stored in self.sets.state() {
            convert(Kind::XdpAddressSet, &stored, Object::Set, seen, &mut next, &mut desired);
        }
        let labels = |node: &PartialObjectMeta<Node>| NodeObject { labels: node.labels().clone() };
        desired.nodes = Some(self.nodes.state().iter().map(|node| (node.name_any(), labels(node))).collect());
        *seen = next;
        let services = self.services.wait_until_ready().now_or_never().is_some_and(|ready| ready.is_ok());
        desired.services = services.then(|| services::addresses(&self.services.state()));
        desired.pods.clone_from(&self.pods.borrow());
        desired
    }

    /// With the API server's own addresses among the endpoints whose answers are always let in: kubelets, and the operator
    /// itself, must reach it whatever a filter says.
    fn reachable(&self, fleet: &Fleet) -> Fleet {
        let mut fleet = fleet.clone();
        for slice in self.endpoints.state() {
            let ports: Vec<u16> =
                slice.ports.iter().flatten().filter_map(|port| port.port?.try_into().ok()).collect();
            let addresses = slice.endpoints.iter().flat_map(|endpoint| &endpoint.addresses);
            for address in addresses.filter_map(|address| address.parse().ok()) {
                let found = ports.iter().map(|port| ControlEndpoint { address, port: *port });
                fleet.failsafe.control_endpoints.extend(found);
            }
        }
        // In one order, or each reading would make another plan.
        fleet.failsafe.control_endpoints.sort_unstable();
        fleet.failsafe.control_endpoints.dedup();
        fleet
    }
}

/// What the sets draw from.
fn lists(desired: &Desired, config_maps: &mut ConfigMaps) -> BTreeMap<ListRef, ListState> {
    let sets = desired.objects.values().filter_map(|object| match object.as_ref() {
        Object::Set(set) => Some(&set.spec),
        Object::Filter(_) | Object::Balancer(_) => None,
    });
    let (mut wanted, mut files) = (BTreeSet::<ConfigMapList>::new(), BTreeMap::new());
    for set in sets {
        wanted.extend(set.config_maps.iter().cloned());
        let fault = "a cluster has no files: put its list into a ConfigMap and name that in configMaps";
        let state = ListState { fault: Some(fault.to_owned()), ..ListState::default() };
        files.extend(set.files.iter().map(|file| (ListRef::File(file.as_str().to_owned()), state.clone())));
    }
    let mut lists = config_maps.states(&wanted);
    lists.extend(files);
    lists
}

fn convert<K>(
    kind: Kind,
    stored: &Guarded<K>,
    make: fn(K) -> Object,
    seen: &Seen,
    next: &mut Seen,
    desired: &mut Desired,
) where
    K: Resource<DynamicType = ()> + Clone,
{
    let meta = match &stored.0 {
        Ok(object) => object.meta(),
        Err(invalid) => &invalid.metadata,
    };
    let (name, namespace) =
        (meta.name.clone().unwrap_or_default(), meta.namespace.clone().unwrap_or_default());
    let key = ObjectKey::new(kind, &namespace, &name);
    let version = meta.resource_version.clone().unwrap_or_default();
    let known = seen.0.get(&key);
    let (version, object) = match (&stored.0, known) {
        (Ok(_), Some((at, object))) if *at == version => (version, object.clone()),
        (Ok(object), _) => (version, Arc::new(make(object.clone()))),
        (Err(invalid), known) => {
            let message = format!("cannot be read by this version of the operator: {}", invalid.error);
            desired.problems.push(Problem { place: key.to_string(), message });
            let Some((at, object)) = known else {
                desired.unread.insert(key);
                return;
            };
            (at.clone(), object.clone())
        }
    };
    next.0.insert(key.clone(), (version, object.clone()));
    desired.objects.insert(key, object);
}
