//! What an agent keeps on disk: the plan it confirmed last, the shards of its address sets, its counter slots, its
//! identity. One redb file, so that a restarted agent enforces before it has dialled anybody.

mod error;
mod record;
mod shards;
mod store;

pub use error::{Error, Result};
pub use record::{
    BOOT, BootFacts, IDENTITY, Identity, PLAN, SEAL, SETS, SUCCESSORS, StoredPlan, StoredSuccessors,
};
pub use store::{Key, Store, Update};
