//! Where a status goes: to the Kubernetes API or to files.

use serde_json::Value;

pub mod directory;
pub mod kubernetes;

/// A status that was written before.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Of the object; files have none.
    pub uid: String,
    pub status: Value,
}
