//! What is said of every object and node at one moment: the base of status, CLI and metrics.

use std::collections::BTreeMap;
use std::sync::Arc;

use sluice_compile::{balancer_hash, filter_hash};
use sluice_crds::{Kind, reason};
use sluice_index::{Held, Index, ObjectKey, Policy, Problem, Snapshot};
use sluice_plan::{Epoch, Hash};
use sluice_policy::{Balancer, Filter, ListRef, Mode, SetDefinition};
use sluice_rollout::Seen;
use sluice_sets::Unresolved;
use sluice_status::{
    Book, Expected, FeedFacts, NodeState, Placed, PolicyState, SetFacts, SetSize, policy_state,
};

use crate::backends::Votes;
use crate::counters::{self, Entry};
use crate::edits::{Edit, outcome};
use crate::planner::{Planned, Shortfall};
use crate::rollouts;

#[derive(Clone, Debug, Default)]
pub struct View {
    /// By a replica that decides; the others know nothing.
    pub known: bool,
    pub epoch: Epoch,
    /// Every known node was heard of since this process started, or is overdue.
    pub settled: bool,
    pub objects: BTreeMap<ObjectKey, (Placed, PolicyState)>,
    pub nodes: BTreeMap<String, Arc<NodeState>>,
    pub node_class: BTreeMap<String, String>,
    /// By class, the plan that each of its nodes is to hold.
    class_plans: BTreeMap<String, Hash>,
    pub problems: Vec<Problem>,
    /// Nodes that enforce what this store never agreed on, with their epochs.
    pub ahead: BTreeMap<String, Epoch>,
    entries: BTreeMap<ObjectKey, Vec<Entry>>,
    /// Whose outcome is shown here, until it is written down.
    pub edits: Vec<Arc<Edit>>,
}

impl View {
    /// The statuses of these objects say what became of their newest versions.
    pub fn end_edits(&self, is_written: impl Fn(&ObjectKey) -> bool) {
        for edit in self.edits.iter().filter(|edit| is_written(&edit.key)) {
            let outcome = self.objects.get(&edit.key).and_then(|(placed, state)| outcome(placed, state));
            edit.end(outcome.and_then(Result::err).as_deref());
        }
    }

    /// Under what the object counts, in its own order.
    pub fn entries(&self, key: &ObjectKey) -> &[Entry] {
        self.entries.get(key).map_or(&[], Vec::as_slice)
    }

    /// The plan that a node is to hold; none before one is agreed on.
    pub fn planned(&self, node: &str) -> Option<Hash> {
        self.class_plans.get(self.node_class.get(node)?).copied()
    }
}

/// `planned` belongs to the index as it was when it was last planned for, so no newer generation is ever held against
/// an older plan. `seen` is what nodes say to filters that roll out, by uid.
pub fn view(
    index: &Index,
    planned: &Planned,
    book: &Book,
    seen: &BTreeMap<String, Vec<Seen>>,
    ahead: &BTreeMap<String, Epoch>,
    epoch: Epoch,
    now: i64,
) -> View {
    let (expected, votes) = (expected(planned), Votes::count(&planned.snapshot, book));
    let versions = Versions::of(planned);
    let heard = |uid: &String| seen.get(uid).map_or(&[][..], Vec::as_slice);
    let (mut objects, mut entries) = (BTreeMap::new(), BTreeMap::new());
    for (key, held) in &index.state().held {
        let (mut placed, counted) = place(key, held, &versions, &votes);
        placed.refusal = refusal(held, planned, placed.in_force);
        if key.kind == Kind::XdpAddressSet.name() {
            placed.set = Some(SetFacts::default());
            placed.nodes = holders(&key.name, planned);
        }
        if let Some(Policy::Set(definition)) = &held.good {
            place_set(&mut placed, definition, index, planned);
        }
        // They speak of the generation that is in force, and of no other.
        if placed.refusal.is_none() {
            placed.warnings = planned.warnings.get(&held.uid).cloned().unwrap_or_default();
        }
        if let Some(nodes) = expected.get(held.uid.as_str()) {
            placed.nodes.clone_from(nodes);
        }
        if let Some(gone) = index.state().mass_deletion {
            let message =
                format!("{gone} objects vanished from the source at once; all stay in force until confirmed");
            placed.refusal.get_or_insert(("MassDeletion".to_owned(), message));
        }
        let state = policy_state(&placed, book, now);
        placed.rolling = rollouts::facts(held, heard(&held.uid), &state);
        entries.insert(key.clone(), counted);
        objects.insert(key.clone(), (placed, state));
    }
    View {
        known: true,
        epoch,
        settled: book.settled(now),
        objects,
        nodes: book.nodes().clone(),
        node_class: planned.node_class.iter().map(|(node, class)| (node.clone(), class.0.clone())).collect(),
        class_plans: planned.hashes.iter().map(|(class, hash)| (class.0.clone(), *hash)).collect(),
        problems: index.problems().iter().cloned().chain(ahead.iter().map(lost)).collect(),
        ahead: ahead.clone(),
        entries,
        edits: Vec::new(),
    }
}

pub fn lost((node, epoch): (&String, &Epoch)) -> Problem {
    let message = format!(
        "enforces epoch {epoch}, which this operator's store never agreed on: its volume was lost or is an older copy; \
         restore it, or run `kubectl sluice recover`"
    );
    Problem { place: format!("node {node}"), message }
}

/// What the plans are made of, by uid.
struct Versions<'a> {
    balancers: BTreeMap<&'a str, &'a Balancer>,
    filters: BTreeMap<&'a str, &'a Filter>,
    ended: &'a BTreeMap<String, i64>,
}

impl<'a> Versions<'a> {
    fn of(planned: &'a Planned) -> Versions<'a> {
        let Snapshot { balancers, filters, ended, .. } = &planned.snapshot;
        Versions {
            balancers: balancers.iter().map(|one| (one.object.uid.as_str(), one.as_ref())).collect(),
            filters: filters.iter().map(|one| (one.object.uid.as_str(), one.as_ref())).collect(),
            ended,
        }
    }
}

fn place(key: &ObjectKey, held: &Held, versions: &Versions, votes: &Votes) -> (Placed, Vec<Entry>) {
    let mut placed = Placed {
        key: Some(key.clone()),
        uid: held.uid.clone(),
        generation: held.generation,
        ..Placed::default()
    };
    let older = |generation: i64| (generation != held.generation).then_some(generation);
    let entries = match &held.good {
        Some(Policy::Filter(newest)) => {
            let filter = versions.filters.get(held.uid.as_str()).copied().unwrap_or(newest);
            placed.rules = u32::try_from(filter.rules.len()).unwrap_or(u32::MAX);
            placed.mode = if filter.mode == Mode::Audit { "Audit" } else { "Enforce" }.to_owned();
            placed.hash = Some(filter_hash(filter));
            placed.in_force = older(filter.object.generation);
            placed.ended = versions.ended.get(&held.uid).copied();
            counters::of_filter(filter)
        }
        Some(Policy::Balancer(newest)) => {
            let balancer = versions.balancers.get(held.uid.as_str()).copied();
            placed.in_force = balancer.and_then(|balancer| older(balancer.object.generation));
            let balancer = balancer.unwrap_or(newest);
            placed.hash = Some(balancer_hash(balancer));
            place_backends(&mut placed, balancer, votes);
            counters::of_balancer(balancer)
        }
        Some(Policy::Set(_)) | None => Vec::new(),
    };
    (placed, entries)
}

fn place_set(placed: &mut Placed, definition: &SetDefinition, index: &Index, planned: &Planned) {
    let name = &definition.object.name;
    let found = index.sets().get(name);
    let contents = planned.snapshot.sets.get(name);
    placed.hash = contents.map(|contents| contents.hash());
    placed.set = Some(SetFacts {
        size: contents.map(|contents| SetSize {
            entries: contents.entries,
            prefixes: u32::try_from(contents.addresses.len()).unwrap_or(u32::MAX),
        }),
        faults: found.map(|found| found.faults.clone()).unwrap_or_default(),
        feeds: definition.lists.iter().filter_map(|list| feed_facts(list, index)).collect(),
    });
    if let Some(unresolved) = found.and_then(|found| found.unresolved.as_ref()) {
        placed.refusal.get_or_insert((unresolved_reason(unresolved).to_owned(), unresolved.to_string()));
    }
}

fn unresolved_reason(unresolved: &Unresolved) -> &'static str {
    match unresolved {
        Unresolved::UnknownSet(..) | Unresolved::WithoutContents(_) => reason::UNKNOWN_SET,
        Unresolved::Cycle(_) => reason::SET_CYCLE,
        Unresolved::UnreadList { .. } => reason::UNREAD_LIST,
        Unresolved::TooLarge { .. } => reason::INVALID,
    }
}

fn feed_facts(list: &ListRef, index: &Index) -> Option<FeedFacts> {
    let ListRef::Feed(feed) = list else { return None };
    let state = index.feed_states().get(feed).cloned().unwrap_or_default();
    let entries = state.good.map(|good| good.entries);
    Some(FeedFacts { url: feed.url.clone(), entries, fetched: state.fetched, fault: state.fault })
}

/// The nodes that are to hold a set, and the contents that each must hold.
fn holders(name: &str, planned: &Planned) -> Vec<Expected> {
    let Some(hash) = planned.set_hashes.get(name) else { return Vec::new() };
    let expected = |node: &String| {
        // A node with a plan gets the contents that its sets have now, whatever else it does not get.
        let without_plan = planned.shortfalls.get(node).filter(|_| planned.hash_of(node).is_none());
        let withheld = without_plan.and_then(Shortfall::of_all);
        Expected { node: node.clone(), plan: *hash, generation: None, withheld }
    };
    planned.node_class.keys().filter(|node| planned.holds(node, name)).map(expected).collect()
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
    for class in planned.snapshot.classes.values() {
        let filters = class.filters.iter().map(|filter| &filter.object);
        let balancers =
            class.balancers.iter().filter(|chosen| chosen.balances).map(|chosen| &chosen.balancer.object);
        for object in filters.chain(balancers) {
            let nodes = class.nodes.iter().map(|node| Expected {
                node: node.clone(),
                // A node without any plan yet has nothing that it could confirm.
                plan: planned.hash_of(node).unwrap_or_default(),
                generation: Some(object.generation),
                withheld: planned.shortfalls.get(node).and_then(|shortfall| shortfall.of(&object.uid)),
            });
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
