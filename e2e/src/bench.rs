//! What a packet and an edit cost, measured so that a shared machine does not decide the result.
//!
//! A packet's cost is a ratio to an empty program's: both run in turn, for so short a time that both meet the machine
//! in the same state. `docs/benchmarks.md` says how and what came of it.

use std::io;

mod cells;
pub mod edits;
mod frames;
pub mod programs;
pub mod report;
pub mod rows;
pub mod sets;
pub mod wire;

pub use cells::{Rounds, one_process};

/// How often a round holds the empty program against itself: as a judge it has to be steadier than what it judges.
const SAME: usize = 3;

/// The middle one; of an even number the lower.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or(f64::NAN)
}

/// Does the work again for as long as a signal cuts a test run short: who stops a process for a while does not end it.
fn uninterrupted<T>(mut work: impl FnMut() -> anyhow::Result<T>) -> anyhow::Result<T> {
    let interrupted = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::Interrupted)
    };
    loop {
        match work() {
            Err(error) if error.chain().any(interrupted) => {}
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_signal_cuts_short_is_done_again() {
        let mut answers = vec![Ok(1), Err(io::Error::from(io::ErrorKind::Interrupted))];
        assert_eq!(uninterrupted(|| Ok(answers.pop().unwrap()?)).unwrap(), 1);
        uninterrupted::<()>(|| Err(io::Error::from(io::ErrorKind::NotFound))?).unwrap_err();
    }
}
