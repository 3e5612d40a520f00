//! The same packets through the kernel program and the interpreter: what both say must be the same.
//!
//! Policies go the whole way, compiled and loaded, on one side; on the other they are read rule by rule.

pub(crate) mod build;
mod count;
mod generate;
mod judge;
mod kernel;
mod mismatch;
mod node;
mod policies;
mod round;
mod seen;
mod shrink;

pub use generate::random_node;
pub use judge::{Tally, compare, compare_patched};
pub use kernel::Kernel;
pub use mismatch::Mismatch;
pub use node::Node;
pub use policies::{
    balancer_alone, hand_made, hand_made_among_many, one_of_each, one_of_each_among_many, one_of_each_set,
    ports_alone,
};
pub use round::{Round, fuzz};
pub use seen::Seen;
