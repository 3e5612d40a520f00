//! What must survive a restart of the agent for the kernel's side to be trusted again.

use std::hash::{BuildHasher, Hasher, RandomState};

use serde::{Deserialize, Serialize};
use sluice_abi::Config;
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
    /// In force.
    #[serde(default)]
    pub programs: Vec<ProgramIdentity>,
}

/// What a program was made from, and what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ProgramIdentity {
    /// Hash of the object file that it came from.
    pub object: Hash,
    /// Hash of the constants that it was specialised by.
    pub constants: Hash,
    /// The kernel's hash over its instructions.
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

    /// The tag that a pinned program with these constants must have; `None` if none was recorded, or by another build.
    pub(crate) fn trusted_tag(&self, hook: Hook, constants: &Config) -> Option<[u8; 8]> {
        let wanted = ProgramIdentity::of(hook, constants, [0; 8]);
        let known =
            self.programs.iter().find(|known| ProgramIdentity { tag: wanted.tag, ..**known } == wanted);
        known.map(|program| program.tag)
    }
}

impl ProgramIdentity {
    pub(crate) fn of(hook: Hook, constants: &Config, tag: [u8; 8]) -> ProgramIdentity {
        let constants = Hash::of(bytemuck::bytes_of(constants));
        ProgramIdentity { object: object_hash(hook), constants, tag }
    }
}

fn object_hash(hook: Hook) -> Hash {
    Hash::of(object(hook))
}
