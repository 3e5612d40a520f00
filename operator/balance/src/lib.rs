//! Rings: which backend takes which part of a virtual address's connections.
//!
//! A ring has a power-of-two number of slots; a connection's hash picks one. [`repair`] computes a ring from the
//! previous one and changes nothing but what must change: connections on any other slot stay where they are.
//! Pure and deterministic, so that every replica and every node agrees.

mod flow;
mod hash;
mod repair;
mod ring;
mod rings;
mod shares;

pub use flow::Flow;
pub use repair::{Weighted, repair};
pub use ring::Ring;
pub use rings::{Rings, Vip, repair_all, vips};
