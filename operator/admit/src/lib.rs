//! From API objects to policies: the checks that an API server makes with the schema and CEL, made again in Rust, and
//! those that only the operator can make. Pure.
//!
//! Every refusal names the object, the field's path, what was found and what to write; all of an object's refusals come
//! at once.

mod address_set;
mod addresses;
mod balancer;
mod claims;
mod contradictions;
mod filter;
mod fleet;
mod limit;
mod macs;
mod matching;
mod moment;
mod payload;
mod refusal;
mod rollout;
mod selection;

pub use address_set::admit_address_set;
pub use balancer::admit_balancer;
pub use claims::{Claim, ClaimRefused, Grants, Taken, grant_claims};
pub use filter::admit_filter;
pub use fleet::admit_fleet;
pub use refusal::Refusal;
