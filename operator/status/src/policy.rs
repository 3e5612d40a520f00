//! How far one object has come on the nodes that it selects.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

use sluice_crds::reason;
use sluice_index::ObjectKey;
use sluice_lint::Warning;
use sluice_plan::{Hash, Schema};
use sluice_proto::v1::{Note, PolicyVerdict, VerdictStage};

use crate::book::{Book, NodeState, RATE_MS, SetOnNode};
use crate::rolling::RollingFacts;
use crate::set::SetFacts;

/// A node that joins a running fleet counts once it confirmed its first plan, or after this long.
const JOINING_MS: i64 = 60_000;
/// Failing nodes that a status names.
const NAMED: usize = 10;

/// An object, where it belongs and what is wrong with it before any node is asked.
#[derive(Clone, Debug, Default)]
pub struct Placed {
    pub key: Option<ObjectKey>,
    pub uid: String,
    pub generation: i64,
    pub hash: Option<Hash>,
    pub rules: u32,
    /// `Enforce` or `Audit`; empty for balancers.
    pub mode: String,
    /// (reason, message): refused by a check, by the compiler, or by an older claim.
    pub refusal: Option<(String, String)>,
    /// What is hardly meant in a filter that is in force.
    pub warnings: Vec<Warning>,
    /// The older generation that is in force while the newest is refused.
    pub in_force: Option<i64>,
    /// Of a filter that is meant for no node any more, since when, in Unix milliseconds.
    pub ended: Option<i64>,
    /// In the order of their names.
    pub nodes: Vec<Expected>,
    /// Ports (name, healthy, total) and backends of a balancer.
    pub ports: Vec<(String, u32, u32)>,
    pub backends: Vec<(String, Option<bool>, String)>,
    /// Of an address set alone.
    pub set: Option<SetFacts>,
    /// Of a filter with a rollout.
    pub rolling: Option<RollingFacts>,
}

/// What a node must hold for the object's newest generation to be enforced there: a plan, or the contents of a set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    pub node: String,
    pub plan: Hash,
    /// The version of the object that the plan has; none of a set, and where the plan has none.
    pub generation: Option<i64>,
    /// (reason, message): why the node is sent no newer version of the object than it has, if any.
    pub withheld: Option<(String, String)>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct PolicyState {
    pub desired: u32,
    pub programmed: u32,
    pub rejected: u32,
    pub unreachable: u32,
    /// Nodes that enforce a filter that has ended: those that answer, and the others by their last word.
    pub outlasting: u32,
    pub outlasting_silent: u32,
    /// Of all these nodes together, those that are missing with them.
    pub interfaces_desired: u32,
    /// Where this generation is in force, by the word of a node that answers.
    pub interfaces_ready: u32,
    /// (node, reason, message), at most ten.
    pub failing: Vec<(String, String, String)>,
    /// What nodes that enforce it say of it, by reason.
    pub notes: BTreeMap<String, NodeNote>,
    pub dropped_packets: u64,
    pub dropped_per_second: f64,
    pub oversize: u64,
    /// Of an address set, on the node where it takes most.
    pub kernel_bytes: u64,
}

/// What some nodes say of a policy that they enforce, in the words of the first of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeNote {
    pub node: String,
    pub detail: String,
    /// Nodes that say the same of themselves beside the first.
    pub others: u32,
}

impl fmt::Display for NodeNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let NodeNote { node, detail, others } = self;
        match others {
            0 => write!(f, "{node}: {detail}"),
            1 => write!(f, "{node}: {detail} (and another node)"),
            _ => write!(f, "{node}: {detail} (and {others} more nodes)"),
        }
    }
}

pub(crate) enum OnNode {
    Programmed,
    Pending,
    Rejected(String, String),
    Unreachable(String),
}

pub fn policy_state(placed: &Placed, book: &Book, now: i64) -> PolicyState {
    let mut state = PolicyState::default();
    if placed.ended.is_some() {
        state.count_outlasting(&placed.uid, book, now);
    }
    let mut joining = 0;
    for expected in &placed.nodes {
        let Some(node) = book.nodes().get(&expected.node) else { continue };
        count_drops(&mut state, placed, node, now);
        let set = placed.set.as_ref().and(placed.key.as_ref()).map(|key| node.sets.get(&key.name));
        let found = found(placed, expected, node, now);
        state.kernel_bytes = state.kernel_bytes.max(set.flatten().map_or(0, |set| set.kernel_bytes));
        // One that confirmed any plan is a member, and what comes after is for it too.
        let member = node.plan.is_some() || now - node.joined >= JOINING_MS;
        if !matches!(found, OnNode::Programmed) && !member {
            joining += 1;
        }
        if matches!(found, OnNode::Programmed) {
            state.note(&expected.node, node.policies.get(&placed.uid).map(|known| &known.verdict));
        }
        state.count_interfaces(placed, node, now);
        state.add(&expected.node, found);
    }
    // Joiners do not take Ready away from a fleet that has it; on their own they are the fleet.
    if joining > 0
        && state.programmed > 0
        && state.programmed + joining == state.desired
        && state.rejected == 0
    {
        state.desired -= joining;
        state.unreachable = 0;
        state.failing.clear();
    }
    state
}

impl Expected {
    pub(crate) fn withheld(&self) -> Option<OnNode> {
        let (reason, message) = self.withheld.clone()?;
        Some(OnNode::Rejected(reason, message))
    }
}

impl PolicyState {
    fn note(&mut self, node: &str, verdict: Option<&PolicyVerdict>) {
        let notes = verdict.into_iter().flat_map(|verdict| &verdict.notes);
        for (reason, details) in details_by_reason(notes) {
            match self.notes.entry(reason) {
                Entry::Occupied(known) => known.into_mut().others += 1,
                Entry::Vacant(new) => {
                    _ = new.insert(NodeNote { node: node.to_owned(), detail: details.join("; "), others: 0 });
                }
            }
        }
    }

    fn count_outlasting(&mut self, uid: &str, book: &Book, now: i64) {
        let enforces = |node: &&NodeState| {
            node.policies.get(uid).is_some_and(|known| known.verdict.stage() == VerdictStage::Programmed)
        };
        for node in book.nodes().values().map(AsRef::as_ref).filter(enforces) {
            let count = if node.is_silent(now) { &mut self.outlasting_silent } else { &mut self.outlasting };
            *count += 1;
        }
    }

    /// What a node said of an older generation is how many there are, and of none that it is ready.
    fn count_interfaces(&mut self, placed: &Placed, node: &NodeState, now: i64) {
        let Some(known) = node.policies.get(&placed.uid) else { return };
        let ready = u32::try_from(known.verdict.interfaces.len()).unwrap_or(u32::MAX);
        // An agent of the version before does not say how many there are.
        self.interfaces_desired += known.verdict.selected_interfaces.max(ready);
        if known.verdict.generation == placed.generation && !node.is_silent(now) {
            self.interfaces_ready += ready;
        }
    }

    fn add(&mut self, node: &str, found: OnNode) {
        self.desired += 1;
        let failing = match found {
            OnNode::Programmed => {
                self.programmed += 1;
                return;
            }
            OnNode::Pending => return,
            OnNode::Rejected(reason, message) => {
                self.rejected += 1;
                (node.to_owned(), reason, message)
            }
            OnNode::Unreachable(message) => {
                self.unreachable += 1;
                (node.to_owned(), "Unreachable".to_owned(), message)
            }
        };
        if self.failing.len() < NAMED {
            self.failing.push(failing);
        }
    }
}

fn details_by_reason<'a>(notes: impl Iterator<Item = &'a Note>) -> BTreeMap<String, Vec<&'a str>> {
    notes.fold(BTreeMap::new(), |mut details, note| {
        details.entry(note.reason.clone()).or_default().push(&note.detail);
        details
    })
}

fn unreachable(node: &NodeState, now: i64) -> Option<OnNode> {
    // Since when is said by its XdpNode: words that count on would be written again and again.
    let words = || "its agent does not answer; its last plan stays in force".to_owned();
    node.is_silent(now).then(|| OnNode::Unreachable(words()))
}

fn set_on_node(set: Option<&SetOnNode>, expected: &Expected, node: &NodeState, now: i64) -> OnNode {
    let refused = set.and_then(|set| set.refused.as_ref()).filter(|(hash, ..)| *hash == expected.plan);
    match (unreachable(node, now), refused) {
        (Some(silent), _) => silent,
        (None, Some((_, reason, detail))) => OnNode::Rejected(reason.clone(), detail.clone()),
        (None, None) if set.is_some_and(|set| set.programmed == Some(expected.plan)) => OnNode::Programmed,
        (None, None) => expected.withheld().unwrap_or(OnNode::Pending),
    }
}

/// What became of an object on a node that is to have it.
pub(crate) fn found(placed: &Placed, expected: &Expected, node: &NodeState, now: i64) -> OnNode {
    match placed.set.as_ref().and(placed.key.as_ref()) {
        Some(key) => set_on_node(node.sets.get(&key.name), expected, node, now),
        None => on_node(placed, expected, node, now),
    }
}

fn on_node(placed: &Placed, expected: &Expected, node: &NodeState, now: i64) -> OnNode {
    if let Some(silent) = unreachable(node, now) {
        return silent;
    }
    let known = node.policies.get(&placed.uid).map(|known| &known.verdict);
    let is_newest = |verdict: &&PolicyVerdict| verdict.generation == placed.generation;
    // Also in an older plan, and where a newer one is refused: what that changes is another object's.
    if known.filter(is_newest).is_some_and(|verdict| verdict.stage() == VerdictStage::Programmed) {
        return OnNode::Programmed;
    }
    if let Some((_, reason, detail)) = node.refused.as_ref().filter(|(hash, ..)| *hash == expected.plan) {
        return OnNode::Rejected(reason.clone(), detail.clone());
    }
    match known {
        Some(verdict) if is_newest(&verdict) && verdict.stage() == VerdictStage::Rejected => {
            OnNode::Rejected(verdict.reason.clone(), verdict.detail.clone())
        }
        // Of a plan that says nothing of it, it is not known to be in force.
        _ => expected.withheld().unwrap_or_else(|| pending(node)),
    }
}

/// On its way, unless the node's agent cannot read what is sent: then nothing is.
pub(crate) fn pending(node: &NodeState) -> OnNode {
    if !node.greeted || Schema::newest_of(&node.plan_schemas).is_some() {
        return OnNode::Pending;
    }
    let reads: Vec<String> = node.plan_schemas.iter().map(u32::to_string).collect();
    let writes = Schema::ALL.map(|schema| schema.to_string()).join(" and ");
    OnNode::Rejected(
        reason::UNKNOWN_SCHEMA.to_owned(),
        format!(
            "its agent (version {}) reads plans in encoding {}, this operator writes {writes}: update the older of the \
             two; what the node enforces stays in force",
            node.version,
            reads.join(", ")
        ),
    )
}

fn count_drops(state: &mut PolicyState, placed: &Placed, node: &NodeState, now: i64) {
    for ((uid, _, verdict), total) in &node.counters {
        if *uid != placed.uid {
            continue;
        }
        match verdict.as_str() {
            "drop" => {
                state.dropped_packets += total.packets;
                if now - node.last_report <= RATE_MS {
                    state.dropped_per_second += total.packets_per_second;
                }
            }
            "oversize" => state.oversize += total.packets,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
