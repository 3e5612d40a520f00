use serde::Serialize;
use sluice_plan::{Epoch, Hash, SCHEMA, encode};

/// What is signed: that this node is to enforce these resources, under this number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Statement<'a> {
    /// The store that the epoch comes from.
    pub cluster_id: &'a str,
    pub node: &'a str,
    pub epoch: Epoch,
    /// Of every resource after the update, see [`sluice_plan::fleet_hash`].
    pub fleet_hash: Hash,
}

impl Statement<'_> {
    /// One encoding for each statement. The encoding of plans is part of it: bytes that are good in one could be
    /// another plan in the next.
    pub fn bytes(&self) -> Vec<u8> {
        encode(&(DOMAIN, SCHEMA, self))
    }
}

/// Whatever else the key may sign one day begins otherwise.
const DOMAIN: &str = "sluice plan signature 1";
