//! What replicas of an operator say to each other, all over mutual TLS with operators' certificates: calls of the
//! consensus, and what agents say to a replica that does not decide.
//!
//! Each replica serves agents; one decides. A [`Desk`] takes in what the agents of this replica say and hands it to whoever
//! decides: here, or over a relay to where that is.
//!
//! # Guarantees
//! * Who decides hears of every open stream of every replica that it can reach, and each agent says again what it had said
//!   to an earlier one.
//! * Nothing queues while nobody decides.
//! * The end of a relay is heard of: what was said over it is not known any more.

mod channels;
mod desk;
mod intake;
mod lines;
mod relay;
mod samples;
mod service;
mod transport;
mod wire;

pub use channels::Channels;
pub use desk::Desk;
pub use intake::{Heard, Intake};
pub use lines::{Lines, Orders};
pub use relay::relay;
pub use service::{Answers, ReplicationService};
