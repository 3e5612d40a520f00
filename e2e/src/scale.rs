//! What a fleet of thousands costs its operator.
//!
//! The operator is the program itself, in a process of its own, of which alone memory and CPU are told. The agents are the
//! agents' own client, each with its certificate, its TLS connection and its stream, in this process; in place of a kernel
//! they have a word that says yes. `docs/scaling.md` says what follows from the numbers.

mod agent;
mod curve;
mod fleet;
mod leader;
mod operator;
mod policies;
pub mod report;
mod run;
mod writes;

pub use run::{Options, measure};
