//! What is said of every object and node at one moment: the base of status, CLI and metrics.

use std::collections::BTreeMap;

use sluice_compile::{balancer_hash, filter_hash};
use sluice_index::{Held, Index, ObjectKey, Policy, Problem};
use sluice_plan::Epoch;
use sluice_policy::{Balancer, Mode};
use sluice_status::{Book, Expected, NodeState, Placed, PolicyState, policy_state};

use crate::backends::Votes;
use crate::counters::{self, Entry};
use crate::planner::Planned;

#[derive(Clone, Debug, Default)]
pub struct View {
    pub epoch: Epoch,
    /// Every known node was heard of since this process started, or is overdue.
    pub settled: bool,
    pub objects: BTreeMap<ObjectKey, (Placed, PolicyState)>,
    pub nodes: BTreeMap<String, NodeState>,
    pub node_class: BTreeMap<String, String>,
    pub problems: Vec<Problem>,
    /// Nodes that enforce what this store never agreed on, with their epochs.
    pub ahead: BTreeMap<String, Epoch>,
    entries: BTreeMap<ObjectKey, Vec<Entry>>,
}

impl View {
    /// Under what the object counts, in its own order.
    pub fn entries(&self, key: &ObjectKey) -> &[Entry] {
        self.entries.get(key).map_or(&[], Vec::as_slice)
    }
}

/// `planned` belongs to the index as it was when it was last planned for, so no newer generation is ever held against
/// an older plan.
pub fn view(
    index: &Index,
    planned: &Planned,
    book: &Book,
    ahead: &BTreeMap<String, Epoch>,
    epoch: Epoch,
    now: i64,
) -> View {
    let (expected, votes) = (expected(planned), Votes::count(&planned.snapshot, book));
    let balancers: BTreeMap<&str, &Balancer> =
        planned.snapshot.balancers.iter().map(|one| (one.object.uid.as_str(), one.as_ref())).collect();
    let (mut objects, mut entries) = (BTreeMap::new(), BTreeMap::new());
    for (key, held) in &index.state().held {
        let (mut placed, counted) = place(key, held, balancers.get(held.uid.as_str()).copied(), &votes);
        placed.refusal = refusal(held, planned, placed.in_force);
        // They speak of the generation that is in force, and of no other.
        if placed.refusal.is_none() {
            placed.warnings = planned.warnings.get(&held.uid).cloned().unwrap_or_default();
        }
        placed.nodes = expected.get(held.uid.as_str()).cloned().unwrap_or_default();
        if let Some(gone) = index.state().mass_deletion {
            let message =
                format!("{gone} objects vanished from the source at once; all stay in force until confirmed");
            placed.refusal.get_or_insert(("MassDeletion".to_owned(), message));
        }
        let state = policy_state(&placed, book, now);
        entries.insert(key.clone(), counted);
        objects.insert(key.clone(), (placed, state));
    }
    View {
        epoch,
        settled: book.settled(now),
        objects,
        nodes: book.nodes().clone(),
        node_class: planned.snapshot.node_class.clone(),
        problems: index.problems().iter().cloned().chain(ahead.iter().map(lost)).collect(),
        ahead: ahead.clone(),
        entries,
    }
}

fn lost((node, epoch): (&String, &Epoch)) -> Problem {
    let message = format!(
        "enforces epoch {epoch}, which this operator's store never agreed on: its volume was lost or is an older copy; \
         restore it, or run `kubectl sluice recover`"
    );
    Problem { place: format!("node {node}"), message }
}

/// `balancer` is the version of it that the plans are made of, if any.
fn place(key: &ObjectKey, held: &Held, balancer: Option<&Balancer>, votes: &Votes) -> (Placed, Vec<Entry>) {
    let mut placed = Placed {
        key: Some(key.clone()),
        uid: held.uid.clone(),
        generation: held.generation,
        ..Placed::default()
    };
    let older = |generation: i64| (generation != held.generation).then_some(generation);
    let entries = match &held.good {
        Some(Policy::Filter(filter)) => {
            placed.rules = u32::try_from(filter.rules.len()).unwrap_or(u32::MAX);
            placed.mode = if filter.mode == Mode::Audit { "Audit" } else { "Enforce" }.to_owned();
            placed.hash = Some(filter_hash(filter));
            placed.in_force = older(filter.object.generation);
            counters::of_filter(filter)
        }
        Some(Policy::Balancer(newest)) => {
            placed.in_force = balancer.and_then(|balancer| older(balancer.object.generation));
            let balancer = balancer.unwrap_or(newest);
            placed.hash = Some(balancer_hash(balancer));
            place_backends(&mut placed, balancer, votes);
            counters::of_balancer(balancer)
        }
        None => Vec::new(),
    };
    (placed, entries)
}

fn refusal(held: &Held, planned: &Planned, in_force: Option<i64>) -> Option<(String, String)> {
    let unplanned = planned.refusals.get(&held.uid).cloned();
    let invalid = (!held.refusals.is_empty()).then(|| ("Invalid".to_owned(), held.refusals.join("; ")));
    if in_force.is_some() {
        invalid.or(unplanned)
    } else {
        // Without its addresses nothing of it is in force, whatever else is wrong with its newest generation.
        unplanned.or(invalid)
    }
}

/// By policy uid, the nodes that it selects and the plan that each must hold.
fn expected(planned: &Planned) -> BTreeMap<&str, Vec<Expected>> {
    let mut expected: BTreeMap<&str, Vec<Expected>> = BTreeMap::new();
    for (key, class) in &planned.snapshot.classes {
        // A class without any plan yet has nothing that its nodes could confirm.
        let plan = planned.hashes.get(&sluice_raft::ClassKey(key.clone())).copied().unwrap_or_default();
        let filters = class.filters.iter().map(|filter| &filter.object);
        let balancers =
            class.balancers.iter().filter(|chosen| chosen.balances).map(|chosen| &chosen.balancer.object);
        for object in filters.chain(balancers) {
            let nodes = class.nodes.iter().map(|node| Expected { node: node.clone(), plan });
            expected.entry(&object.uid).or_default().extend(nodes);
        }
    }
    for nodes in expected.values_mut() {
        nodes.sort_by(|a, b| a.node.cmp(&b.node));
    }
    expected
}

fn place_backends(placed: &mut Placed, balancer: &Balancer, votes: &Votes) {
    for backend in &balancer.backends {
        let health = votes.of(&balancer.object.uid, backend.address);
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
