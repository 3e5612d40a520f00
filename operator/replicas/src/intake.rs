//! What whoever decides takes in from the other replicas.

use sluice_distribute::{AgentEvent, Drops};
use tokio::sync::mpsc;

/// What reaches whoever decides.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// An agent of a replica: 0 is this one, the others are numbered by their relays.
    Agent { replica: u64, event: AgentEvent },
    /// Nothing more comes over this relay; the streams of its agents are not known any more.
    RelayEnded(u64),
}

/// Open while this replica decides.
#[derive(Clone, Debug)]
pub struct Intake {
    pub heard: mpsc::Sender<Heard>,
    /// Where samples of the other replicas' agents are left.
    pub drops: Drops,
}
