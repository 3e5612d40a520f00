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
//! * One replica at a time holds a [`Lead`], and what it proposes with it is void once another may have led.
//! * A call that was meant for another replica, or for another cluster at the same address, changes nothing.

mod alone;
mod answer;
mod call;
mod command;
mod config;
mod error;
mod files;
mod found;
mod identity;
mod last_read;
mod lead;
mod members;
mod network;
mod peers;
mod raft;
mod recover;
mod report;
mod revocation;
mod schemas;
#[cfg(feature = "simulation")]
pub mod simulated;
mod state;
mod step;
mod store;
mod successors;
mod traces;

pub use alone::{NotAlone, go_on_alone};
pub use answer::answer_without_store;
pub use bytes::Bytes;
pub use command::{Applied, ClassKey, ClassPlan, Command};
pub use error::{OpenError, ProposeError};
pub use found::found_or_join;
pub use identity::Identity;
pub use last_read::LastRead;
pub use lead::Lead;
pub use peers::{Peers, Transport, Unreached};
pub use raft::{Options, Raft};
pub use recover::RecoverError;
pub use report::{Member, Report};
pub use revocation::Revocation;
pub use schemas::{SCHEMAS, Schemas};
pub use state::{KEPT_SET, Plan, ReadBlobs, SIGNER, SetManifest, State, shard_key};
pub use step::Step;
pub use successors::{SUCCESSORS, Successors};
pub use traces::{TRACES, Traces};
