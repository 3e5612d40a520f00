//! What each agent said last.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sluice_plan::{Epoch, Hash};
use sluice_proto::PLAN;
use sluice_proto::v1::{self, Hello, NodeFacts, Report, VerdictStage, Verdicts};

/// Without a word for this long a node is unreachable; a reconnect takes less.
pub const SILENCE_MS: i64 = 5_000;
/// So long a node that is known from before a restart may take to come back: the longest wait of an agent between two
/// attempts is 30 s.
pub const RETURN_MS: i64 = 30_000 + SILENCE_MS;
/// Without a report for this long nothing is counted any more: an agent sends none when nothing has changed.
pub(crate) const RATE_MS: i64 = 3_000;
/// Drift of longer ago was told to whoever decided then.
const RECENT_MS: i64 = 60_000;
/// Kinds of drift that a node is believed to know.
const KINDS: usize = 32;

/// The statistic of every packet that met a program.
const PACKETS: &str = "packets";
/// Those of what befell packets to virtual addresses: a backend got it, or none did.
const TRANSMITTED: &str = "transmitted";
const FAILED: [&str; 3] = ["no_backend", "no_next_hop", "oversize"];

/// Policy uid, counter name, verdict.
pub type CounterKey = (String, String, String);

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Total {
    pub packets: u64,
    pub bytes: u64,
    /// Over the last report's interval.
    pub packets_per_second: f64,
}

#[derive(Clone, Debug, Default)]
pub struct NodeState {
    pub connected: bool,
    /// Greeted since this operator began to listen.
    pub greeted: bool,
    /// And said what it enforces.
    pub spoken: bool,
    /// Of the boot that its agent spoke in last.
    pub boot_id: String,
    /// Unix milliseconds.
    pub joined: i64,
    pub last_seen: i64,
    pub last_report: i64,
    pub version: String,
    /// Encodings of plans that its agent reads.
    pub plan_schemas: Vec<u32>,
    /// `None` of an agent that does not say.
    pub capabilities: Option<v1::Capabilities>,
    pub facts: NodeFacts,
    pub epoch: Option<Epoch>,
    /// Hash of the plan that the kernel holds, and how far it came.
    pub plan: Option<(Hash, VerdictStage)>,
    /// What the largest of its programs takes.
    pub program: Option<v1::ProgramSize>,
    /// Of the newest plan that was refused.
    pub refused: Option<(Hash, String, String)>,
    /// Address sets, by name.
    pub sets: BTreeMap<String, SetOnNode>,
    /// By policy uid.
    pub policies: BTreeMap<String, PolicyOnNode>,
    pub counters: BTreeMap<CounterKey, Total>,
    pub stats: BTreeMap<String, u64>,
    /// That met any policy, over the last report's interval.
    pub packets_per_second: f64,
    /// To virtual addresses, and those of them that reached no backend; over the same interval.
    pub balanced_per_second: f64,
    pub failed_per_second: f64,
    /// By policy uid and backend address.
    pub backends: BTreeMap<(String, String), v1::BackendHealth>,
    /// What others did on the node, by what it was.
    pub drift: BTreeMap<String, DriftOnNode>,
}

/// Something that was found otherwise than the agent had left it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DriftOnNode {
    /// Since this operator heard of the node.
    pub times: u64,
    /// The last time: where, and whether all was as it was again.
    pub place: String,
    pub repaired: bool,
    pub(crate) at: i64,
    /// As the agent counts.
    pub(crate) counted: u64,
}

/// What a node says of a policy that is in its plan.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PolicyOnNode {
    pub verdict: v1::PolicyVerdict,
    /// Since when it has said so of this generation, as far as this process has heard it. Unix milliseconds.
    pub since: i64,
}

/// An address set in a node's kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SetOnNode {
    /// Hash of what was read back.
    pub programmed: Option<Hash>,
    pub kernel_bytes: u64,
    /// Of the newest contents that were refused: hash, reason and detail.
    pub refused: Option<(Hash, String, String)>,
}

/// The nodes' last words. Times are Unix milliseconds and passed in. Views share what has not changed since.
#[derive(Debug, Default)]
pub struct Book {
    nodes: BTreeMap<String, Arc<NodeState>>,
}

impl Book {
    pub fn nodes(&self) -> &BTreeMap<String, Arc<NodeState>> {
        &self.nodes
    }

    /// A node that is known from before a restart, and silent until its agent is back. It does not join, so it is
    /// never left out of what must be programmed.
    pub fn expect(&mut self, name: &str, now: i64) {
        self.nodes
            .entry(name.to_owned())
            .or_insert_with(|| Arc::new(NodeState { last_seen: now, ..NodeState::default() }));
    }

    fn node(&mut self, name: &str) -> Option<&mut NodeState> {
        self.nodes.get_mut(name).map(Arc::make_mut)
    }

    /// True once every known node has said what it enforces, or has been silent for too long.
    pub fn settled(&self, now: i64) -> bool {
        self.nodes.values().all(|node| node.spoken || node.is_silent(now))
    }

    pub fn forget(&mut self, name: &str) {
        self.nodes.remove(name);
    }

    pub fn connected(&mut self, name: &str, hello: &Hello, now: i64) {
        let node = self
            .nodes
            .entry(name.to_owned())
            .or_insert_with(|| Arc::new(NodeState { joined: now, ..NodeState::default() }));
        let node = Arc::make_mut(node);
        if node.boot_id != hello.boot_id {
            // Its kernel is another, and holds nothing until its agent says so.
            (node.plan, node.spoken) = (None, false);
            node.policies.clear();
            node.sets.clear();
            node.boot_id.clone_from(&hello.boot_id);
        }
        node.connected = true;
        node.greeted = true;
        // Who enforces nothing need not say so.
        node.spoken |= hello.last_epoch.is_none();
        node.last_seen = now;
        node.version = hello.version.clone();
        node.plan_schemas = hello.plan_schemas.clone();
        node.capabilities = hello.capabilities.clone();
        node.facts = hello.facts.clone().unwrap_or_default();
    }

    pub fn disconnected(&mut self, name: &str, now: i64) {
        if let Some(node) = self.node(name) {
            node.connected = false;
            node.last_seen = now;
        }
    }

    pub fn seen(&mut self, name: &str, now: i64) {
        if let Some(node) = self.node(name) {
            node.last_seen = now;
        }
    }

    pub fn verdicts(&mut self, name: &str, verdicts: &Verdicts, now: i64) {
        let Some(node) = self.node(name) else { return };
        node.last_seen = now;
        node.spoken = true;
        let epoch = verdicts.epoch.map(Epoch::from);
        // They name everything that is enforced, and what was refused.
        let named: BTreeSet<&str> = verdicts.resources.iter().map(|resource| resource.key.as_str()).collect();
        node.sets.retain(|name, _| named.contains(format!("set/{name}").as_str()));
        for resource in &verdicts.resources {
            let Some(hash) = Hash::from_slice(&resource.hash) else { continue };
            if let Some(name) = resource.key.strip_prefix("set/") {
                node.sets.entry(name.to_owned()).or_default().take(hash, resource);
                continue;
            }
            if resource.key != PLAN {
                continue;
            }
            match resource.stage() {
                VerdictStage::Programmed => {
                    node.plan = Some((hash, VerdictStage::Programmed));
                    node.refused = None;
                    node.epoch = epoch;
                    node.program = resource.program;
                    node.policies = by_uid(&resource.policies, &node.policies, now);
                }
                VerdictStage::Rejected | VerdictStage::RolledBack => {
                    node.refused = Some((hash, resource.reason.clone(), resource.detail.clone()));
                }
                VerdictStage::Accepted | VerdictStage::Unspecified => {}
            }
        }
    }

    pub fn report(&mut self, name: &str, report: &Report, now: i64) {
        let Some(node) = self.node(name) else { return };
        node.last_seen = now;
        let seconds = ((now - node.last_report).clamp(100, 60_000)) as f64 / 1000.0;
        node.last_report = now;
        // What is not reported has not changed.
        node.counters.values_mut().for_each(|total| total.packets_per_second = 0.0);
        for sample in &report.counters {
            let key = (sample.policy_uid.clone(), sample.name.clone(), sample.verdict.clone());
            let packets_per_second = sample.packets_delta as f64 / seconds;
            node.counters
                .insert(key, Total { packets: sample.packets, bytes: sample.bytes, packets_per_second });
        }
        // Of what a node says for the first time it is not known since when.
        let more = |name: &str| {
            let (before, now) = node.stats.get(name).zip(report.stats.get(name))?;
            Some(now.saturating_sub(*before))
        };
        let rate = |name: &str| more(name).unwrap_or_default() as f64 / seconds;
        let (met, sent) = (rate(PACKETS), rate(TRANSMITTED));
        let failed = FAILED.iter().map(|name| rate(name)).sum();
        node.packets_per_second = met;
        (node.balanced_per_second, node.failed_per_second) = (sent + failed, failed);
        node.stats.extend(report.stats.iter().map(|(name, value)| (name.clone(), *value)));
        for health in &report.backends {
            node.backends.insert((health.policy_uid.clone(), health.address.clone()), health.clone());
        }
        if let Some(facts) = &report.facts {
            node.facts = facts.clone();
        }
        for drift in &report.drift {
            if node.drift.contains_key(&drift.what) || node.drift.len() < KINDS {
                node.drift.entry(drift.what.clone()).or_default().take(drift, now);
            }
        }
    }
}

impl NodeState {
    /// Without a connection, and for longer than coming back takes.
    pub fn is_silent(&self, now: i64) -> bool {
        let patience = if self.greeted { SILENCE_MS } else { RETURN_MS };
        !self.connected && now - self.last_seen > patience
    }
}

impl DriftOnNode {
    /// An agent says on each stream what it counted before, and begins at 1 when it starts.
    fn take(&mut self, said: &v1::Drift, now: i64) {
        let age = i64::try_from(said.age_ms).unwrap_or(i64::MAX);
        let at = now.saturating_sub(age);
        let counted_on = said.count.checked_sub(self.counted).filter(|more| self.counted > 0 && *more > 0);
        // The moment is told within what a message takes on its way.
        let is_new = counted_on.is_some() || at > self.at + 500;
        if is_new && age <= RECENT_MS {
            self.times += counted_on.unwrap_or(1);
            (self.place, self.repaired, self.at) = (said.place.clone(), said.repaired, at);
        }
        self.counted = said.count;
    }
}

impl SetOnNode {
    fn take(&mut self, hash: Hash, verdict: &v1::ResourceVerdict) {
        match verdict.stage() {
            VerdictStage::Programmed => {
                *self =
                    SetOnNode { programmed: Some(hash), kernel_bytes: verdict.kernel_bytes, refused: None };
            }
            VerdictStage::Rejected | VerdictStage::RolledBack => {
                self.refused = Some((hash, verdict.reason.clone(), verdict.detail.clone()));
            }
            VerdictStage::Accepted | VerdictStage::Unspecified => {}
        }
    }
}

fn by_uid(
    verdicts: &[v1::PolicyVerdict],
    before: &BTreeMap<String, PolicyOnNode>,
    now: i64,
) -> BTreeMap<String, PolicyOnNode> {
    let is_same = |one: &v1::PolicyVerdict, other: &v1::PolicyVerdict| {
        (one.generation, one.stage()) == (other.generation, other.stage())
    };
    let on_node = |verdict: &v1::PolicyVerdict| {
        let known = before.get(&verdict.uid).filter(|known| is_same(&known.verdict, verdict));
        (
            verdict.uid.clone(),
            PolicyOnNode { verdict: verdict.clone(), since: known.map_or(now, |it| it.since) },
        )
    };
    verdicts.iter().map(on_node).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drift_is_news_once_whichever_stream_tells_it() {
        let mut book = Book::default();
        let hear = |book: &mut Book, count: u64, age_ms: u64, now: i64| {
            let drift = v1::Drift { what: "pin_removed".into(), count, age_ms, ..v1::Drift::default() };
            book.report("a", &Report { drift: vec![drift], ..Report::default() }, now);
            book.nodes()["a"].drift["pin_removed"].times
        };
        book.connected("a", &Hello::default(), 0);
        assert_eq!(hear(&mut book, 7, 3_600_000, 10_000), 0, "told to whoever decided then");
        assert_eq!(hear(&mut book, 8, 100, 20_000), 1);
        assert_eq!(hear(&mut book, 8, 5_100, 25_000), 1, "said again on another stream");
        assert_eq!(hear(&mut book, 11, 0, 30_000), 4);
        assert_eq!(hear(&mut book, 1, 0, 40_000), 5, "the agent was started anew");
    }
}
