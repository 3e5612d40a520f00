//! What must survive a restart of the agent for the kernel's side to be trusted again.

use std::hash::{BuildHasher, Hasher, RandomState};

use serde::{Deserialize, Serialize};
use sluice_plan::{Hash, Hook};

use crate::object::object;
use crate::slots::SlotTable;

/// Plain data; the caller persists it after each apply, together with the plan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    pub slots: SlotTable,
    /// Whose region of buckets is which.
    pub regions: SlotTable,
    /// Whose place in the map of address sets is which.
    #[serde(default)]
    pub set_places: SlotTable,
    /// Of the hash by which keys find their bucket; 0 before there is one.
    pub limit_seed: u64,
    pub program: Option<ProgramIdentity>,
    /// Of the hooks of tcx.
    #[serde(default)]
    pub tc_program: Option<ProgramIdentity>,
}

/// The program that was loaded last, as the verifier took it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramIdentity {
    /// Hash of the object file that it came from.
    pub object: Hash,
    pub tag: [u8; 8],
}

impl State {
    /// With a seed that nobody outside can know.
    pub(crate) fn seeded(mut self) -> State {
        if self.limit_seed == 0 {
            self.limit_seed = RandomState::new().build_hasher().finish();
        }
        self
    }

    /// Nothing was ever put in force.
    pub(crate) fn is_unused(&self) -> bool {
        State { limit_seed: 0, ..self.clone() } == State::default()
    }

    /// The tag that a pinned program of this very build must have; `None` if none was recorded, or by another build.
    pub(crate) fn trusted_tag(&self, hook: Hook) -> Option<[u8; 8]> {
        let program = if hook == Hook::Xdp { self.program } else { self.tc_program };
        program.filter(|program| program.object == object_hash(hook)).map(|program| program.tag)
    }

    pub(crate) fn record(&mut self, hook: Hook, tag: [u8; 8]) {
        let program = if hook == Hook::Xdp { &mut self.program } else { &mut self.tc_program };
        *program = Some(ProgramIdentity { object: object_hash(hook), tag });
    }
}

fn object_hash(hook: Hook) -> Hash {
    Hash::of(object(hook))
}
