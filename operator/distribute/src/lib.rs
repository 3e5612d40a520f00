//! The operator's side of the agent protocol: one port, mutual TLS, one stream per agent.
//!
//! In: the agreed [`State`](sluice_raft::State), as a `watch`. Out: [`AgentEvent`]s, for index and status.
//!
//! # Guarantees
//! * A stream speaks for the node of its client certificate and for no other.
//! * One update is in flight per stream. Later states coalesce: when an agent is done, it gets the newest.
//! * Nothing is queued per agent: a plan's bytes are those of its class in the state, shared by all streams, and so are
//!   the shards of address sets, which go to agents that lack them.
//! * An agent is sent a plan in an encoding that it reads, or none, and then keeps what it has.
//! * An agent that enforces a later epoch than ours, or one of another store, is not served: see [`AgentEventKind::Ahead`].
//!   A replica that may only be behind says so and names the others.
//! * A node that the state does not name keeps what it enforces.
//! * What is sent is signed for that node, at most once for each epoch that its stream hears.

mod drops;
mod enroll;
mod errand;
mod error;
mod event;
mod fence;
mod limits;
mod offer;
mod replica;
mod server;
mod service;
mod sessions;
mod signers;
mod stream;

pub use drops::{Drops, NodeBatch, Watcher};
pub use enroll::{TokenCheck, TokenRefused};
pub use error::ServeError;
pub use event::{AgentEvent, AgentEventKind};
pub use limits::Limits;
pub use replica::{Alone, Replica};
pub use server::Distributor;
pub use service::Streams;
