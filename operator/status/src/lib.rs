//! From what the agents say to what is said of each object.
//!
//! [`Book`] keeps every node's last word; [`policy_state`] counts, for one object, the nodes that have read back exactly
//! its generation; [`filter_status`] and the others turn the counts into the API's status. One [`writer`] per sink writes
//! it, on change only.

mod book;
mod conditions;
mod node_status;
mod object_status;
mod policy;
mod rolling;
mod set;
mod why;
pub mod writer;

pub use book::{Book, CounterKey, NodeState, PolicyOnNode, SetOnNode, Total};
pub use conditions::Conditions;
pub use node_status::node_status;
pub use object_status::{balancer_status, filter_status};
pub use policy::{Expected, NodeNote, Placed, PolicyState, policy_state};
pub use rolling::{RollingFacts, rollout_status, seen};
pub use set::{FeedFacts, SetFacts, SetSize, set_status};
pub use why::{Asked, By, Why, why};
