//! The operator's agreed state: every replica serves the same plans under the same epoch, also while the API server
//! is away and at once after a restart.
//!
//! [`Raft::open`] gives the state of the disk before anything else runs; [`Raft::propose`] changes it; readers follow
//! [`Raft::state`]. openraft and redb stay behind this crate.
//!
//! # Guarantees
//! * What a proposal returned is on disk, together with the log position that it comes from.
//! * An [`Epoch`](sluice_plan::Epoch) names one state of the plans for ever; the same plans proposed again keep theirs.
//! * After a storage error nothing more is written; the owner is told and should exit.
//!
//! # Caveats
//! One voter for now: there is no transport between replicas, see `network`.

mod command;
mod config;
mod error;
mod files;
mod identity;
mod network;
mod raft;
mod recover;
mod state;
mod store;

pub use bytes::Bytes;
pub use command::{Applied, ClassKey, ClassPlan, Command};
pub use error::{OpenError, ProposeError};
pub use identity::Identity;
pub use raft::{Options, Raft};
pub use recover::RecoverError;
pub use state::{KEPT_SET, Plan, SetManifest, State, shard_key};
