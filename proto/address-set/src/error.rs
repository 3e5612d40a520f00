use sluice_plan::Hash;

/// Why manifest and shards are no set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damaged {
    #[error("the manifest does not decode: {0}")]
    Manifest(String),
    #[error("the manifest names {found} prefixes, a set has at most {limit}")]
    TooLarge { found: u64, limit: usize },
    #[error("shard {0} is missing")]
    Missing(Hash),
    #[error("shard {0} is not what its hash says, or no list of prefixes")]
    Shard(Hash),
    #[error("the shards do not make up the set that the manifest names")]
    NotCanonical,
}
