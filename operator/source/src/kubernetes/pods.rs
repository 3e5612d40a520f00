//! Addresses that pods have.

use std::collections::BTreeMap;
use std::mem;
use std::net::IpAddr;

use kube::api::{Api, ObjectMeta};
use kube::runtime::watcher::Event;
use kube::{Client, Resource};
use serde::Deserialize;
use sluice_plan::AddressPool;
use tokio::sync::{mpsc, watch};

use super::follow::{observe, owner};

/// Whose each address is; `None` until every pod was listed once.
pub type Owners = Option<BTreeMap<IpAddr, String>>;

/// Follows the pods that have addresses of a pool. A cluster makes and ends thousands of others: they are forgotten as soon
/// as they were read, so that none takes memory and no change of theirs goes further than here.
pub fn follow(client: Client, pools: Vec<AddressPool>, changed: mpsc::Sender<()>) -> watch::Receiver<Owners> {
    let (sender, receiver) = watch::channel(None);
    if pools.is_empty() {
        // No balancer gets any address.
        sender.send_replace(Some(BTreeMap::new()));
        return receiver;
    }
    let mut pods = Pods { pools, ..Pods::default() };
    let take = move |event| {
        let changed = pods.take(event);
        if changed {
            sender.send_replace(Some(pods.owners()));
        }
        changed
    };
    observe(Api::all(client), take, changed);
    receiver
}

/// What matters of a pod: nothing else of it is decoded.
#[derive(Clone, Debug, Deserialize, Resource)]
#[resource(inherit = k8s_openapi::api::core::v1::Pod)]
struct Pod {
    metadata: ObjectMeta,
    #[serde(default)]
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Spec {
    host_network: bool,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Status {
    phase: String,
    #[serde(rename = "podIPs")]
    pod_ips: Vec<PodIp>,
}

#[derive(Clone, Debug, Deserialize)]
struct PodIp {
    ip: String,
}

impl Pod {
    /// A pod that has ended keeps its address in its status although another may have it by now, and one in the node's
    /// network has the node's.
    fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        let has_own =
            !self.spec.host_network && !matches!(self.status.phase.as_str(), "Succeeded" | "Failed");
        self.status.pod_ips.iter().filter(move |_| has_own).filter_map(|entry| entry.ip.parse().ok())
    }
}

/// About 200 bytes for a pod with an address of a pool; none for any other.
#[derive(Default)]
struct Pods {
    pools: Vec<AddressPool>,
    /// By the pod's name.
    known: BTreeMap<String, Vec<IpAddr>>,
    /// What a list that has not ended has named so far.
    listing: BTreeMap<String, Vec<IpAddr>>,
    listed: bool,
}

impl Pods {
    /// True if an address of a pool has another owner now, or all are known for the first time.
    fn take(&mut self, event: Event<Pod>) -> bool {
        match event {
            Event::Init => self.listing.clear(),
            Event::InitApply(pod) => {
                let addresses = self.in_pools(&pod);
                if !addresses.is_empty() {
                    self.listing.insert(owner(&pod), addresses);
                }
            }
            Event::InitDone => {
                let listed = mem::take(&mut self.listing);
                let before = mem::replace(&mut self.known, listed);
                return !mem::replace(&mut self.listed, true) || before != self.known;
            }
            Event::Apply(pod) => {
                let addresses = self.in_pools(&pod);
                let name = owner(&pod);
                if addresses.is_empty() {
                    return self.known.remove(&name).is_some();
                }
                return self.known.insert(name, addresses.clone()) != Some(addresses);
            }
            Event::Delete(pod) => return self.known.remove(&owner(&pod)).is_some(),
        }
        false
    }

    fn in_pools(&self, pod: &Pod) -> Vec<IpAddr> {
        pod.addresses().filter(|address| self.pools.iter().any(|pool| pool.holds(*address))).collect()
    }

    fn owners(&self) -> BTreeMap<IpAddr, String> {
        let all =
            self.known.iter().flat_map(|(name, all)| all.iter().map(|address| (*address, name.clone())));
        all.collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(name: &str, status: Value) -> Pod {
        let pod = json!({
            "metadata": {"namespace": "web", "name": name},
            "spec": {"containers": [{"name": "shop", "image": "shop"}]},
            "status": status,
        });
        serde_json::from_value(pod).expect("a pod")
    }

    fn running(name: &str, address: &str) -> Pod {
        pod(
            name,
            json!({"phase": "Running", "podIP": address, "podIPs": [{"ip": address}, {"ip": "fd00::7"}]}),
        )
    }

    fn listed(pods: impl IntoIterator<Item = Pod>) -> Pods {
        let pool = AddressPool {
            name: "public".to_owned(),
            prefixes: vec!["203.0.113.0/24".to_owned()],
            namespaces: vec![],
        };
        let mut found = Pods { pools: vec![pool], ..Pods::default() };
        assert!(!found.take(Event::Init));
        for pod in pods {
            assert!(!found.take(Event::InitApply(pod)), "half a list says nothing");
        }
        assert!(found.take(Event::InitDone));
        found
    }

    fn names(pods: &Pods) -> Vec<String> {
        pods.owners().iter().map(|(address, owner)| format!("{address} {owner}")).collect()
    }

    #[test]
    fn a_running_pod_has_its_addresses_of_the_pools() {
        let pods = listed([running("shop", "203.0.113.7"), running("db", "10.0.0.7"), pod("new", json!({}))]);
        assert_eq!(names(&pods), ["203.0.113.7 Pod web/shop"]);
        assert_eq!(pods.known.len(), 1, "nothing is kept of the others");
    }

    #[test]
    fn a_pod_that_has_ended_or_is_in_its_nodes_network_has_none() {
        let ended = |name, phase| pod(name, json!({"phase": phase, "podIPs": [{"ip": "203.0.113.7"}]}));
        let mut host = running("host", "203.0.113.8");
        host.spec.host_network = true;
        assert!(names(&listed([ended("a", "Succeeded"), ended("b", "Failed"), host])).is_empty());
    }

    #[test]
    fn only_a_change_of_owners_goes_further() {
        let mut pods = listed([running("shop", "203.0.113.7")]);
        for other in [running("db", "10.0.0.7"), running("shop", "203.0.113.7")] {
            assert!(!pods.take(Event::Apply(other)));
        }
        assert!(!pods.take(Event::Delete(running("db", "10.0.0.7"))));
        assert!(pods.take(Event::Apply(running("shop", "203.0.113.9"))), "made anew under its name");
        assert_eq!(names(&pods), ["203.0.113.9 Pod web/shop"]);
        assert!(pods.take(Event::Delete(running("shop", "203.0.113.9"))));
        assert!(names(&pods).is_empty());
    }

    #[test]
    fn a_list_that_is_begun_anew_replaces_all_at_its_end() {
        let mut pods = listed([running("gone", "203.0.113.7"), running("stays", "203.0.113.8")]);
        pods.take(Event::Init);
        pods.take(Event::InitApply(running("stays", "203.0.113.8")));
        assert_eq!(names(&pods).len(), 2, "what was there stays until the list has ended");
        assert!(pods.take(Event::InitDone));
        assert_eq!(names(&pods), ["203.0.113.8 Pod web/stays"]);
        pods.take(Event::Init);
        pods.take(Event::InitApply(running("stays", "203.0.113.8")));
        assert!(!pods.take(Event::InitDone), "the same list again changes nothing");
    }
}
