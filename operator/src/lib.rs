//! The operator: desired state in, plans out, the truth back.
//!
//! One walk: a source publishes the desired state → `reconcile` keeps the index and, when something changed, asks
//! `planner` for the plans of every class → raft agrees on them → the distribution server streams them to the agents →
//! their verdicts come back to `reconcile` → `view` is what status, CLI and metrics show.

mod admin;
mod alone;
pub mod args;
mod backends;
mod clock;
mod counters;
mod drops;
mod duty;
mod edits;
mod feeds;
mod gate;
mod http;
mod join;
mod lints;
mod metrics;
mod planner;
mod publish;
mod reconcile;
mod revisions;
mod revoke;
mod rollouts;
mod run;
mod sight;
mod signer;
#[cfg(test)]
mod simulation;
mod streams;
mod taint;
mod tokens;
mod view;
mod why;

pub use run::{recover, run, token};
