//! Plans on trial: what the operator's words and its silence do to them.

use std::collections::BTreeSet;
use std::time::Duration;

use sluice_plan::{Hash, NodePlan};
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use super::Engine;
use super::apply::Wanted;
use super::sets;
use super::standing::Refused;
use crate::confirmation::{Confirmation, Whole, keep, not_confirmed};
use crate::succession::{Succession, now};

/// What was on its way when a plan came into force proves nothing of it.
pub(super) const SETTLE: Duration = Duration::from_secs(1);

/// The end of the present silence, told once: a clock that is set meanwhile neither cuts a trial short nor draws it out.
#[derive(Default)]
pub(super) struct Silence(Option<(i64, Instant)>);

impl Silence {
    /// All but `at` in milliseconds. After a restart the clock may say that the end is far: then it is as far as ever.
    fn ends(&mut self, until: i64, patience: i64, now: i64, at: Instant) -> Instant {
        if let Some((known, ends)) = self.0
            && known == until
        {
            return ends;
        }
        let left = until.saturating_sub(now).clamp(0, patience.max(0));
        let ends = at + Duration::from_millis(left.unsigned_abs());
        self.0 = Some((until, ends));
        ends
    }
}

impl Engine {
    /// What becomes of the trial once this plan is in force.
    pub(super) fn trial_of(&self, hash: Hash, plan: &NodePlan) -> Option<Confirmation> {
        if self.standing.hash() == Some(hash) {
            return self.confirmation.clone();
        }
        if plan.confirm_ms == 0 {
            return None;
        }
        let former = match &self.confirmation {
            // The plan in force may be the one that must go.
            Some(Confirmation::Awaited { former, .. }) => former.clone(),
            _ => self.whole(),
        };
        Some(Confirmation::Awaited { until: now() + i64::from(plan.confirm_ms), former })
    }

    /// Whether the plan was taken back and is not to be tried again. Who offers it is heard of.
    pub(super) fn was_taken_back(&self, hash: Hash) -> bool {
        self.confirmation.as_ref().and_then(Confirmation::undone).is_some_and(|(_, undone)| undone == hash)
    }

    /// The operator wants something else than what was taken back.
    pub(super) fn forget_taken_back(&mut self) {
        if self.confirmation.as_ref().is_some_and(|trial| trial.undone().is_some()) {
            self.set_trial(None);
        }
    }

    /// When silence has lasted for too long.
    pub(super) fn silence_ends(&mut self) -> Option<Instant> {
        let (until, patience) = (self.confirmation.as_ref()?.until()?, self.patience());
        Some(self.silence.ends(until, patience, now(), Instant::now()))
    }

    /// How long the operator may be silent, in milliseconds.
    fn patience(&self) -> i64 {
        i64::from(match &self.confirmation {
            Some(Confirmation::Undone { undone, .. }) => undone.succession.first().plan.confirm_ms,
            // Also once a successor has taken its place.
            _ => self.standing.succession.first().plan.confirm_ms,
        })
    }

    /// The operator said something at this moment.
    pub(super) async fn heard(&mut self, at: Instant) -> anyhow::Result<()> {
        if at < self.settled {
            return Ok(());
        }
        match &self.confirmation {
            Some(Confirmation::Awaited { .. }) => {
                self.set_trial(None);
                self.forget_shards().await?;
            }
            Some(Confirmation::Undone { undone, .. }) => {
                let (epoch, hash) = (undone.plan.epoch, undone.plan.hash);
                self.set_trial(Some(Confirmation::Refused { epoch, hash }));
            }
            Some(Confirmation::Refused { .. }) | None => return Ok(()),
        }
        self.publish();
        Ok(())
    }

    /// Puts the former plan back, or the newest once more where that did not help.
    pub(super) async fn fell_silent(&mut self) -> anyhow::Result<()> {
        let patience = self.patience();
        match (self.confirmation.take(), self.whole()) {
            (Some(Confirmation::Awaited { former, .. }), Some(undone)) => {
                tracing::error!(
                    epoch = %undone.plan.epoch, hash = %undone.plan.hash,
                    "the operator is not heard of since this plan came into force: the one before is put back"
                );
                let trial = Confirmation::Undone { until: now() + patience, undone: undone.clone() };
                if !self.turn_to(former.as_ref(), &undone, Some(trial)).await? {
                    let until = now() + patience;
                    self.confirmation = Some(Confirmation::Awaited { until, former });
                }
            }
            (Some(Confirmation::Undone { undone, .. }), _) => {
                tracing::warn!(
                    epoch = %undone.plan.epoch, hash = %undone.plan.hash,
                    "the operator is not heard of without this plan either: it comes into force again"
                );
                self.turn_to(Some(&undone), &undone, None).await?;
            }
            (other, _) => self.confirmation = other,
        }
        self.publish();
        Ok(())
    }

    /// True if it is in force now.
    async fn turn_to(
        &mut self,
        to: Option<&Whole>,
        newest: &Whole,
        trial: Option<Confirmation>,
    ) -> anyhow::Result<bool> {
        let (origin, succession, manifests) = match to {
            Some(to) => (to.origin(), to.succession.clone().at(now()), to.sets.clone()),
            // It never had any: what is on its disk then proves nothing, and after a restart it asks for a plan.
            None => (newest.origin(), Succession::default(), sets::Manifests::new()),
        };
        let wanted = Wanted::new(succession, manifests);
        let hash = wanted.hash();
        self.put_in_force(origin, wanted, trial).await?;
        let is_in_force = self.standing.hash() == Some(hash);
        if is_in_force {
            self.tell_of_trial();
        }
        Ok(is_in_force)
    }

    /// A plan that was taken back is said to be.
    pub(super) fn tell_of_trial(&mut self) {
        if let Some((epoch, hash)) = self.confirmation.as_ref().and_then(Confirmation::undone) {
            self.standing.refuse(Refused { epoch, hash, sets: Vec::new(), problem: not_confirmed() });
        }
    }

    /// All shards but those that some plan may need.
    pub(super) async fn forget_shards(&self) -> anyhow::Result<()> {
        let mut used: BTreeSet<Hash> = sets::shards(&self.standing.manifests);
        if let Some(other) = self.confirmation.as_ref().and_then(Confirmation::other) {
            used.extend(sets::shards(&other.sets));
        }
        let shelf = self.shelf.clone();
        Ok(spawn_blocking(move || shelf.forget_all_but(used)).await?)
    }

    fn whole(&self) -> Option<Whole> {
        let origin = self.standing.origin.as_ref()?;
        Some(Whole::new(origin, &self.standing.succession, &self.standing.manifests))
    }

    fn set_trial(&mut self, trial: Option<Confirmation>) {
        if let Err(error) = self.store.update(|update| keep(trial.as_ref(), update)) {
            tracing::warn!(%error, "whether the plan is confirmed could not be kept");
        }
        self.confirmation = trial;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    #[test]
    fn a_clock_that_is_set_neither_cuts_a_trial_short_nor_draws_it_out() {
        let (mut silence, begun) = (Silence::default(), Instant::now());
        let ends = silence.ends(30_000, 30_000, 0, begun);
        assert_eq!(ends, begun + Duration::from_secs(30));
        for now in [-HOUR, HOUR] {
            assert_eq!(silence.ends(30_000, 30_000, now, begun + Duration::from_secs(5)), ends);
        }
        // The next trial, and one that is read from disk by a clock that was set back.
        let next = begun + Duration::from_secs(60);
        assert_eq!(silence.ends(90_000, 30_000, 60_000, next), next + Duration::from_secs(30));
        let read = Silence::default().ends(30_000, 30_000, -HOUR, begun);
        assert_eq!(read, begun + Duration::from_secs(30));
    }
}
