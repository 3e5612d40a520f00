//! The node's network devices as the kernel describes them over netlink: what each card is and what it does to
//! packets before XDP sees them, the node's addresses, how a backend is reached, and what changes.
//!
//! A facility that this kernel or driver does not have is `None` ("unknown"), never an error: an agent must come up
//! on any node and say what it could not find out.

mod addresses;
mod card;
mod checks;
mod error;
mod facts;
mod links;
mod neighbour;
mod netlink;
mod nic;
mod snapshot;
mod softnet;
mod vips;
mod watch;
mod xdp_features;

pub use addresses::NodeAddr;
pub use checks::{Finding, Needs, check};
pub use error::NetdevError;
pub use facts::Facts;
pub use neighbour::{Hop, Unresolved};
pub use netlink::Netlink;
pub use nic::{AttachedXdp, Nic, XdpMode};
pub use snapshot::{Event, LinkState, Snapshot};
pub use softnet::Softnet;
pub use watch::{Changes, watch};
pub use xdp_features::XdpFeatures;
