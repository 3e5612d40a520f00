//! What happens on the node meanwhile: interfaces, addresses, programs.

use sluice_datapath::{Applied, Problem};
use sluice_netdev::{Changes, Event};
use sluice_plan::NodePlan;

use super::{Engine, sets};
use crate::records::DATAPATH;
use crate::{facts, local};

impl Engine {
    pub(super) async fn changed(&mut self, changes: Changes) -> anyhow::Result<()> {
        self.default_routes = changes.now.default_routes;
        let ours = facts::ours(self.standing.applied());
        let matters = |event: &&Event| match event {
            // What the data plane did itself.
            Event::XdpChanged { index, to, .. } => {
                let was_in_the_way = to.is_none() && self.standing.is_hindered();
                was_in_the_way || to.map(|to| to.program_id) != ours.get(index).map(|ours| ours.program_id)
            }
            Event::PathsChanged | Event::AddressesChanged => false,
            Event::Up { .. } | Event::Down { .. } | Event::Flapped { .. } => false,
            Event::Came { .. } | Event::Went { .. } | Event::Renamed { .. } => true,
            Event::Altered { .. } | Event::DefaultRoutesChanged => true,
        };
        let only_paths = changes.events.iter().all(|event| *event == Event::PathsChanged);
        self.outlets.paths.send_replace(());
        let reachable = |event: &Event| {
            matches!(event, Event::Up { .. } | Event::AddressesChanged | Event::DefaultRoutesChanged)
        };
        if changes.events.iter().any(reachable) {
            self.outlets.network.notify_waiters();
        }
        if only_paths {
            return Ok(());
        }
        let news: Vec<_> = changes.events.iter().filter(matters).collect();
        if !news.is_empty() {
            tracing::info!(events = ?news, "interfaces changed");
        }
        let look = !news.is_empty() | self.note_flaps(&changes.events);
        self.refresh().await;
        let plan = self.standing.plan.clone();
        let told = self.tell_addresses(&plan).await?;
        if look || told {
            self.verify().await?;
            self.serve_vips().await;
        }
        Ok(())
    }

    /// Once at the start of the watch.
    pub(super) async fn look_around(&mut self) -> anyhow::Result<()> {
        self.refresh().await;
        let plan = self.standing.plan.clone();
        self.tell_addresses(&plan).await?;
        self.verify().await?;
        self.serve_vips().await;
        Ok(())
    }

    /// An interface may take tomorrow what it refused today, and nobody says so.
    pub(super) async fn try_again(&mut self) -> anyhow::Result<()> {
        if self.standing.is_hindered() { self.verify().await } else { Ok(()) }
    }

    /// Reads back what is in force, repairs it, and says so.
    pub(super) async fn verify(&mut self) -> anyhow::Result<()> {
        self.look_again().await?;
        self.publish();
        Ok(())
    }

    pub(super) async fn look_again(&mut self) -> anyhow::Result<()> {
        let Some(hash) = self.standing.hash() else { return Ok(()) };
        self.find_drift().await?;
        let (plan, store) = (self.standing.plan.clone(), self.store.clone());
        let manifests = self.standing.manifests.clone();
        let interfaces = local::interfaces(&self.facts, &plan);
        let outcome = self.kernel.call(move |datapath| -> Result<Applied, Problem> {
            sets::offer(datapath, &store, &plan, &manifests, &manifests)?;
            // After a start that failed the data plane has no plan yet, or another.
            let applied = match datapath.plan_hash() == Some(hash) {
                true => datapath.interfaces_changed(&interfaces).transpose(),
                false => Some(datapath.adopt(&plan, &interfaces)),
            };
            let applied = applied.unwrap_or_else(|| datapath.apply(&plan, &interfaces));
            let applied = applied.map_err(|error| Problem::from(&error))?;
            if applied.loaded > 0
                && let Err(error) = store.put(DATAPATH, datapath.state())
            {
                tracing::warn!(%error, "counter slots could not be kept");
            }
            Ok(applied)
        });
        let outcome = outcome.await?;
        if let Err(problem) = &outcome {
            tracing::error!(reason = problem.reason, "the plan is not in force: {}", problem.detail);
        }
        self.standing.look(outcome);
        self.note_drift().await
    }

    /// The node's own addresses under this plan, if they are others than the data plane knows. Whether they were.
    pub(super) async fn tell_addresses(&mut self, plan: &NodePlan) -> anyhow::Result<bool> {
        let addresses = local::addresses(&self.facts, plan);
        if addresses == self.addresses {
            return Ok(false);
        }
        self.addresses.clone_from(&addresses);
        self.find_drift().await?;
        if let Err(error) = self.kernel.call(move |datapath| datapath.set_node_addresses(addresses)).await? {
            tracing::error!(%error, "the data plane does not know this node's addresses");
        }
        Ok(true)
    }
}
