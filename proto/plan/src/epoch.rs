//! The number of a state of the fleet.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Totally ordered, fenced: a later one is newer. `incarnation` grows when a lost volume is replaced by `recover`,
/// `term` and `index` are raft's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Epoch {
    pub incarnation: u64,
    pub term: u64,
    pub index: u64,
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.incarnation, self.term, self.index)
    }
}
