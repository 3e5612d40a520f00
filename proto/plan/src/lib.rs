//! The plan: what one class of nodes has to enforce, as the operator compiles it and the agents load it.
//!
//! A plan is plain data with one canonical encoding of each [`Schema`], so that the same input gives the same bytes and the same hash on
//! every replica, and so that an agent can recompute the hash from what its kernel returns.

mod balancers;
mod encoding;
mod epoch;
mod filters;
mod fleet;
mod schema;

pub use balancers::{BalancerPart, BalancerTables, Balancers, HealthCheck, TargetRef, VipRef};
pub use encoding::{DecodeError, Hash, decode, encode, fleet_hash};
pub use epoch::Epoch;
pub use filters::{AttachMode, FilterPart, FilterTables, Filters, Hook, Interfaces, LargeTables, PolicyRef};
pub use fleet::{AddressPool, ControlEndpoint, Failsafe, FailsafeEntry, FeedTarget, Fleet};
pub use schema::Schema;

/// Everything for one class of nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodePlan {
    /// In which it is hashed, signed, sent and kept.
    pub schema: Schema,
    pub filters: Filters,
    pub balancers: Balancers,
    pub failsafe: Failsafe,
    /// Names of the address sets that the filters use, sorted; a set's position is its bit. What is in a set is a
    /// resource of its own, so that a set changes without its plans.
    pub sets: Vec<String>,
    /// Within so many milliseconds the operator must be heard of once this plan is in force, or the one before is put back;
    /// 0 = it stays in any case.
    pub confirm_ms: u32,
}
