//! Objects and nodes in memory, published as a [`Snapshot`] of node classes. Pure: no tokio, no kube client.
//!
//! A source hands over the [`Desired`] state as a whole; [`Index::update`] admits what changed and holds the last good
//! version of whatever was refused. Nodes come from the agents' greetings. [`Index::snapshot`] groups the nodes that the
//! same policies select into classes, which are what the compiler compiles.

mod class;
mod desired;
mod held;
mod index;
mod node;
mod rolling;
mod sets;

pub use class::{Class, ClassBalancer, ClassKey, Refused, Snapshot};
pub use desired::{Desired, NodeObject, Object, ObjectKey, Problem};
pub use held::{Held, Policy};
pub use index::{Index, IndexState};
pub use node::{Capabilities, Node};
pub use rolling::{Assigned, Rolling};
pub use sets::{Feeds, SetRefused, check_sets};
