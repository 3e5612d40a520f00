//! The agent's main loop: one thing after another, so that nothing here needs a lock.

mod apply;
mod changes;
mod drift;
mod outlets;
pub mod sets;
pub mod standing;
mod trial;
mod turn;

pub use outlets::{Inlets, Outlets};

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use sluice_client::{Dialling, Held};
use sluice_datapath::Drift;
use sluice_netdev::{Facts, Netlink, Snapshot};
use sluice_store::Store;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::Span;

use crate::boot::{Booted, endpoints};
use crate::confirmation::Confirmation;
use crate::kernel::Kernel;
use crate::records::OPERATORS;
use crate::shelf::StoreShelf;
use crate::{facts, local, samples};
use standing::Standing;

/// Loss counters of cards move without an event.
const FACTS_EVERY: Duration = Duration::from_secs(5);
/// How soon it is noticed that somebody took away a program or a pin: with the repair, within a second.
const DRIFT_EVERY: Duration = Duration::from_millis(250);
/// Every byte of each address set is read again within this time.
const RECHECK_SETS: Duration = Duration::from_secs(60);
/// What is in force is read back and repaired even if nobody says that it changed.
const VERIFY_EVERY: Duration = Duration::from_secs(30);

pub struct Engine {
    kernel: Kernel,
    store: Arc<Store>,
    shelf: Arc<StoreShelf>,
    netlink: Netlink,
    facts: Facts,
    /// The facts could not be read when they may have changed.
    unread: bool,
    /// What others changed, until it is known what came of the repair.
    found: Vec<Drift>,
    /// What the last repair left as it was.
    unmended: Vec<Drift>,
    standing: Standing,
    unkept: Option<apply::Unkept>,
    confirmation: Option<Confirmation>,
    silence: trial::Silence,
    /// A turn that failed is not tried again before.
    next_turn: Instant,
    /// What is heard before that says nothing of the plan in force.
    settled: Instant,
    operators: Vec<SocketAddr>,
    /// As the data plane was told last.
    addresses: BTreeSet<IpAddr>,
    /// Interfaces of the default routes.
    default_routes: BTreeSet<u32>,
    /// Most of all address sets together, as [`Manifest::weight`](sluice_address_set::Manifest::weight) counts them.
    set_prefixes: u64,
    outlets: Outlets,
    /// The step of edits that is being put in force.
    edit: Span,
}

impl Engine {
    /// `now` is what the watch on the interfaces starts from.
    pub fn new(
        booted: Booted,
        shelf: Arc<StoreShelf>,
        now: &Snapshot,
        set_prefixes: u64,
        outlets: Outlets,
    ) -> Engine {
        let Booted { kernel, store, netlink, facts, operators, confirmed, confirmation } = booted;
        let standing = Standing::at_boot(confirmed);
        let addresses = local::addresses(&facts, &standing.plan);
        let default_routes = now.default_routes.clone();
        let mut engine = Engine {
            kernel,
            store,
            shelf,
            netlink,
            facts,
            unread: false,
            found: Vec::new(),
            unmended: Vec::new(),
            standing,
            unkept: None,
            confirmation,
            silence: trial::Silence::default(),
            next_turn: Instant::now(),
            settled: Instant::now(),
            operators,
            addresses,
            default_routes,
            set_prefixes,
            outlets,
            edit: Span::none(),
        };
        engine.tell_of_trial();
        engine.outlets.plan.send_replace(engine.standing.plan.clone());
        engine.publish();
        engine
    }

    /// Until `stop`; what is in force then stays in force.
    ///
    /// # Errors
    /// When the data plane's thread or the watch on the interfaces ended: the process must start anew.
    pub async fn run(mut self, mut inlets: Inlets, stop: CancellationToken) -> anyhow::Result<()> {
        // Something may have changed between the first look at the interfaces and the watch on them.
        self.look_around().await?;
        let mut sample = ticks(inlets.report_interval);
        let mut refresh = ticks(FACTS_EVERY);
        let mut drift = ticks(DRIFT_EVERY);
        let mut verify = ticks(VERIFY_EVERY);
        verify.reset();
        loop {
            inlets.pulse.beat();
            let (silence_ends, turn_at) = (self.silence_ends(), self.turn_at());
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                Some(dialling) = inlets.dialling.recv() => self.let_in(dialling).await?,
                Some(update) = inlets.updates.recv() => self.update(update).await?,
                changes = inlets.changes.recv() => {
                    self.changed(changes.context("the watch on the interfaces ended")?).await?;
                }
                Ok(()) = inlets.heard.changed() => {
                    let at = *inlets.heard.borrow_and_update();
                    self.heard(at).await?;
                }
                () = sleep_until(silence_ends.unwrap_or_else(Instant::now)), if silence_ends.is_some() => {
                    self.fell_silent().await?;
                }
                () = sleep_until(turn_at.unwrap_or_else(Instant::now)), if turn_at.is_some() => self.turn().await?,
                Ok(()) = inlets.health.changed() => self.health(&inlets.health.borrow_and_update()),
                _ = drift.tick() => self.mend().await?,
                _ = sample.tick() => self.sample().await?,
                _ = refresh.tick() => {
                    self.refresh().await;
                    self.try_again().await?;
                    self.keep_at_last().await?;
                }
                _ = verify.tick() => self.verify().await?,
            }
        }
    }

    /// The operator's answers get in before it is dialled; those of a connection that still stands stay let in.
    async fn let_in(&mut self, dialling: Dialling) -> anyhow::Result<()> {
        if self.operators != dialling.endpoints {
            self.operators.clone_from(&dialling.endpoints);
            if let Err(error) = self.store.put(OPERATORS, &self.operators) {
                tracing::warn!(%error, "the operator's addresses could not be kept");
            }
        }
        let peers = endpoints(&self.operators);
        if let Err(error) = self.kernel.call(move |datapath| datapath.set_control_peers(peers)).await? {
            tracing::error!(%error, "the operator's answers may be dropped by a policy");
        }
        // Nobody waits any more if the client gave up.
        _ = dialling.allowed.send(());
        Ok(())
    }

    async fn sample(&mut self) -> anyhow::Result<()> {
        let read = self.kernel.call(|datapath| {
            let found = (datapath.counters()?, datapath.stats()?, datapath.exceptions()?);
            Ok::<_, sluice_datapath::Error>((found, datapath.find_unmarked()?))
        });
        let unmarked = match read.await? {
            Ok(((counters, stats, exceptions), unmarked)) => {
                self.outlets.telemetry.send_modify(|telemetry| {
                    telemetry.counters = samples::counters(&counters);
                    telemetry.stats = samples::stats(&stats);
                    telemetry.exceptions = exceptions.unwrap_or_default();
                });
                unmarked
            }
            Err(error) => {
                tracing::warn!(%error, "counters could not be read");
                false
            }
        };
        // Its filters have something to say now that they had not.
        if unmarked { self.verify().await } else { Ok(()) }
    }

    fn health(&self, found: &[sluice_health::Health]) {
        self.outlets.telemetry.send_modify(|telemetry| telemetry.backends = samples::backends(found));
    }

    /// Reads the node's facts anew; the former ones stay where that fails.
    async fn refresh(&mut self) {
        let read = self.netlink.facts_with(&self.default_routes).await;
        self.unread = read.is_err();
        match read {
            Ok(facts) => self.facts = facts,
            Err(error) => tracing::warn!(%error, "facts could not be read"),
        }
        self.publish_facts();
    }

    fn publish_facts(&self) {
        let ours = facts::ours(self.standing.applied());
        let now = facts::node_facts(&self.facts, &ours);
        self.outlets.telemetry.send_if_modified(|telemetry| {
            let changed = telemetry.facts != now;
            telemetry.facts = now;
            changed
        });
    }

    fn publish(&self) {
        let on_trial = self.confirmation.as_ref().is_some_and(|trial| trial.until().is_some());
        self.outlets.held.send_replace(Held { on_trial, ..self.standing.held() });
        let now = self.standing.verdicts();
        self.outlets.verdicts.send_if_modified(|verdicts| {
            let changed = *verdicts != now;
            *verdicts = now;
            changed
        });
        self.publish_facts();
    }

    /// VIPs of which this node is a backend are its own addresses while the plan says so.
    async fn serve_vips(&self) {
        let wanted = local::served_vips(&self.standing.plan, &self.addresses);
        if !wanted.is_empty()
            && let Err(error) = self.netlink.ignore_arp_for_vips().await
        {
            tracing::warn!(%error, "this node may answer ARP for VIPs that belong to the balancers");
        }
        if let Err(error) = self.netlink.set_vips(&wanted).await {
            tracing::warn!(%error, "VIPs on the loopback could not be set: tunnelled packets for them are not served");
        }
    }
}

fn ticks(period: Duration) -> tokio::time::Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
