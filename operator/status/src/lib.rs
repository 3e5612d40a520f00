//! From what the agents say to what is said of each object.
//!
//! [`Book`] keeps every node's last word; [`policy_state`] counts, for one object, the nodes that have read back exactly
//! its generation; [`filter_status`] and the others turn the counts into the API's status. One [`writer`] per sink writes
//! it, on change only and at a [`Pace`], and tells of what came about ([`Notices`]).

mod book;
mod change;
mod conditions;
mod news;
mod node_status;
mod notice;
mod object_status;
mod pace;
mod policy;
mod rolling;
mod set;
mod why;
pub mod writer;

pub use book::{Book, CounterKey, DriftOnNode, NodeState, PolicyOnNode, SetOnNode, Total};
pub use change::Change;
pub use conditions::Conditions;
pub use news::News;
pub use node_status::node_status;
pub use notice::{Notice, Notices};
pub use object_status::{balancer_status, filter_status};
pub use pace::Pace;
pub use policy::{Expected, NodeNote, Placed, PolicyState, policy_state};
pub use rolling::{RollingFacts, rollout_status, seen};
pub use set::{FeedFacts, SetFacts, SetSize, set_status};
pub use why::{Asked, By, Why, why};
