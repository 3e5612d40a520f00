//! What a packet and an edit cost, measured so that a shared machine does not decide the result.
//!
//! A packet's cost is a ratio to an empty program's: both run in turn, for so short a time that both meet the machine
//! in the same state. `docs/benchmarks.md` says how and what came of it.

mod cells;
pub mod edits;
mod frames;
pub mod programs;
pub mod report;
mod room;
pub mod rows;
pub mod wire;

pub use cells::{Rounds, one_process};

/// The middle one; of an even number the lower.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or(f64::NAN)
}
