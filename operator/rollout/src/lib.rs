//! Which nodes have a new version of a policy, and what takes it on or back. Pure: times and what nodes say are passed in,
//! so every replica decides the same, and what was met is the [`Progress`] that they agree on.
//!
//! # Expected flow
//! [`Going::begin`] when a version is to go out, [`Going::step`] whenever something was heard or a hold may be over. A
//! step that draws nodes in is the last word on what they said before: the next one needs new words.

mod gates;
mod order;
mod progress;
mod standing;
mod waves;

pub use gates::{Failure, Gate};
pub use order::{ANNOTATION, Order, OrderedFor};
pub use progress::{Before, Going, Phase, Progress};
pub use standing::Standing;
pub use waves::Reach;

/// What is known of a node that the version before or the new one selects.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen<'a> {
    pub name: &'a str,
    /// By the rollout's canary selector.
    pub canary: bool,
    /// About what it is to have now: the new version where that reaches it, the one before elsewhere.
    pub word: Word,
    /// None where its agent said nothing of them lately.
    pub packets: Option<Packets>,
    /// What a plain packet takes there with what it has now; none where its agent did not measure it.
    pub ns_per_packet: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// Read back from its kernel.
    Has,
    Pending,
    Refuses(String),
    /// When its agent was heard last, in Unix milliseconds; none if that was before this process knew it.
    Silent(Option<i64>),
}

/// Packets a second of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Packets {
    /// That met any policy.
    pub met: f64,
    /// That this one dropped.
    pub dropped: f64,
    /// To virtual addresses.
    pub balanced: f64,
    /// Those of them that reached no backend.
    pub failed: f64,
}
