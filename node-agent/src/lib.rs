//! The node agent: takes plans from an operator, puts them in force in the kernel, proves it, and says what the node
//! sees. [`run`] is the whole of it, for the `sluice-agent` binary and for `kubectl sluice standalone`.
//!
//! # Guarantees
//! * What was confirmed last is enforced from disk before anybody is dialled.
//! * Nothing is detached when the agent ends, however it ends; only [`detach`] does that.
//! * A plan that cannot be put in force whole is rejected with its reason, and the former one stays.

pub mod args;
mod backends;
mod boot;
mod capabilities;
mod config;
mod confirmation;
mod detach;
mod drops;
mod engine;
mod facts;
mod hops;
mod http;
mod kept;
mod kernel;
mod local;
mod memory;
mod metrics;
mod records;
mod run;
mod samples;
mod shelf;
mod succession;
mod vault;
mod verdicts;

pub use config::Config;
pub use detach::detach;
pub use run::run;
