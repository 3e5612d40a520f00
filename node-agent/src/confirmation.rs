//! Whether a plan may stay. One with a confirm time is in force on trial: unless the operator is heard of in time, the plan
//! before is put back. If that does not bring the operator back in the same time again, the plan was not the cause and
//! comes into force once more; otherwise it is not taken again.

use serde::{Deserialize, Serialize};
use sluice_datapath::Problem;
use sluice_plan::{Epoch, Hash};
use sluice_seal::Seal;
use sluice_store::{Key, StoredPlan, StoredSuccessors, Update};

use crate::engine::sets::Manifests;
use crate::engine::standing::Origin;
use crate::succession::Succession;
use crate::{Config, kept};

/// Written together with the plan that is in force.
pub const CONFIRMATION: Key<Confirmation> = Key::new("confirmation");
/// What follows the other plan of it; a record of its own, as [`SUCCESSORS`](sluice_store::SUCCESSORS) is.
pub const OTHER_SUCCESSORS: Key<StoredSuccessors> = Key::new("confirmation-successors");
/// Reason of the verdict on a plan that was taken back.
pub const NOT_CONFIRMED: &str = "NotConfirmed";

/// Times are Unix milliseconds, because they outlive the process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Confirmation {
    /// The plan in force is on trial until then.
    Awaited { until: i64, former: Option<Whole> },
    /// It was taken back; unless the operator is heard of until then, it was not the cause.
    Undone { until: i64, undone: Whole },
    /// The operator was heard of without it.
    Refused { epoch: Epoch, hash: Hash },
}

/// A plan with all that puts it in force again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Whole {
    cluster: String,
    seal: Seal,
    pub plan: StoredPlan,
    pub sets: Manifests,
    /// The plan and what follows it; read from disk, it is known once the plan is proven.
    #[serde(skip)]
    pub succession: Succession,
}

/// Writes what is on trial, with what follows the other plan, or that nothing is.
pub fn keep(trial: Option<&Confirmation>, update: &mut Update<'_>) -> sluice_store::Result<()> {
    let Some(trial) = trial else {
        update.remove(&CONFIRMATION)?;
        return update.remove(&OTHER_SUCCESSORS);
    };
    update.put(&CONFIRMATION, trial)?;
    let other = trial.other().map(|whole| whole.succession.stored());
    update.put(&OTHER_SUCCESSORS, &other.unwrap_or_default())
}

impl Confirmation {
    pub fn until(&self) -> Option<i64> {
        match self {
            Confirmation::Awaited { until, .. } | Confirmation::Undone { until, .. } => Some(*until),
            Confirmation::Refused { .. } => None,
        }
    }

    /// The plan that was taken back.
    pub fn undone(&self) -> Option<(Epoch, Hash)> {
        match self {
            Confirmation::Awaited { .. } => None,
            Confirmation::Undone { undone, .. } => Some((undone.plan.epoch, undone.plan.hash)),
            Confirmation::Refused { epoch, hash } => Some((*epoch, *hash)),
        }
    }

    /// The plan that may come into force without the operator.
    pub fn other(&self) -> Option<&Whole> {
        match self {
            Confirmation::Awaited { former, .. } => former.as_ref(),
            Confirmation::Undone { undone, .. } => Some(undone),
            Confirmation::Refused { .. } => None,
        }
    }

    fn other_mut(&mut self) -> Option<&mut Whole> {
        match self {
            Confirmation::Awaited { former, .. } => former.as_mut(),
            Confirmation::Undone { undone, .. } => Some(undone),
            Confirmation::Refused { .. } => None,
        }
    }

    /// As read from disk: a plan that the operator did not sign is not put in force.
    pub fn proven(mut self, config: &Config, successors: &StoredSuccessors) -> Option<Confirmation> {
        match self.other_mut().map_or(Ok(()), |whole| whole.prove(config, successors)) {
            Ok(()) => Some(self),
            Err(reason) => {
                tracing::error!("the plan to go back to is not kept: {reason}");
                None
            }
        }
    }
}

impl Whole {
    pub fn new(origin: &Origin, succession: &Succession, sets: &Manifests) -> Whole {
        let Origin { cluster, epoch, seal } = origin.clone();
        let plan = StoredPlan::new(epoch, &succession.first().plan);
        Whole { cluster, seal, plan, sets: sets.clone(), succession: succession.clone() }
    }

    pub fn origin(&self) -> Origin {
        Origin { cluster: self.cluster.clone(), epoch: self.plan.epoch, seal: self.seal.clone() }
    }

    fn prove(&mut self, config: &Config, successors: &StoredSuccessors) -> Result<(), String> {
        self.succession = kept::proven(config, &self.origin(), &self.plan, successors, &self.sets)?;
        Ok(())
    }
}

/// What is said of a plan that was taken back.
pub fn not_confirmed() -> Problem {
    Problem {
        reason: NOT_CONFIRMED.into(),
        detail: "the operator was not heard of in time once it was in force (rollout.confirmTimeout), so the node went \
                 back to the plan before and then heard of it: save another version"
            .into(),
    }
}
