//! Writes status: on change only, each object at most once a second; and tells of what changed.

mod outlet;

pub use outlet::Writer;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use sluice_crds::{Condition, Kind};
use sluice_index::{Desired, ObjectKey};
use sluice_status::{
    Change, News, NodeState, Notices, Pace, Placed, PolicyState, balancer_status, filter_status, node_status,
    set_status,
};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::clock::steady;
use crate::view::View;

/// Counters alone move a status no more often than this.
const COUNTERS_EVERY: Duration = Duration::from_secs(30);
const ROUND: Duration = Duration::from_millis(200);
/// Writes in any second: a budget that an API server does not feel.
const PER_SECOND: usize = 50;
/// To look at a view takes at most one part in so many of the time.
const SHARE: u32 = 20;

pub struct Publisher {
    writer: Arc<Writer>,
    view: watch::Receiver<Arc<View>>,
    desired: watch::Receiver<Arc<Desired>>,
    /// What the statuses are; by whoever decided before, until this replica has another.
    written: BTreeMap<ObjectKey, Written>,
    pace: Pace,
    news: News,
    /// By name, what is written of a node as it stands.
    settled: BTreeMap<String, Arc<NodeState>>,
    /// By name, how often each kind of drift on a node was told of.
    drift_told: BTreeMap<String, BTreeMap<String, u64>>,
    problems: Vec<String>,
}

struct Written {
    uid: String,
    status: Value,
    conditions: Vec<Condition>,
    at: Instant,
}

/// What is to be said of an object.
struct Said {
    key: ObjectKey,
    uid: String,
    status: Value,
    conditions: Vec<Condition>,
    /// From what is written.
    change: Change,
}

impl Publisher {
    pub fn new(
        writer: Arc<Writer>,
        view: watch::Receiver<Arc<View>>,
        desired: watch::Receiver<Arc<Desired>>,
    ) -> Publisher {
        Publisher {
            writer,
            view,
            desired,
            written: BTreeMap::new(),
            pace: Pace::new(PER_SECOND),
            news: News::default(),
            settled: BTreeMap::new(),
            drift_told: BTreeMap::new(),
            problems: Vec::new(),
        }
    }

    /// Runs until the view ends.
    pub async fn run(mut self) {
        self.find_written().await;
        // All of it is written.
        let mut done: Option<Arc<View>> = None;
        let mut pause = ROUND;
        loop {
            sleep(pause).await;
            if self.view.has_changed().is_err() {
                return;
            }
            self.tell().await;
            let view = self.view.borrow().clone();
            // After a restart nobody was heard of yet: what was written before is nearer to the truth.
            if !view.settled || done.as_ref().is_some_and(|done| Arc::ptr_eq(done, &view)) {
                continue;
            }
            let begun = Instant::now();
            let unwritten = self.unwritten(&view);
            pause = ROUND.max(begun.elapsed() * SHARE);
            done = unwritten.is_empty().then(|| view.clone());
            view.end_edits(|key| unwritten.iter().all(|said| said.key != *key));
            self.write_due(unwritten, &view).await;
            self.note_drift(&view);
            self.remove_gone(&view).await;
            self.write_problems(&view);
        }
    }

    /// Another replica may have written: what it said and is true needs no word.
    async fn find_written(&mut self) {
        let found = loop {
            match self.writer.found().await {
                Ok(found) => break found,
                Err(error) => tracing::warn!(%error, "statuses cannot be read; tried again"),
            }
            sleep(Duration::from_secs(1)).await;
        };
        let at = Instant::now();
        self.written = found
            .into_iter()
            .map(|(key, found)| {
                let conditions =
                    serde_json::from_value(found.status["conditions"].clone()).unwrap_or_default();
                (key, Written { uid: found.uid, status: found.status, conditions, at })
            })
            .collect();
    }

    async fn write_due(&mut self, mut unwritten: Vec<Said>, view: &View) {
        unwritten.sort_by_key(|said| self.written.get(&said.key).map(|written| written.at));
        for said in unwritten {
            if !self.is_due(&said) {
                continue;
            }
            match self.write(&said).await {
                Ok(uid) => {
                    view.end_edits(|key| *key == said.key);
                    self.wrote(said, uid);
                }
                Err(error) => {
                    tracing::warn!(object = %said.key, %error, "status not written; tried again");
                    // It may be the API server that is away, for all of them.
                    return;
                }
            }
        }
    }

    fn is_due(&mut self, said: &Said) -> bool {
        let age = self.written.get(&said.key).map(|written| written.at.elapsed());
        if said.change == Change::Counters && age.is_some_and(|age| age < COUNTERS_EVERY) {
            return false;
        }
        self.pace.take(&said.key, Instant::now().into_std())
    }

    /// The object's uid.
    async fn write(&self, said: &Said) -> anyhow::Result<String> {
        let known = self.written.get(&said.key).map(|written| written.uid.clone());
        let made = match known {
            None if said.key.kind == Kind::XdpNode.name() => self.writer.create_node(&said.key.name).await?,
            known => known.unwrap_or_default(),
        };
        self.writer.write(&said.key, &said.status).await?;
        Ok(if said.uid.is_empty() { made } else { said.uid.clone() })
    }

    fn wrote(&mut self, said: Said, uid: String) {
        let Said { key, status, conditions, .. } = said;
        let before = self.written.get(&key).map(|written| &written.status);
        for notice in Notices::new(&key, &uid).of_change(before, &status) {
            self.news.add(notice, Instant::now().into_std());
        }
        self.written.insert(key, Written { uid, status, conditions, at: Instant::now() });
    }

    /// What was not written yet, or was written otherwise.
    fn unwritten(&mut self, view: &View) -> Vec<Said> {
        let (now, steady) = (jiff::Timestamp::now(), steady());
        let objects =
            view.objects.iter().map(|(key, (placed, state))| self.of_object(key, placed, state, now));
        let mut unwritten: Vec<Said> = objects.filter(|said| said.change != Change::Nothing).collect();
        for (name, node) in &view.nodes {
            if self.settled.get(name).is_some_and(|settled| Arc::ptr_eq(settled, node)) {
                continue;
            }
            let said = self.of_node(name, node, now, steady);
            if said.change != Change::Nothing {
                self.settled.remove(name);
                unwritten.push(said);
            } else if node.connected || node.is_silent(steady) {
                self.settled.insert(name.clone(), node.clone());
            }
        }
        unwritten
    }

    fn of_object(&self, key: &ObjectKey, placed: &Placed, state: &PolicyState, now: jiff::Timestamp) -> Said {
        let previous = self.previous(key);
        let (status, conditions) = if key.kind == Kind::XdpFilter.name() {
            let status = filter_status(placed, state, previous, now);
            (serde_json::to_value(&status), status.conditions)
        } else if key.kind == Kind::XdpAddressSet.name() {
            let status = set_status(placed, state, previous, now);
            (serde_json::to_value(&status), status.conditions)
        } else {
            let status = balancer_status(placed, state, previous, now);
            (serde_json::to_value(&status), status.conditions)
        };
        let status = status.expect("a status has string keys only");
        self.said(key.clone(), placed.uid.clone(), status, conditions)
    }

    fn of_node(&self, name: &str, node: &NodeState, now: jiff::Timestamp, steady: i64) -> Said {
        let key = ObjectKey::new(Kind::XdpNode, "", name);
        let status = node_status(node, self.previous(&key), now, steady);
        let mut value = serde_json::to_value(&status).expect("a status has string keys only");
        if let Some(written) = self.written.get(&key).filter(|_| !node.greeted) {
            // Nothing is known of the node itself since this replica decides.
            let conditions = value["conditions"].take();
            value = written.status.clone();
            value["conditions"] = conditions;
        }
        self.said(key, String::new(), value, status.conditions)
    }

    fn said(&self, key: ObjectKey, uid: String, status: Value, conditions: Vec<Condition>) -> Said {
        let written = self.written.get(&key);
        let change = written.map_or(Change::Words, |written| Change::between(&written.status, &status));
        Said { key, uid, status, conditions, change }
    }

    /// Conditions as last written.
    fn previous(&self, key: &ObjectKey) -> &[Condition] {
        self.written.get(key).map_or(&[], |written| &written.conditions)
    }

    async fn remove_gone(&mut self, view: &View) {
        let gone: Vec<ObjectKey> =
            self.written.keys().filter(|key| self.is_gone(key, view)).cloned().collect();
        for key in gone {
            match self.writer.remove(&key).await {
                Ok(()) => {
                    self.written.remove(&key);
                    self.settled.remove(&key.name);
                    self.drift_told.remove(&key.name);
                }
                Err(error) => tracing::warn!(object = %key, %error, "status not removed; tried again"),
            }
        }
    }

    /// A node that the cluster has may yet be heard of.
    fn is_gone(&self, key: &ObjectKey, view: &View) -> bool {
        if key.kind != Kind::XdpNode.name() {
            return !view.objects.contains_key(key);
        }
        let exists = self.desired.borrow().nodes.as_ref().is_some_and(|nodes| nodes.contains_key(&key.name));
        !view.nodes.contains_key(&key.name) && !exists
    }

    /// Once the node has an object that it can be told of.
    fn note_drift(&mut self, view: &View) {
        let drifting = view.nodes.iter().filter(|(_, node)| !node.drift.is_empty());
        for (name, node) in drifting {
            let key = ObjectKey::new(Kind::XdpNode, "", name);
            let Some(written) = self.written.get(&key) else { continue };
            let told = self.drift_told.entry(name.clone()).or_default();
            let known = |what: &str| told.get(what).copied().unwrap_or_default();
            for notice in Notices::new(&key, &written.uid).of_drift(node, known) {
                self.news.add(notice, Instant::now().into_std());
            }
            told.extend(node.drift.iter().map(|(what, drift)| (what.clone(), drift.times)));
        }
    }

    async fn tell(&mut self) {
        while let Some(notice) = self.news.next(Instant::now().into_std()) {
            if let Err(error) = self.writer.tell(&notice).await {
                tracing::warn!(object = %notice.object, reason = notice.reason, %error, "an event is lost");
                return;
            }
        }
        let left_out = self.news.take_left_out();
        if left_out > 0 {
            tracing::info!(left_out, "more events than anybody would read; statuses say how things are");
        }
    }

    fn write_problems(&mut self, view: &View) {
        let problems: Vec<String> = view.problems.iter().map(ToString::to_string).collect();
        if problems == self.problems {
            return;
        }
        for problem in problems.iter().filter(|problem| !self.problems.contains(problem)) {
            tracing::warn!(%problem, "not in force; the last good version is");
        }
        self.writer.write_problems(&problems);
        self.problems = problems;
    }
}
