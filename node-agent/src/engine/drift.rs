//! What others do to interfaces, programs, pins and sets of this node: noticed, repaired, counted, told.

use sluice_client::Drifted;
use sluice_datapath::{Applied, Drift};
use sluice_netdev::Event;
use tokio::time::Instant;

use super::{Engine, RECHECK_SETS};
use crate::local;

/// Somebody took an interface down, or its carrier went; our program is still on it.
const INTERFACE_DOWN: &str = "interface_down";

impl Engine {
    /// What no event told: a program that was detached or a pin that was removed behind our back, interfaces that could
    /// not be read when they changed. A repair that did not help is left to the slower looks.
    pub(super) async fn mend(&mut self) -> anyhow::Result<()> {
        let reread =
            self.kernel.call(|datapath| datapath.recheck_sets(RECHECK_SETS, Instant::now().into_std()));
        if let Err(error) = reread.await? {
            tracing::error!(%error, "an address set cannot be read again");
        }
        let found = self.drift().await?;
        let news = !found.is_empty() && found != self.unmended;
        if news || self.unread {
            self.look_around().await?;
            self.unmended = self.drift().await?;
        } else {
            self.unmended = found;
        }
        Ok(())
    }

    pub(super) async fn drift(&self) -> anyhow::Result<Vec<Drift>> {
        let interfaces = local::interfaces(&self.facts, &self.standing.plan);
        self.kernel.call(move |datapath| datapath.drift(&interfaces)).await
    }

    /// Before whatever may repair it on the way.
    pub(super) async fn find_drift(&mut self) -> anyhow::Result<()> {
        for drift in self.drift().await? {
            if !self.found.contains(&drift) {
                self.found.push(drift);
            }
        }
        Ok(())
    }

    /// Counts what was found, once for as long as it lasts, when it is known what came of the repair.
    pub(super) async fn note_drift(&mut self) -> anyhow::Result<()> {
        let left = self.drift().await?;
        let known = std::mem::replace(&mut self.unmended, left);
        for drift in std::mem::take(&mut self.found).iter().filter(|drift| !known.contains(drift)) {
            let Some(what) = drift.what() else { continue };
            let repaired = !self.unmended.contains(drift) && !self.is_hindered_at(drift.place());
            self.count_drift(what, drift.place(), repaired);
        }
        Ok(())
    }

    /// Counts interfaces of ours that went down, for however short a time. True if what is on one of them is to be proven
    /// anew.
    pub(super) fn note_flaps(&mut self, events: &[Event]) -> bool {
        let mut look = false;
        for event in events {
            let (index, name, down) = match event {
                Event::Down { index, name } | Event::Flapped { index, name } => (index, name, true),
                Event::Up { index, name } => (index, name, false),
                _ => continue,
            };
            if !self.runs_on(*index) {
                continue;
            }
            look = true;
            if down {
                self.count_drift(INTERFACE_DOWN, name, true);
            }
        }
        look
    }

    fn runs_on(&self, index: u32) -> bool {
        let interfaces = self.standing.applied().map_or(&[][..], |applied: &Applied| &applied.interfaces);
        interfaces.iter().any(|interface| interface.ifindex == index && interface.attachment.is_some())
    }

    fn is_hindered_at(&self, interface: &str) -> bool {
        let Some(applied) = self.standing.applied() else { return true };
        applied.interfaces.iter().any(|found| found.name == interface && found.problem.is_some())
    }

    fn count_drift(&self, what: &str, place: &str, repaired: bool) {
        tracing::warn!(what, place, repaired, "not as it was left");
        self.outlets.telemetry.send_modify(|telemetry| {
            let before = telemetry.drift.get(what).map_or(0, |drifted| drifted.count);
            let drifted =
                Drifted { count: before + 1, place: place.to_owned(), repaired, at: Instant::now() };
            telemetry.drift.insert(what.to_owned(), drifted);
        });
    }
}
