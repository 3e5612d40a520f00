//! Edits on their way: from when the source told of one to when the status of its object says what became of it. Each is
//! said in the log with object and epoch, and is a trace where traces are wanted.

mod edit;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use sluice_index::{Index, ObjectKey};
use sluice_plan::Epoch;
use sluice_raft::{Bytes, ClassKey, State, TRACES, Traces};
use sluice_status::{Placed, PolicyState};
use tracing::Span;

use crate::planner::Planned;
use edit::begin;
pub use edit::{Edit, outcome};

/// Traced at a time; those beyond are not.
const TRACED: usize = 16;
/// Traces that one update continues.
const OF_A_CLASS: usize = 4;
/// What has not come to all nodes after this is traced no more.
const LONGEST: Duration = Duration::from_secs(600);

/// The version of an object that the index holds, by uid and generation.
pub type Versions = BTreeMap<ObjectKey, (String, i64)>;

/// Those that are not through.
#[derive(Debug, Default)]
pub struct Edits {
    /// Those that no plan has yet, traced or not.
    fresh: Vec<Arc<Edit>>,
    /// Traced ones that nodes have not answered yet,
    open: BTreeMap<ObjectKey, Arc<Edit>>,
    /// and those whose outcome is known and not written down yet.
    settled: Vec<Arc<Edit>>,
    /// Nodes of an edit that are traced, about.
    nodes: usize,
}

/// Of every object that the index holds.
pub fn versions(index: &Index) -> Versions {
    let held = index.state().held.iter();
    held.map(|(key, held)| (key.clone(), (held.uid.clone(), held.generation))).collect()
}

impl Edits {
    pub fn new(traced_nodes: usize) -> Edits {
        Edits { nodes: traced_nodes, ..Edits::default() }
    }

    /// Takes in what is another version than before.
    pub fn begin(&mut self, before: &Versions, index: &Index) {
        for (key, held) in &index.state().held {
            let is_known =
                |(uid, generation): &(String, i64)| *uid == held.uid && *generation == held.generation;
            if held.gone || before.get(key).is_some_and(is_known) {
                continue;
            }
            for refusal in &held.refusals {
                tracing::warn!(object = %key, generation = held.generation, "refused: {refusal}");
            }
            if let Some(older) = self.open.remove(key) {
                older.end(Some("a newer version took its place"));
            }
            self.fresh.retain(|older| older.key != *key);
            let has_room = self.open.len() + self.settled.len() < TRACED;
            let root = has_room.then(|| begin(key, held, index.object(key))).flatten();
            let edit = Arc::new(Edit::new(key, held, root));
            edit.wait("index");
            if edit.root.is_some() {
                self.open.insert(key.clone(), edit.clone());
            }
            self.fresh.push(edit);
        }
    }

    /// What all edits that no plan has yet go through now, until it is dropped.
    pub fn step(&self, name: &'static str) -> Vec<Span> {
        let step = |edit: &Arc<Edit>| {
            edit.go_on();
            edit.step(name)
        };
        self.fresh.iter().map(step).collect()
    }

    /// The plans that have them are agreed on.
    pub fn agreed(&mut self, epoch: Epoch) {
        for edit in self.fresh.drain(..).filter(|edit| !edit.refused) {
            let Edit { key, generation, .. } = &*edit;
            tracing::info!(object = %key, generation, %epoch, "agreed on");
        }
    }

    /// What is agreed on with these plans, so that updates continue the traces: in place of what was before, and nothing
    /// where nobody traces.
    pub fn blob(&self, planned: &Planned, agreed: &State) -> Option<(String, Bytes)> {
        let is_said = agreed.blobs.get(TRACES).is_some_and(|traces| !traces.is_empty());
        let traces = self.traces(planned);
        let said = traces.map(|traces| traces.encoded()).or_else(|| is_said.then(Bytes::new))?;
        Some((TRACES.to_owned(), said))
    }

    fn traces(&self, planned: &Planned) -> Option<Traces> {
        let mut classes: BTreeMap<ClassKey, Vec<String>> = BTreeMap::new();
        for (edit, root) in self.open.values().filter_map(|edit| Some((edit, edit.root.as_ref()?))) {
            let touched = planned.snapshot.classes.values().filter(|class| edit.is_in(class));
            let nodes = touched.flat_map(|class| &class.nodes);
            let keys: BTreeSet<_> = nodes.filter_map(|node| planned.node_class.get(node)).collect();
            for key in keys {
                let of_class = classes.entry(key.clone()).or_default();
                if of_class.len() < OF_A_CLASS {
                    of_class.push(root.traceparent());
                }
            }
        }
        let traces = Traces::new(classes, self.nodes, planned.node_class.len());
        Some(traces).filter(|traces| !traces.is_empty())
    }

    /// Those whose outcome is in what is shown now, for whoever writes it down.
    pub fn settled(&mut self, objects: &BTreeMap<ObjectKey, (Placed, PolicyState)>) -> Vec<Arc<Edit>> {
        let all = self.open.values().chain(&self.settled);
        for late in all.filter(|edit| edit.began.elapsed() > LONGEST) {
            late.end(Some("not on all nodes, or not written down, after ten minutes"));
        }
        let is_known = |edit: &Edit| {
            let shown = objects.get(&edit.key).filter(|(placed, _)| placed.generation == edit.generation);
            shown.is_some_and(|(placed, state)| outcome(placed, state).is_some())
        };
        // What waits for its plan is not what is shown.
        let is_fresh = |edit: &Arc<Edit>| self.fresh.iter().any(|fresh| Arc::ptr_eq(fresh, edit));
        let known = self.open.extract_if(.., |_, edit| !is_fresh(edit) && is_known(edit));
        for (_, edit) in known.collect::<Vec<_>>() {
            edit.wait("status");
            self.settled.push(edit);
        }
        self.open.retain(|_, edit| !edit.has_ended());
        self.settled.retain(|edit| !edit.has_ended());
        self.settled.clone()
    }
}
