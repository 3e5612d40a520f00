//! Writes status: on change only, each object at most once a second.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use sluice_crds::{Condition, Kind};
use sluice_index::{Desired, Object, ObjectKey};
use sluice_status::writer::directory::DirectoryWriter;
use sluice_status::writer::kubernetes::KubernetesWriter;
use sluice_status::{
    NodeState, Placed, PolicyState, balancer_status, filter_status, node_status, set_status,
};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::view::View;

/// Counters alone move a status no more often than this.
const COUNTERS_EVERY: Duration = Duration::from_secs(30);
const ROUND: Duration = Duration::from_millis(200);
const PER_OBJECT: Duration = Duration::from_secs(1);
/// Writes in one round: a global budget that an API server does not feel.
const BUDGET: usize = 10;
/// To look at a view takes at most one part in so many of the time.
const SHARE: u32 = 20;

pub enum Writer {
    Directory(DirectoryWriter),
    Kubernetes(KubernetesWriter),
    #[cfg(test)]
    Nowhere,
}

pub struct Publisher {
    writer: Arc<Writer>,
    view: watch::Receiver<Arc<View>>,
    desired: watch::Receiver<Arc<Desired>>,
    written: BTreeMap<ObjectKey, Written>,
    /// By name, what is written of a node as it stands.
    settled: BTreeMap<String, Arc<NodeState>>,
    problems: Vec<String>,
}

struct Written {
    status: Value,
    conditions: Vec<Condition>,
    at: Instant,
}

/// What is to be said of an object.
struct Said {
    key: ObjectKey,
    status: Value,
    conditions: Vec<Condition>,
}

impl Publisher {
    pub fn new(
        writer: Arc<Writer>,
        view: watch::Receiver<Arc<View>>,
        desired: watch::Receiver<Arc<Desired>>,
    ) -> Publisher {
        let (written, settled) = (BTreeMap::new(), BTreeMap::new());
        Publisher { writer, view, desired, written, settled, problems: Vec::new() }
    }

    /// Runs until the view ends.
    pub async fn run(mut self) {
        // All of it is written.
        let mut done: Option<Arc<View>> = None;
        let mut pause = ROUND;
        loop {
            sleep(pause).await;
            if self.view.has_changed().is_err() {
                return;
            }
            let view = self.view.borrow().clone();
            // After a restart nobody was heard of yet: what was written before is nearer to the truth.
            if !view.settled || done.as_ref().is_some_and(|done| Arc::ptr_eq(done, &view)) {
                continue;
            }
            let begun = Instant::now();
            let unwritten = self.unwritten(&view);
            pause = ROUND.max(begun.elapsed() * SHARE);
            done = unwritten.is_empty().then(|| view.clone());
            self.write_due(unwritten).await;
            self.remove_gone(&view).await;
            self.write_problems(&view);
        }
    }

    async fn write_due(&mut self, unwritten: Vec<Said>) {
        let due: Vec<Said> = unwritten.into_iter().filter(|said| self.due(said)).take(BUDGET).collect();
        for Said { key, status, conditions } in due {
            let known = self.written.contains_key(&key);
            if let Err(error) = self.write(&key, &status, known).await {
                tracing::warn!(object = %key, %error, "status not written; tried again");
                continue;
            }
            self.written.insert(key, Written { status, conditions, at: Instant::now() });
        }
    }

    /// What was not written yet, or was written otherwise.
    fn unwritten(&mut self, view: &View) -> Vec<Said> {
        let now = jiff::Timestamp::now();
        let is_news = |said: &Said, written: &BTreeMap<ObjectKey, Written>| {
            written.get(&said.key).is_none_or(|written| written.status != said.status)
        };
        let objects =
            view.objects.iter().map(|(key, (placed, state))| self.of_object(key, placed, state, now));
        let mut unwritten: Vec<Said> = objects.filter(|said| is_news(said, &self.written)).collect();
        for (name, node) in &view.nodes {
            if self.settled.get(name).is_some_and(|settled| Arc::ptr_eq(settled, node)) {
                continue;
            }
            let said = self.of_node(name, node, now);
            if is_news(&said, &self.written) {
                self.settled.remove(name);
                unwritten.push(said);
            } else {
                self.settled.insert(name.clone(), node.clone());
            }
        }
        unwritten
    }

    fn of_object(&self, key: &ObjectKey, placed: &Placed, state: &PolicyState, now: jiff::Timestamp) -> Said {
        let previous = self.previous(key);
        let (status, conditions) = if key.kind == Kind::XdpFilter.name() {
            let status = filter_status(placed, state, &previous, now);
            (serde_json::to_value(&status), status.conditions)
        } else if key.kind == Kind::XdpAddressSet.name() {
            let status = set_status(placed, state, &previous, now);
            (serde_json::to_value(&status), status.conditions)
        } else {
            let status = balancer_status(placed, state, &previous, now);
            (serde_json::to_value(&status), status.conditions)
        };
        let status = status.expect("a status has string keys only");
        Said { key: key.clone(), status, conditions }
    }

    fn of_node(&self, name: &str, node: &NodeState, now: jiff::Timestamp) -> Said {
        let key = ObjectKey::new(Kind::XdpNode, "", name);
        let status = node_status(node, &self.previous(&key), now);
        let value = serde_json::to_value(&status).expect("a status has string keys only");
        Said { key, status: value, conditions: status.conditions }
    }

    /// Conditions as last written, or as found before this process wrote any.
    fn previous(&self, key: &ObjectKey) -> Vec<Condition> {
        if let Some(written) = self.written.get(key) {
            return written.conditions.clone();
        }
        let desired = self.desired.borrow();
        let found = desired.objects.get(key).and_then(|object| match object.as_ref() {
            Object::Filter(filter) => filter.status.as_ref().map(|status| status.conditions.clone()),
            Object::Balancer(balancer) => balancer.status.as_ref().map(|status| status.conditions.clone()),
            Object::Set(set) => set.status.as_ref().map(|status| status.conditions.clone()),
        });
        found.unwrap_or_default()
    }

    fn due(&self, said: &Said) -> bool {
        let Some(written) = self.written.get(&said.key) else { return true };
        let counters_only = without_counters(&said.status) == without_counters(&written.status);
        written.at.elapsed() >= if counters_only { COUNTERS_EVERY } else { PER_OBJECT }
    }

    async fn write(&self, key: &ObjectKey, status: &Value, known: bool) -> anyhow::Result<()> {
        match &*self.writer {
            #[cfg(test)]
            Writer::Nowhere => Ok(()),
            Writer::Directory(writer) => Ok(writer.write(key, status)?),
            Writer::Kubernetes(writer) => {
                if key.kind == Kind::XdpNode.name() && !known {
                    writer.create_node(&key.name).await?;
                }
                Ok(writer.write(key, status).await?)
            }
        }
    }

    async fn remove_gone(&mut self, view: &View) {
        let node = Kind::XdpNode.name();
        let gone: Vec<ObjectKey> = self
            .written
            .keys()
            .filter(|key| {
                !view.objects.contains_key(key) && (key.kind != node || !view.nodes.contains_key(&key.name))
            })
            .cloned()
            .collect();
        for key in gone {
            let removed = match &*self.writer {
                Writer::Directory(writer) => writer.remove(&key).map_err(anyhow::Error::from),
                Writer::Kubernetes(writer) if key.kind == node => {
                    writer.delete_node(&key.name).await.map_err(Into::into)
                }
                Writer::Kubernetes(_) => Ok(()),
                #[cfg(test)]
                Writer::Nowhere => Ok(()),
            };
            match removed {
                Ok(()) => {
                    self.written.remove(&key);
                    self.settled.remove(&key.name);
                }
                Err(error) => tracing::warn!(object = %key, %error, "status not removed; tried again"),
            }
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
        if let Writer::Directory(writer) = &*self.writer
            && let Err(error) = writer.write_problems(&problems)
        {
            tracing::warn!(%error, "the list of problems is not written");
        }
        self.problems = problems;
    }
}

fn without_counters(status: &Value) -> Value {
    let mut status = status.clone();
    if let Value::Object(fields) = &mut status {
        fields.remove("dropped");
        fields.remove("oversizePackets");
        if let Some(Value::Array(nics)) = fields.get_mut("nics") {
            for nic in nics.iter_mut().filter_map(Value::as_object_mut) {
                nic.retain(|name, _| !name.starts_with("rx"));
            }
        }
        fields.remove("softnet");
        fields.remove("lastFetch");
        if let Some(Value::Array(feeds)) = fields.get_mut("feeds") {
            for feed in feeds.iter_mut().filter_map(Value::as_object_mut) {
                feed.remove("lastFetch");
            }
        }
    }
    status
}
