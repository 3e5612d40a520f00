//! One update: decode, put in force, keep, answer.

use std::sync::Arc;

use sluice_client::Update;
use sluice_datapath::{Applied, Datapath, LocalInterface, Problem, reason};
use sluice_plan::{Epoch, Hash, NodePlan};
use sluice_proto::{PLAN as PLAN_KEY, SET, moment_of};
use sluice_store::{PLAN, SEAL, SETS, SUCCESSORS, Store, StoredPlan};
use sluice_telemetry::step;
use tokio::time::Instant;
use tracing::Span;
use tracing::field::display;

use super::Engine;
use super::sets::{self, Manifests};
use super::standing::{Origin, Refused};
use super::trial::SETTLE;
use crate::confirmation::{self, Confirmation};
use crate::local;
use crate::records::{CLUSTER, DATAPATH, OFFERED};
use crate::succession::{Named, Succession, now};

const STATE_NOT_KEPT: &str = "StateNotKept";

/// A plan that the operator wants and this node has no place for yet: on its disk, or on a bpf file system.
pub(super) struct Unkept {
    origin: Origin,
    wanted: Wanted,
}

/// A plan with its address sets.
#[derive(Clone)]
pub(super) struct Wanted {
    succession: Succession,
    manifests: Arc<Manifests>,
}

impl Wanted {
    pub fn new(succession: Succession, manifests: Manifests) -> Wanted {
        let manifests = Arc::new(sets::of_plan(manifests, &succession.first().plan));
        Wanted { succession, manifests }
    }

    /// With the sets that it has already.
    pub fn of(succession: Succession, manifests: Arc<Manifests>) -> Wanted {
        Wanted { succession, manifests }
    }

    /// Of the plan whose turn it is.
    pub fn hash(&self) -> Hash {
        self.succession.now().hash
    }
}

impl Engine {
    pub(super) async fn update(&mut self, update: Update) -> anyhow::Result<()> {
        self.standing.nonce = update.nonce;
        self.unkept = None;
        let before = self.standing.manifests.clone();
        let manifests = sets::after(&update, &before);
        let epoch = update.epoch;
        self.edit = step("apply", &update.traces);
        self.edit.record("epoch", display(epoch));
        let origin = Origin { cluster: update.cluster_id.clone(), epoch, seal: update.seal.clone() };
        let known = |key: &str| key == PLAN_KEY || key.starts_with(SET) || moment_of(key).is_some();
        let unknown = update.set.iter().map(|(key, ..)| key).find(|key| !known(key));
        let offered = update.set.iter().find(|(key, ..)| key == PLAN_KEY).map(|(_, hash, _)| *hash);
        if let Some(unknown) = unknown {
            let detail = format!("resource `{unknown}` is of a later version of Sluice: update the agent");
            self.refuse(epoch, Hash::default(), &manifests, problem("UnknownResource", detail));
        } else {
            match self.standing.succession.after(&update) {
                Ok(succession) => {
                    let wanted = Wanted::new(succession.at(now()), manifests);
                    let is_offered = offered.is_some() || update.removed.iter().any(|key| key == PLAN_KEY);
                    self.want(origin, wanted, is_offered).await?;
                }
                Err(error) => {
                    let hash = offered.unwrap_or_default();
                    self.refuse(epoch, hash, &manifests, problem("InvalidPlan", error.to_string()));
                }
            }
        }
        self.edit = Span::none();
        self.publish();
        // An update is answered even if there is nothing new to say: each stream counts from one, so the answer to the
        // last operator may read like the one to this.
        self.outlets.verdicts.send_modify(|_| ());
        // After the answer, which need not wait for it.
        if self.standing.manifests != before {
            self.forget_shards().await?;
        }
        Ok(())
    }

    /// With `is_offered`, the plan came with the update; otherwise there may be nothing to do for the kernel.
    async fn want(&mut self, origin: Origin, wanted: Wanted, is_offered: bool) -> anyhow::Result<()> {
        let differs = self.standing.hash().is_some_and(|hash| hash != wanted.hash());
        let moves = self.standing.hash().is_some() && wanted.manifests != self.standing.manifests;
        if is_offered || differs || moves {
            return self.offered(origin, wanted).await;
        }
        self.standing.forget_refusal();
        self.forget_taken_back();
        self.confirm_again(origin, wanted).await
    }

    async fn offered(&mut self, origin: Origin, wanted: Wanted) -> anyhow::Result<()> {
        if self.was_taken_back(wanted.succession.first().hash) {
            self.tell_of_trial();
            return Ok(());
        }
        let Named { hash, plan } = wanted.succession.now();
        let trial = self.trial_of(*hash, plan);
        self.put_in_force(origin, wanted, trial).await
    }

    pub(super) async fn put_in_force(
        &mut self,
        origin: Origin,
        wanted: Wanted,
        trial: Option<Confirmation>,
    ) -> anyhow::Result<()> {
        let Wanted { succession, manifests } = wanted.clone();
        let Named { hash, plan } = succession.now().clone();
        let epoch = origin.epoch;
        self.tell_addresses(&plan).await?;
        let order = Order {
            origin: origin.clone(),
            succession: succession.clone(),
            manifests: manifests.clone(),
            former_manifests: self.standing.manifests.clone(),
            interfaces: local::interfaces(&self.facts, &plan),
            former: self.standing.epoch().map(|_| self.standing.plan.clone()),
            store: self.store.clone(),
            set_prefixes: self.set_prefixes,
            trial: trial.clone(),
        };
        self.find_drift().await?;
        let edit = self.edit.clone();
        match self.kernel.call(move |datapath| edit.in_scope(|| order.run(datapath))).await? {
            Ok(applied) => {
                let (took_ms, loaded) = (applied.took.as_millis() as u64, applied.loaded);
                tracing::info!(%epoch, %hash, took_ms, loaded, "plan in force");
                self.edit.clone().in_scope(|| {
                    let _confirming = tracing::info_span!("confirm").entered();
                    self.standing.confirm(origin, succession, manifests, applied);
                });
                (self.confirmation, self.settled) = (trial, Instant::now() + SETTLE);
                self.outlets.plan.send_replace(plan);
                self.serve_vips().await;
            }
            Err(problem) => {
                // The former plan stays, and with it its view of the node's addresses.
                let former = self.standing.plan.clone();
                self.tell_addresses(&former).await?;
                if [STATE_NOT_KEPT, reason::BPFFS_MISSING].contains(&problem.reason.as_str()) {
                    self.unkept = Some(Unkept { origin, wanted });
                }
                self.refuse(epoch, hash, &manifests, problem);
            }
        }
        self.note_drift().await
    }

    /// Puts the plan in force for which there was no place, once there is. The kernel is left alone until then.
    pub(super) async fn keep_at_last(&mut self) -> anyhow::Result<()> {
        let Some(Unkept { origin, wanted }) = self.unkept.take() else { return Ok(()) };
        let room = self.store.put(OFFERED, &StoredPlan::new(origin.epoch, &wanted.succession.first().plan));
        if room.and_then(|()| self.store.remove(OFFERED)).is_err() {
            self.unkept = Some(Unkept { origin, wanted });
            return Ok(());
        }
        self.offered(origin, wanted).await?;
        self.publish();
        Ok(())
    }

    fn refuse(&mut self, epoch: Epoch, hash: Hash, manifests: &Manifests, problem: Problem) {
        let sets = sets::changed(manifests, &self.standing.manifests);
        tracing::error!(%epoch, %hash, reason = problem.reason, "plan rejected: {}", problem.detail);
        self.standing.refuse(Refused { epoch, hash, sets, problem });
    }

    /// The same plan under a new number, or with other successors: proven again, and these kept.
    async fn confirm_again(&mut self, origin: Origin, wanted: Wanted) -> anyhow::Result<()> {
        let Some(hash) = self.standing.hash() else { return Ok(()) };
        self.look_again().await?;
        let Some(applied) = self.standing.applied().cloned() else { return Ok(()) };
        let Wanted { succession, manifests } = wanted;
        let epoch = origin.epoch;
        if self.standing.origin.as_ref() != Some(&origin) || self.standing.succession != succession {
            let stored = StoredPlan::new(epoch, &succession.first().plan);
            let kept = self.store.update(|update| {
                update.put(&PLAN, &stored)?;
                update.put(&SUCCESSORS, &succession.stored())?;
                update.put(&SEAL, &origin.seal)?;
                update.put(&CLUSTER, &origin.cluster)
            });
            if let Err(error) = kept {
                self.refuse(epoch, hash, &manifests, problem(STATE_NOT_KEPT, error.to_string()));
                return Ok(());
            }
        }
        self.standing.confirm(origin, succession, manifests, applied);
        Ok(())
    }
}

/// All that the data plane's thread needs to put a plan in force and keep it.
struct Order {
    origin: Origin,
    succession: Succession,
    manifests: Arc<Manifests>,
    former_manifests: Arc<Manifests>,
    interfaces: Vec<LocalInterface>,
    former: Option<Arc<NodePlan>>,
    store: Arc<Store>,
    set_prefixes: u64,
    trial: Option<Confirmation>,
}

impl Order {
    /// In force and on disk, or neither: a plan that would be forgotten by a restart is not confirmed.
    fn run(&self, datapath: &mut Datapath) -> Result<Applied, Problem> {
        let plan = &self.succession.now().plan;
        sets::check_room(plan, &self.manifests, self.set_prefixes)?;
        let sets_before = datapath.sets().clone();
        sets::offer(datapath, &self.store, plan, &self.manifests, &self.former_manifests)?;
        let applied = datapath.apply(plan, &self.interfaces).map_err(|error| Problem::from(&error))?;
        let kept = tracing::info_span!("persist").in_scope(|| self.keep(datapath));
        let Err(error) = kept else { return Ok(applied) };
        let former = self.former.clone().unwrap_or_default();
        datapath.offer_sets(sets_before);
        if let Err(error) = datapath.apply(&former, &self.interfaces) {
            tracing::error!(%error, "the former plan could not be put back");
        }
        Err(problem(STATE_NOT_KEPT, error.to_string()))
    }

    fn keep(&self, datapath: &Datapath) -> sluice_store::Result<()> {
        let stored = StoredPlan::new(self.origin.epoch, &self.succession.first().plan);
        self.store.update(|update| {
            update.put(&PLAN, &stored)?;
            update.put(&SUCCESSORS, &self.succession.stored())?;
            update.put(&SETS, &self.manifests)?;
            confirmation::keep(self.trial.as_ref(), update)?;
            update.put(&DATAPATH, datapath.state())?;
            update.put(&SEAL, &self.origin.seal)?;
            update.put(&CLUSTER, &self.origin.cluster)
        })
    }
}

pub(super) fn problem(reason: &str, detail: String) -> Problem {
    Problem { reason: reason.into(), detail }
}
