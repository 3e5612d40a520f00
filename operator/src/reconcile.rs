//! The one task that holds the index and the book, and decides when to plan.
//!
//! # Expected flow
//! desired state, greetings or health change → snapshot → plans → agreed → served (by the distribution server, which
//! follows the agreed state on its own). Verdicts and reports only change what is said.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use sluice_distribute::{AgentEvent, AgentEventKind};
use sluice_feed::KnownFeeds;
use sluice_index::{Capabilities, Desired, Index, IndexState, Node};
use sluice_plan::{Epoch, Fleet, Schema, encode};
use sluice_proto::v1::{self, Hello, NodeFacts};
use sluice_raft::{Bytes, Command, Lead, ProposeError, SCHEMAS, SUCCESSORS};
use sluice_replicas::Heard;
use sluice_status::Book;
use sluice_telemetry::Pulse;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use crate::backends::Votes;
use crate::clock::{now, steady};
use crate::edits::{Edits, versions};
use crate::feeds::{self, FeedDesk};
use crate::lints::Lints;
use crate::planner::{self, Planned};
use crate::revisions;
use crate::rollouts::Due;
use crate::streams::{At, Streams};
use crate::view::{View, view};
use crate::why::{Known, Question};

/// Key of the index's state among the agreed blobs.
const INDEX: &str = "index";
/// The view follows what agents say, but not sooner than this after the last,
const SHOW: Duration = Duration::from_millis(5);
/// and so that making it takes at most one part in so many of the time, however large the fleet.
const SHOW_SHARE: u32 = 10;
/// Without a word from any agent the view is made anew this often, so that silence shows; of a large fleet it takes
/// longer, so that the view takes at most one part in so many of the time, up to a bound.
const SHOW_SILENCE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(5));
const SILENCE_SHARE: u32 = 200;
/// Several causes within this become one plan,
const GATHER: Duration = Duration::from_millis(5);
/// and nodes that join wait until so many times as long as the last plan took has passed: a fleet is planned for in few steps.
const PLAN_SHARE: u32 = 3;
/// They wait for this for each node that is connected, too: every stream looks whether an epoch is news to its node.
const LOOK: Duration = Duration::from_micros(20);

pub struct Reconciler {
    lead: Lead,
    index: Index,
    book: Book,
    streams: Streams,
    /// Nodes that the cluster has; `None` where nodes are whoever joins.
    existing: Option<BTreeSet<String>>,
    /// Nodes that enforce what this store never agreed on.
    ahead: BTreeMap<String, Epoch>,
    planned: Planned,
    lints: Lints,
    shown: Instant,
    /// What the last view took to make.
    show_took: Duration,
    /// No plan is made before for nodes that join.
    join_not_before: Instant,
    view: watch::Sender<Arc<View>>,
    /// The source was read.
    synced: bool,
    feeds: FeedDesk,
    pulse: Pulse,
    edits: Edits,
}

/// What reaches the reconciler.
pub struct Inputs<'a> {
    pub desired: &'a mut watch::Receiver<Arc<Desired>>,
    pub agents: mpsc::Receiver<Heard>,
    /// Confirmations that a mass deletion was meant.
    pub confirm: &'a mut mpsc::Receiver<()>,
    pub questions: &'a mut mpsc::Receiver<Question>,
}

impl Reconciler {
    /// Starts from what was agreed before this replica came to decide.
    pub fn new(lead: Lead, view: watch::Sender<Arc<View>>, pulse: Pulse, edits: Edits) -> Reconciler {
        let agreed = lead.raft().state().borrow().clone();
        let state = agreed.blobs.get(INDEX).map_or_else(IndexState::default, |bytes| saved(bytes));
        let mut book = Book::default();
        for name in state.nodes.keys() {
            book.expect(name, steady());
        }
        let index = Index::restore(state).with_contents(feeds::contents(&agreed));
        let (mut planned, mut lints) = (Planned::agreed(index.snapshot(), &agreed), Lints::default());
        planned.warnings = lints.of(&index, &planned.snapshot);
        Reconciler {
            lead,
            planned,
            lints,
            index,
            book,
            streams: Streams::default(),
            existing: None,
            ahead: BTreeMap::new(),
            shown: Instant::now(),
            show_took: Duration::ZERO,
            join_not_before: Instant::now(),
            view,
            synced: false,
            feeds: FeedDesk::default(),
            pulse,
            edits,
        }
    }

    /// Runs until it is dropped.
    ///
    /// # Errors
    /// The store failed, or another replica may decide: nothing can be agreed any more.
    pub async fn run(mut self, mut inputs: Inputs<'_>) -> Result<Infallible, ProposeError> {
        self.index.set_time(now());
        let mut fed = self.feeds.open(&self.lead.raft().state().borrow());
        self.take_desired(inputs.desired, &fed);
        let mut plan_at = self.synced.then(Instant::now);
        self.show();
        let mut said = false;
        loop {
            self.pulse.beat();
            let mut joins = false;
            let changed = tokio::select! {
                // What agents say comes last: there is always more of it.
                biased;
                Ok(()) = inputs.desired.changed() => self.take_desired(inputs.desired, &fed),
                Ok(()) = fed.changed() => {
                    let known = fed.borrow_and_update().clone();
                    self.feeds.keep(&self.lead, &known).await?;
                    self.index.set_feeds(self.feeds.states(&self.index, &known))
                }
                () = sleep_until(self.expiry_at()), if self.index.next_expiry().is_some() => {
                    self.index.set_time(now())
                }
                Some(()) = inputs.confirm.recv() => self.index.confirm_mass_deletion(),
                Some(question) = inputs.questions.recv() => {
                    self.answer(question);
                    false
                }
                () = sleep_until(plan_at.unwrap_or_else(Instant::now)), if plan_at.is_some() => {
                    plan_at = None;
                    self.plan().await?
                }
                // What waits to be planned is not shown: the plans in force are not its plans.
                () = sleep_until(self.show_at(said)), if plan_at.is_none() => {
                    said = false;
                    self.show()
                }
                Some(heard) = inputs.agents.recv() => {
                    said = true;
                    joins = is_join(&heard);
                    self.hear(heard)
                }
            };
            // Before the source has spoken the agreed plans stay as they are.
            if changed && self.synced {
                let gathered = Instant::now() + GATHER;
                let due = if joins { gathered.max(self.join_not_before) } else { gathered };
                plan_at = Some(plan_at.map_or(due, |at| at.min(due)));
            }
        }
    }

    fn take_desired(
        &mut self,
        desired: &mut watch::Receiver<Arc<Desired>>,
        fed: &watch::Receiver<Arc<KnownFeeds>>,
    ) -> bool {
        let desired = desired.borrow_and_update().clone();
        // Half a list of objects is no list: what was agreed before stays.
        if !desired.synced {
            return false;
        }
        self.synced = true;
        self.existing = desired.nodes.as_ref().map(|nodes| nodes.keys().cloned().collect());
        let forgot = self.forget_deleted_nodes();
        let before = versions(&self.index);
        let changed = self.index.update(desired) || forgot;
        self.edits.begin(&before, &self.index);
        self.feeds.want(&self.index);
        self.index.set_feeds(self.feeds.states(&self.index, &fed.borrow())) || changed
    }

    /// When the next entry of a set leaves it.
    fn expiry_at(&self) -> Instant {
        Instant::now() + self.index.next_expiry().map_or(Duration::ZERO, |at| left(at, now()))
    }

    /// A node that the cluster no longer has is not waited for once its agent is gone too. True if there was one.
    fn forget_deleted_nodes(&mut self) -> bool {
        let Some(nodes) = &self.existing else { return false };
        let absent = self.index.state().nodes.keys().filter(|name| !nodes.contains(*name));
        let absent: Vec<String> = absent.cloned().collect();
        // Every one of them, not the first alone.
        absent.iter().filter(|name| self.forget_if_deleted(name)).count() > 0
    }

    fn forget_if_deleted(&mut self, name: &str) -> bool {
        let exists = self.existing.as_ref().is_none_or(|nodes| nodes.contains(name));
        if exists || self.is_connected(name) {
            return false;
        }
        self.book.forget(name);
        self.index.remove_node(name)
    }

    fn is_connected(&self, name: &str) -> bool {
        self.book.nodes().get(name).is_some_and(|node| node.connected)
    }

    /// True if the plans may have to change.
    fn hear(&mut self, heard: Heard) -> bool {
        match heard {
            Heard::Agent { replica, event } => self.take_agent_event(replica, event),
            Heard::RelayEnded(replica) => {
                let now = steady();
                for name in self.streams.relay_ended(replica) {
                    self.book.disconnected(&name, now);
                }
                self.forget_deleted_nodes()
            }
        }
    }

    fn take_agent_event(&mut self, replica: u64, event: AgentEvent) -> bool {
        let (name, now) = (event.node, steady());
        let at = At { replica, session: event.session };
        match event.kind {
            AgentEventKind::Connected(hello) => {
                if !self.streams.opened(&name, at, &hello) {
                    return false;
                }
                self.ahead.remove(&name);
                self.book.connected(&name, &hello, now);
                self.index.set_node(&name, node(&hello))
            }
            AgentEventKind::Disconnected => {
                // A restarted agent may be back before its old stream is seen to end.
                if self.streams.closed(&name, at) {
                    self.book.disconnected(&name, now);
                }
                self.forget_if_deleted(&name)
            }
            AgentEventKind::Ahead { epoch, cluster_id } => {
                tracing::error!(
                    node = name, %epoch, cluster = cluster_id,
                    "this node enforces an epoch that this store never agreed on: the volume was lost or is an older \
                     copy; restore it, or run `kubectl sluice recover`"
                );
                self.ahead.insert(name, epoch);
                false
            }
            AgentEventKind::Verdicts(_) | AgentEventKind::Report(_) if !self.streams.counts(&name, at) => {
                false
            }
            AgentEventKind::Verdicts(verdicts) => {
                self.book.verdicts(&name, &verdicts, now);
                false
            }
            AgentEventKind::Report(report) => {
                let before = (!report.backends.is_empty()).then(|| self.unhealthy());
                self.book.report(&name, &report, now);
                let moved = report.facts.as_ref().is_some_and(|facts| self.take_facts(&name, facts));
                moved || before.is_some_and(|before| before != self.unhealthy())
            }
        }
    }

    /// In the eyes of the nodes that balance by the present plans.
    fn unhealthy(&self) -> BTreeMap<String, BTreeSet<IpAddr>> {
        Votes::count(&self.planned.snapshot, &self.book).unhealthy()
    }

    fn take_facts(&mut self, name: &str, facts: &NodeFacts) -> bool {
        let Some(known) = self.index.state().nodes.get(name) else { return false };
        let node = Node { addresses: addresses(facts), ..known.clone() };
        self.index.set_node(name, node)
    }

    /// True if rollouts go on at once.
    async fn plan(&mut self) -> Result<bool, ProposeError> {
        let begun = Instant::now();
        let agreed = self.lead.raft().state().borrow().clone();
        self.index.begin_rollouts(steady());
        let snapshot = self.index.snapshot();
        let compiling = self.edits.step("compile");
        let unhealthy = Votes::count(&snapshot, &self.book).unhealthy();
        self.planned = planner::plan(snapshot, &agreed, &unhealthy);
        drop(compiling);
        let committing = self.edits.step("commit");
        for blobs in self.planned.shards(&agreed) {
            self.lead.propose(Command::PutBlobs { blobs }).await?;
        }
        let (classes, sets) = self.planned.fleet(&agreed);
        self.index.set_in_force(self.planned.in_force(), self.planned.filters_in_force());
        let saved = serde_json::to_vec(&SavedIndex::from(self.index.state()))
            .expect("index state has string keys only");
        let mut blobs = revisions::new(&self.index, &agreed, now());
        // With the plans: a restart never finds newer policies beside older plans.
        blobs.insert(INDEX.to_owned(), Bytes::from(saved));
        blobs.insert(SCHEMAS.to_owned(), self.planned.schemas.encoded());
        if !self.planned.successors.is_empty() || agreed.blobs.contains_key(SUCCESSORS) {
            blobs.insert(SUCCESSORS.to_owned(), self.planned.successors.encoded());
        }
        blobs.extend(self.edits.blob(&self.planned, &agreed));
        let command = Command::PutFleet {
            classes,
            sets,
            node_class: self.planned.node_class.clone(),
            rings: Bytes::from(encode(&self.planned.rings)),
            blobs,
        };
        let applied = self.lead.propose(command).await?;
        drop(committing);
        self.edits.agreed(applied.epoch);
        let outdated = revisions::outdated(&self.index, &self.lead.raft().state().borrow());
        for key in outdated {
            self.lead.propose(Command::RemoveBlob { key }).await?;
        }
        self.join_not_before =
            Instant::now() + (begun.elapsed() * PLAN_SHARE).max(LOOK * self.streams.open());
        // Behind the agreement: nodes do not wait for warnings.
        self.planned.warnings = self.lints.of(&self.index, &self.planned.snapshot);
        tracing::info!(epoch = %applied.epoch, classes = self.planned.classes.len(), "plans agreed");
        Ok(self.show())
    }

    /// By what was shown last: what waits to be planned is not known of any node yet.
    fn answer(&self, question: Question) {
        let Reconciler { index, planned, book, ahead, .. } = self;
        let view = &self.view.borrow();
        let answer = Known { index, planned, book, ahead, view }.answer(&question.key, &question.node);
        // Who asked may have hung up.
        _ = question.answer.send(answer);
    }

    fn show_at(&self, said: bool) -> Instant {
        let (least, most) = SHOW_SILENCE;
        let silent = (self.show_took * SILENCE_SHARE).clamp(least, most);
        let pace = if said { SHOW.max(self.show_took * SHOW_SHARE) } else { silent };
        let wave = self.index.next_wave().map(|at| Instant::now() + left(at, steady()));
        wave.map_or(self.shown + pace, |wave| wave.max(self.shown + SHOW).min(self.shown + pace))
    }

    /// Says what is known, and takes rollouts on by it. True if they moved.
    fn show(&mut self) -> bool {
        let (begun, now) = (Instant::now(), steady());
        let epoch = self.lead.raft().state().borrow().epoch;
        let due = Due::of(&self.planned);
        let seen = due.seen(&self.book, now);
        let mut shown = view(&self.index, &self.planned, &self.book, &seen, &self.ahead, epoch, now);
        shown.edits = self.edits.settled(&shown.objects);
        self.view.send_replace(Arc::new(shown));
        let moved = self.synced && self.index.observe_rollouts(&seen, now);
        self.shown = Instant::now();
        self.show_took = self.shown - begun;
        moved
    }
}

fn is_join(heard: &Heard) -> bool {
    matches!(heard, Heard::Agent { event: AgentEvent { kind: AgentEventKind::Connected(_), .. }, .. })
}

/// JSON has no keys but strings, so the map of objects is saved as a list.
#[derive(serde::Serialize, serde::Deserialize)]
struct SavedIndex {
    held: Vec<(sluice_index::ObjectKey, sluice_index::Held)>,
    nodes: BTreeMap<String, Node>,
    fleet: Fleet,
    #[serde(default)]
    services: BTreeMap<IpAddr, String>,
    #[serde(default)]
    pods: BTreeMap<IpAddr, String>,
    mass_deletion: Option<usize>,
}

/// Another version's may not be readable: then policies count from what the source says, and their last good versions
/// are not known.
fn saved(bytes: &[u8]) -> IndexState {
    match serde_json::from_slice::<SavedIndex>(bytes) {
        Ok(saved) => saved.into(),
        Err(error) => {
            tracing::warn!(%error, "the stored index cannot be read: last good versions are lost");
            IndexState::default()
        }
    }
}

impl From<&IndexState> for SavedIndex {
    fn from(state: &IndexState) -> SavedIndex {
        let IndexState { held, nodes, fleet, services, pods, mass_deletion } = state.clone();
        SavedIndex { held: held.into_iter().collect(), nodes, fleet, services, pods, mass_deletion }
    }
}

impl From<SavedIndex> for IndexState {
    fn from(saved: SavedIndex) -> IndexState {
        let SavedIndex { held, nodes, fleet, services, pods, mass_deletion } = saved;
        IndexState { held: held.into_iter().collect(), nodes, fleet, services, pods, mass_deletion }
    }
}

fn node(hello: &Hello) -> Node {
    Node {
        labels: hello.labels.clone().into_iter().collect(),
        addresses: hello.facts.as_ref().map(addresses).unwrap_or_default(),
        capabilities: capabilities(hello),
    }
}

fn capabilities(hello: &Hello) -> Capabilities {
    let bound = |number: u64| if number == 0 { u64::MAX } else { number };
    // One that reads none of ours is sent nothing.
    let schema = Schema::newest_of(&hello.plan_schemas).unwrap_or_default();
    let Some(v1::Capabilities { kernel: _, tcx, entries, set_prefixes, successors: _ }) = hello.capabilities
    else {
        return Capabilities { schema, ..Capabilities::default() };
    };
    Capabilities { tcx, entries: bound(entries.into()), set_prefixes: bound(set_prefixes), schema }
}

fn addresses(facts: &NodeFacts) -> BTreeSet<IpAddr> {
    facts.addresses.iter().filter_map(|address| address.parse().ok()).collect()
}

/// What is left until `at`.
fn left(at: i64, now: i64) -> Duration {
    Duration::from_millis((at - now).max(0).unsigned_abs())
}
