//! What outlives the processes: disks, the source, and what the checks look at.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use serde_json::json;
use sluice_client::Held;
use sluice_crds::Kind;
use sluice_index::{Desired, Object, ObjectKey};
use sluice_pki::Authority;
use sluice_raft::Raft;
use sluice_raft::simulated::Disk;
use sluice_rollout::Phase;
use tokio::sync::watch;

use super::record::{Record, wanted_of};
use super::{AGENTS, REPLICAS};
use crate::view::View;

#[derive(Clone)]
pub struct World {
    pub seed: u64,
    pub disks: Vec<Disk>,
    /// What each replica reads of the source.
    pub desired: Vec<watch::Sender<Arc<Desired>>>,
    pub held: Vec<Arc<Mutex<OnDisk>>>,
    pub authority: Arc<Authority>,
    pub record: Arc<Record>,
    running: Arc<Mutex<Vec<Option<Running>>>>,
    newest: Arc<Mutex<BTreeMap<String, i64>>>,
}

/// What an agent has on its disk.
#[derive(Clone, Default)]
pub struct OnDisk {
    pub held: Held,
    pub plan: Vec<sluice_plan::PolicyRef>,
    pub starts: u64,
}

/// A replica whose store is open.
#[derive(Clone)]
pub struct Running {
    pub raft: Raft,
    pub view: watch::Receiver<Arc<View>>,
    /// Its store failed: it is to be started anew.
    pub failed: bool,
}

pub fn replica(index: usize) -> String {
    format!("replica-{index}")
}

pub fn agent(index: usize) -> String {
    format!("edge-{index}")
}

thread_local! {
    static JUMPED: Cell<i64> = const { Cell::new(0) };
}

/// What clocks show at the beginning.
pub const BEGINNING: i64 = 1_900_000_000_000;

/// What they were set by since.
pub fn jumped() -> i64 {
    JUMPED.get()
}

/// Sets all clocks.
pub fn jump(milliseconds: i64) {
    JUMPED.set(JUMPED.get() + milliseconds);
}

impl World {
    pub fn new(seed: u64) -> World {
        JUMPED.set(0);
        World {
            seed,
            disks: (0..REPLICAS).map(|_| Disk::default()).collect(),
            desired: (0..REPLICAS).map(|_| watch::channel(Arc::default()).0).collect(),
            held: (0..AGENTS).map(|_| Arc::default()).collect(),
            authority: Arc::new(Authority::generate(SystemTime::now()).unwrap().0),
            record: Arc::default(),
            running: Arc::new(Mutex::new(vec![None; REPLICAS])),
            newest: Arc::default(),
        }
    }

    pub fn running(&self) -> MutexGuard<'_, Vec<Option<Running>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A policy's next version, as a source shows it from now on; none deletes it.
    pub fn edit(&self, name: &str, port: Option<u16>, in_waves: bool) -> Arc<Desired> {
        let mut newest = self.newest.lock().unwrap();
        let before =
            self.desired.iter().map(|desired| desired.borrow().clone()).max_by_key(|one| weight(one));
        let mut next = Desired::clone(&before.unwrap_or_default());
        next.synced = true;
        let key = ObjectKey::new(Kind::XdpFilter, "", name);
        match port {
            Some(port) => {
                let generation = newest.entry(name.to_owned()).or_default();
                *generation += 1;
                next.objects.insert(key, Arc::new(filter(name, *generation, port, in_waves)));
            }
            None => _ = next.objects.remove(&key),
        }
        Arc::new(next)
    }

    /// What is not as it should be in the end.
    pub fn missing(&self) -> Option<String> {
        let running = self.running();
        let open: Vec<&Running> = running.iter().flatten().filter(|one| !one.failed).collect();
        if open.len() < REPLICAS {
            return Some(format!("{} of {REPLICAS} replicas run", open.len()));
        }
        let decide = open.iter().filter(|one| one.view.borrow().known).collect::<Vec<_>>();
        let [decides] = decide[..] else { return Some(format!("{} replicas decide", decide.len())) };
        let states: Vec<_> = open.iter().map(|one| one.raft.state().borrow().clone()).collect();
        if states.iter().any(|state| state != &states[0]) {
            let epochs = states.iter().map(|state| state.epoch.to_string()).collect::<Vec<_>>();
            return Some(format!("the replicas are at epochs {}", epochs.join(", ")));
        }
        let wanted = self.desired[0].borrow().clone();
        let view = decides.view.borrow().clone();
        for (key, object) in &wanted.objects {
            let Object::Filter(filter) = &**object else { continue };
            let Some((placed, state)) = view.objects.get(key) else {
                return Some(format!("{key} is not known"));
            };
            let rolling = placed.rolling.as_ref().map(|rolling| &rolling.standing);
            let wanted = filter.metadata.generation.unwrap_or_default();
            // Agents that crash fall silent, and a gate takes back what they were sent: that is an end, too.
            let taken_back =
                rolling.is_some_and(|rolling| matches!(rolling.phase, Phase::RolledBack(Some(_))));
            if placed.generation == wanted && taken_back {
                continue;
            }
            if placed.generation != wanted || placed.in_force.is_some() {
                let why = rolling.map_or("", |rolling| &rolling.words);
                return Some(format!("{key} is at {} instead of {wanted}: {why}", placed.generation));
            }
            if (state.desired, state.programmed) != (AGENTS as u32, AGENTS as u32) {
                let (programmed, desired, failing) = (state.programmed, state.desired, &state.failing);
                return Some(format!("{key} is on {programmed} of {desired} nodes: {failing:?}"));
            }
        }
        self.held.iter().enumerate().find_map(|(index, disk)| {
            let held = disk.lock().unwrap().held.fleet_hash();
            (wanted_of(&states[0], &agent(index)) != Some(held))
                .then(|| format!("{} does not enforce what was agreed on last", agent(index)))
        })
    }
}

/// Later states have more generations in sum.
fn weight(desired: &Desired) -> (bool, usize) {
    (desired.synced, desired.objects.len())
}

fn filter(name: &str, generation: i64, port: u16, in_waves: bool) -> Object {
    let steps = json!({"steps": [{"nodes": "50%", "hold": "1s"}, {"nodes": "100%", "hold": "1s"}]});
    let mut spec = json!({
        "interfaces": {"names": ["eth0"]},
        "rules": [{"name": "bad", "action": "Drop", "match": {"protocols": ["UDP"], "destinationPorts": [port.to_string()]}}],
    });
    if in_waves {
        spec["rollout"] = steps;
    }
    let value = json!({
        "apiVersion": "sluice.dev/v1alpha1", "kind": "XdpFilter",
        "metadata": {"name": name, "uid": format!("uid-of-{name}"), "generation": generation},
        "spec": spec,
    });
    Object::Filter(serde_json::from_value(value).expect("a filter"))
}
