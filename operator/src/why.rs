//! Answers why a policy is, or is not, in force on a node, out of what the reconciler holds.

use std::collections::BTreeMap;
use std::sync::Arc;

use sluice_crds::reason;
use sluice_index::{Held, Index, ObjectKey, Policy};
use sluice_plan::Epoch;
use sluice_rollout::Seen;
use sluice_status::{Asked, Book, By, NodeState, Placed, Why, why};
use tokio::sync::oneshot;

use crate::clock::{now, steady};
use crate::planner::Planned;
use crate::rollouts::Due;
use crate::view::{View, lost};

/// A question to whoever decides; none is the answer where there is no such node.
pub struct Question {
    pub key: ObjectKey,
    pub node: String,
    pub answer: oneshot::Sender<Option<Answer>>,
}

/// All of one moment.
pub struct Answer {
    pub why: Why,
    /// Newest generation of the object.
    pub generation: i64,
    pub uid: String,
    /// None of a node whose agent was never heard of.
    pub node: Option<Arc<NodeState>>,
}

/// What the answer is found in.
pub struct Known<'a> {
    pub index: &'a Index,
    pub planned: &'a Planned,
    pub book: &'a Book,
    pub ahead: &'a BTreeMap<String, Epoch>,
    pub view: &'a View,
}

impl Known<'_> {
    /// None if there is no such node, or no such object any more.
    pub fn answer(&self, key: &ObjectKey, name: &str) -> Option<Answer> {
        let node = self.book.nodes().get(name);
        if node.is_none() && self.index.labels(name).is_none() && !self.ahead.contains_key(name) {
            return None;
        }
        let (held, (placed, _)) = (self.index.state().held.get(key)?, self.view.objects.get(key)?);
        let why = match self.ahead.get(name) {
            Some(epoch) => {
                let (reason, lost) = (reason::EPOCH_AHEAD.to_owned(), lost((&name.to_owned(), epoch)));
                Why { reason, message: lost.message, ..Why::default() }
            }
            None => self.why(held, placed, name),
        };
        let (generation, uid) = (placed.generation, placed.uid.clone());
        Some(Answer { why, generation, uid, node: node.cloned() })
    }

    fn why(&self, held: &Held, placed: &Placed, name: &str) -> Why {
        let labels = self.index.labels(name);
        let mismatch = labels.and_then(|labels| selector(held)?.mismatch(labels));
        let now_steady = steady();
        let due = Due::of(self.planned);
        let seen = due.seen(self.book, now_steady);
        let heard: &[Seen] = seen.get(&held.uid).map_or(&[], Vec::as_slice);
        let wave = held.rolling.as_ref().and_then(|rolling| rolling.wave_of(&held.uid, heard, name));
        let node = self.book.nodes().get(name).map(AsRef::as_ref);
        let found = why(&Asked { placed, name, node, mismatch, wave, now: now_steady });
        // People read the machine's clock.
        let shown = |at: i64| now() - (now_steady - at);
        Why { enforced: found.enforced.map(|(generation, at)| (generation, shown(at))), ..found }
    }
}

/// Of the newest sound version; a set has none.
fn selector(held: &Held) -> Option<&sluice_policy::NodeSelector> {
    match held.good.as_ref()? {
        Policy::Filter(filter) => Some(&filter.nodes),
        Policy::Balancer(balancer) => Some(&balancer.nodes),
        Policy::Set(_) => None,
    }
}

/// Whose word it is, for the wire.
pub fn said_by(by: By) -> &'static str {
    match by {
        By::Operator => "operator",
        By::Agent => "agent",
    }
}
