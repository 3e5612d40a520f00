//! Policies to tables: what a class of nodes has to enforce becomes one [`sluice_plan::NodePlan`].
//!
//! Pure and deterministic: equal input gives equal bytes on every replica. The walk of a filter: `sets` (rules that name any are cut up) → `flatten` (filters to
//! one ordered list of entries) → `settings` (rates and marks) → per dimension (`addresses`, `ports`, `icmp`, `macs`, `payload`,
//! `details`, `direct`, `sets`) the values that each entry accepts → `sweep` (values to elementary intervals, each with its `rows`
//! of entries) → `encode` (the bytes of the kernel's maps). Where there are more entries than a row has bits, `large` adds
//! trees. What a table element means is in `sluice_abi`.

mod addresses;
mod balancers;
mod details;
mod direct;
mod encode;
mod error;
mod filters;
mod flatten;
mod icmp;
mod input;
mod large;
mod layer4;
mod macs;
mod payload;
mod plan;
mod ports;
mod prefixes;
mod rows;
mod sets;
mod settings;
mod spec_hash;
mod straight;
mod sweep;

pub use balancers::MAX_RING_SLOTS;
pub use error::CompileError;
pub use flatten::{MAX_CONTINUING_RULES, MAX_FILTERS, MAX_MAC_RANGES};
pub use input::{BalancerInput, ClassInput};
pub use plan::compile;
pub use spec_hash::{balancer_hash, balancer_ref, filter_hash, filter_ref};
