//! The agent's side of the data plane: loads a plan into the kernel, runs test packets through it, attaches it, and
//! proves by reading back what the kernel holds.
//!
//! Synchronous, and needs CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON on Linux 6.1 or later, not CAP_SYS_ADMIN: what it
//! reaches it reaches by descriptors and pins, never by id.

mod bounds;
mod bpf;
mod cost;
mod counters;
mod datapath;
mod drops;
mod error;
mod exceptions;
mod host;
mod image;
mod limits;
mod link;
pub mod load;
mod local;
mod marks;
pub mod measure;
mod names;
pub mod object;
mod outcome;
mod owner;
mod pin;
mod program;
mod query;
mod readback;
mod select;
mod self_test;
mod sets;
mod shared;
mod slots;
mod state;
mod tables;
pub mod test_run;
mod unmarked;

pub use bounds::ProgramBounds;
pub use bpf::LinkMode;
pub use counters::{Counts, Stats};
pub use datapath::{Datapath, Drift, Staged};
pub use drops::{Dropped, DroppedPacket, SAMPLES_PER_SECOND};
pub use error::{Error, Result, reason};
pub use host::{check as check_host, tcx};
pub use load::ProgramFacts;
pub use names::{Names, entry_name};
pub use outcome::{Applied, Attachment, InterfaceOutcome, PolicyOutcome, Problem, SetOutcome};
pub use query::{Attached, Place, attached};
pub use readback::{Mismatch, ReadBack};
pub use select::{LocalInterface, Refusal};
pub use sets::{KernelSet, KernelSets};
pub use slots::{SlotKey, SlotTable};
pub use state::{ProgramIdentity, State};
pub use tables::mask;
