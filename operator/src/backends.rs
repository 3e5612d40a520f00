//! Which backends answer, as the nodes' health checks see it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use sluice_index::Snapshot;
use sluice_policy::Balancer;
use sluice_status::{Book, NodeState};

/// What the nodes that check a backend say of it, by balancer uid and backend. Words about what is no longer checked, or
/// from nodes that no longer balance, do not count; those of unreachable nodes count while nobody else has any, so that a
/// dead backend does not come back with the agent that found it dead.
#[derive(Debug, Default)]
pub struct Votes(BTreeMap<(String, IpAddr), Vote>);

#[derive(Debug, Default)]
struct Vote {
    down: usize,
    all: usize,
    /// What the first failed check found.
    why: String,
}

impl Votes {
    pub fn count(snapshot: &Snapshot, book: &Book) -> Votes {
        let (mut votes, mut last_words) = (Votes::default(), Votes::default());
        for class in snapshot.classes.values() {
            let nodes: Vec<&NodeState> =
                class.nodes.iter().filter_map(|name| book.nodes().get(name)).map(AsRef::as_ref).collect();
            let checked = class
                .balancers
                .iter()
                .filter(|chosen| chosen.balances && chosen.balancer.health_check.is_some());
            for chosen in checked {
                for node in &nodes {
                    let votes = if node.connected { &mut votes } else { &mut last_words };
                    votes.add(&chosen.balancer, node);
                }
            }
        }
        for (backend, vote) in last_words.0 {
            votes.0.entry(backend).or_insert(vote);
        }
        votes
    }

    fn add(&mut self, balancer: &Balancer, node: &NodeState) {
        let uid = &balancer.object.uid;
        for backend in &balancer.backends {
            let Some(word) = node.backends.get(&(uid.clone(), backend.address.to_string())) else { continue };
            let vote = self.0.entry((uid.clone(), backend.address)).or_default();
            vote.all += 1;
            if !word.healthy {
                vote.down += 1;
                if vote.why.is_empty() {
                    vote.why.clone_from(&word.detail);
                }
            }
        }
    }

    /// By balancer uid, the backends that at least half of the checking nodes cannot reach.
    pub fn unhealthy(&self) -> BTreeMap<String, BTreeSet<IpAddr>> {
        let mut unhealthy: BTreeMap<String, BTreeSet<IpAddr>> = BTreeMap::new();
        for ((uid, address), _) in self.0.iter().filter(|(_, vote)| vote.is_down()) {
            unhealthy.entry(uid.clone()).or_default().insert(*address);
        }
        unhealthy
    }

    /// Whether a backend is healthy, and why not; `None` before anybody said anything.
    pub fn of(&self, uid: &str, backend: IpAddr) -> Option<(bool, String)> {
        let vote = self.0.get(&(uid.to_owned(), backend))?;
        Some((!vote.is_down(), vote.why.clone()))
    }
}

impl Vote {
    fn is_down(&self) -> bool {
        self.down > 0 && self.down * 2 >= self.all
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sluice_index::{Class, ClassBalancer};
    use sluice_policy::{Backend, HealthCheck, Interfaces, NodeSelector, ObjectRef};
    use sluice_proto::v1::{BackendHealth, Hello, Report};

    use super::*;

    const UID: &str = "uid-of-web";

    fn backend() -> IpAddr {
        "192.0.2.11".parse().expect("an address")
    }

    fn balancer(checked: bool) -> Balancer {
        let second = std::time::Duration::from_secs(1);
        let check = HealthCheck { port: 80, interval: second, timeout: second, rise: 2, fall: 3 };
        Balancer {
            object: ObjectRef { uid: UID.to_owned(), ..ObjectRef::default() },
            created: 1,
            nodes: NodeSelector::default(),
            interfaces: Interfaces::default(),
            addresses: vec![],
            ports: vec![],
            backends: vec![Backend { address: backend(), weight: 1 }],
            slots: 256,
            health_check: checked.then_some(check),
        }
    }

    /// These nodes balance, or only have a backend.
    fn snapshot(balancer: Balancer, balances: bool, nodes: &[&str]) -> Snapshot {
        let chosen = ClassBalancer { balancer: Arc::new(balancer), balances };
        let nodes = nodes.iter().map(|node| (*node).to_owned()).collect();
        let class = Class { balancers: vec![chosen], nodes, ..Class::default() };
        Snapshot { classes: [("class".to_owned(), class)].into(), ..Snapshot::default() }
    }

    /// What each node said of the backend.
    fn book(words: &[(&str, bool)]) -> Book {
        let mut book = Book::default();
        for (node, healthy) in words {
            book.connected(node, &Hello::default(), 0);
            let word = BackendHealth {
                policy_uid: UID.to_owned(),
                address: backend().to_string(),
                healthy: *healthy,
                detail: if *healthy { "" } else { "refused" }.to_owned(),
            };
            book.report(node, &Report { backends: vec![word], ..Report::default() }, 0);
        }
        book
    }

    #[test]
    fn half_of_the_checking_nodes_take_a_backend_out() {
        let nodes = ["a", "b", "c", "d"];
        let count = |down: usize| {
            let words: Vec<_> = (0..).zip(nodes).map(|(index, node)| (node, index >= down)).collect();
            Votes::count(&snapshot(balancer(true), true, &nodes), &book(&words))
        };
        assert!(count(1).unhealthy().is_empty());
        assert_eq!(count(2).unhealthy(), [(UID.to_owned(), [backend()].into())].into());
        assert_eq!(count(2).of(UID, backend()), Some((false, "refused".to_owned())));
        assert_eq!(count(0).of(UID, backend()), Some((true, String::new())));
    }

    #[test]
    fn a_check_that_is_gone_keeps_nobody_out() {
        let votes = Votes::count(&snapshot(balancer(false), true, &["a"]), &book(&[("a", false)]));
        assert!(votes.unhealthy().is_empty());
        assert_eq!(votes.of(UID, backend()), None);
    }

    #[test]
    fn a_node_that_no_longer_balances_has_no_vote() {
        let votes = Votes::count(&snapshot(balancer(true), false, &["a"]), &book(&[("a", false)]));
        assert!(votes.unhealthy().is_empty());
    }

    #[test]
    fn an_unreachable_node_is_heard_only_while_nobody_else_is() {
        let snapshot = snapshot(balancer(true), true, &["a", "b"]);
        let mut silent = book(&[("a", false)]);
        silent.disconnected("a", 1);
        assert!(!Votes::count(&snapshot, &silent).unhealthy().is_empty(), "its last word stands");
        let mut one_silent = book(&[("a", false), ("b", true)]);
        one_silent.disconnected("a", 1);
        assert!(Votes::count(&snapshot, &one_silent).unhealthy().is_empty());
    }
}
