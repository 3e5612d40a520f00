use sluice_plan::{Epoch, Hash, encode};

/// What is signed: that this node is to enforce these resources, under this number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statement<'a> {
    /// The store that the epoch comes from.
    pub cluster_id: &'a str,
    pub node: &'a str,
    pub epoch: Epoch,
    /// Of every resource after the update, see [`sluice_plan::fleet_hash`].
    pub fleet_hash: Hash,
    /// Number of the plan's encoding: bytes that are good in one could be another plan in the next.
    pub schema: u32,
}

impl Statement<'_> {
    /// One encoding for each statement.
    pub fn bytes(&self) -> Vec<u8> {
        let Statement { cluster_id, node, epoch, fleet_hash, schema } = self;
        encode(&(DOMAIN, schema, cluster_id, node, epoch, fleet_hash))
    }
}

/// Whatever else the key may sign one day begins otherwise.
const DOMAIN: &str = "sluice plan signature 1";
