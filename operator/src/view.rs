//! What is said of every object and node at one moment: the base of status, CLI and metrics.

use std::collections::BTreeMap;

use sluice_compile::{balancer_hash, filter_hash};
use sluice_index::{Held, Index, ObjectKey, Policy, Problem, Snapshot};
use sluice_plan::Epoch;
use sluice_policy::{Balancer, Mode};
use sluice_status::{Book, Expected, NodeState, Placed, PolicyState, policy_state};

use crate::backends::health_of;
use crate::planner::Planned;

#[derive(Clone, Debug, Default)]
pub struct View {
    pub epoch: Epoch,
    pub objects: BTreeMap<ObjectKey, (Placed, PolicyState)>,
    pub nodes: BTreeMap<String, NodeState>,
    pub node_class: BTreeMap<String, String>,
    pub problems: Vec<Problem>,
}

pub fn view(
    index: &Index,
    snapshot: &Snapshot,
    planned: &Planned,
    book: &Book,
    epoch: Epoch,
    now: i64,
) -> View {
    let mut objects = BTreeMap::new();
    for (key, held) in &index.state().held {
        let mut placed = place(key, held, snapshot, planned, book);
        if let Some(gone) = index.state().mass_deletion {
            let message =
                format!("{gone} objects vanished from the source at once; all stay in force until confirmed");
            placed.refusal.get_or_insert(("MassDeletion".to_owned(), message));
        }
        let state = policy_state(&placed, book, now);
        objects.insert(key.clone(), (placed, state));
    }
    View {
        epoch,
        objects,
        nodes: book.nodes().clone(),
        node_class: snapshot.node_class.clone(),
        problems: index.problems().to_vec(),
    }
}

fn place(key: &ObjectKey, held: &Held, snapshot: &Snapshot, planned: &Planned, book: &Book) -> Placed {
    let mut placed = Placed {
        key: Some(key.clone()),
        uid: held.uid.clone(),
        generation: held.generation,
        nodes: expected(&held.uid, snapshot, planned),
        ..Placed::default()
    };
    match &held.good {
        Some(Policy::Filter(filter)) => {
            placed.rules = u32::try_from(filter.rules.len()).unwrap_or(u32::MAX);
            placed.mode = if filter.mode == Mode::Audit { "Audit" } else { "Enforce" }.to_owned();
            placed.hash = Some(filter_hash(filter));
        }
        Some(Policy::Balancer(balancer)) => {
            placed.hash = Some(balancer_hash(balancer));
            place_backends(&mut placed, balancer, book);
        }
        None => {}
    }
    placed.refusal = planned.refusals.get(&held.uid).cloned();
    if !held.refusals.is_empty() {
        placed.refusal = Some(("Invalid".to_owned(), held.refusals.join("; ")));
    }
    placed
}

fn expected(uid: &str, snapshot: &Snapshot, planned: &Planned) -> Vec<Expected> {
    let mut nodes = Vec::new();
    for (key, class) in &snapshot.classes {
        let filters = class.filters.iter().any(|filter| filter.object.uid == uid);
        let balances =
            class.balancers.iter().any(|chosen| chosen.balances && chosen.balancer.object.uid == uid);
        // A class without any plan yet has nothing that its nodes could confirm.
        let plan = planned.hashes.get(&sluice_raft::ClassKey(key.clone())).copied().unwrap_or_default();
        if filters || balances {
            nodes.extend(class.nodes.iter().map(|node| Expected { node: node.clone(), plan }));
        }
    }
    nodes
}

fn place_backends(placed: &mut Placed, balancer: &Balancer, book: &Book) {
    for backend in &balancer.backends {
        let health = health_of(book, &balancer.object.uid, backend.address);
        let (healthy, why) = match health {
            Some((healthy, why)) => (Some(healthy), why),
            None => (balancer.health_check.is_none().then_some(true), String::new()),
        };
        placed.backends.push((backend.address.to_string(), healthy, why));
    }
    let healthy = placed.backends.iter().filter(|(_, healthy, _)| *healthy != Some(false)).count();
    let counts = (
        u32::try_from(healthy).unwrap_or(u32::MAX),
        u32::try_from(placed.backends.len()).unwrap_or(u32::MAX),
    );
    placed.ports = balancer.ports.iter().map(|port| (port.name.clone(), counts.0, counts.1)).collect();
}

/// Names a counter's object and, for balancers, nothing more: the counter's name says the rest.
pub fn key_of_uid<'a>(view: &'a View, uid: &str) -> Option<&'a ObjectKey> {
    view.objects.iter().find(|(_, (placed, _))| placed.uid == uid).map(|(key, _)| key)
}
