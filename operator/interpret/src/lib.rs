//! What a policy means, rule by rule and packet by packet.
//!
//! The interpreter reads validated policies, never compiled tables, and shares neither parsing nor matching with the
//! program in the kernel: both are written from the same rules, so that a test which runs both on the same packets finds
//! what either got wrong. `simulate --interpret` uses it where there is no kernel to ask.

mod balancer;
mod connection;
mod considered;
mod evaluate;
mod failsafe;
mod filters;
mod interfaces;
mod limits;
mod matching;
mod outcome;
pub mod packet;
mod world;

pub use connection::Connection;
pub use considered::Considered;
pub use evaluate::{evaluate, evaluate_at, explain};
pub use limits::Limits;
pub use matching::{Checked, Field};
pub use outcome::{
    Counted, DEFAULT_NAME, Decider, ESTABLISHED_NAME, Kept, MALFORMED_NAME, Matched, Outcome, Stage, Verdict,
};
pub use world::{ControlPeer, Failsafe, FailsafePort, Service, Sets, World};
