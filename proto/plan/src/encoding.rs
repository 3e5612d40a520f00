//! The canonical bytes of a plan and their hash.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// SHA-256.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    pub fn of(bytes: &[u8]) -> Hash {
        Hash(Sha256::digest(bytes).into())
    }

    /// The first 12 hex digits, as status and tables show it.
    pub fn short(&self) -> String {
        hex::encode(&self.0[..6])
    }

    pub fn to_hex(&self) -> String {
        hex::encode(self.0)
    }

    pub fn from_slice(bytes: &[u8]) -> Option<Hash> {
        bytes.try_into().ok().map(Hash)
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short())
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short())
    }
}

/// Hash over all resources that a node enforces, whatever their order: the end-to-end check of an update.
pub fn fleet_hash<'a>(resources: impl IntoIterator<Item = (&'a str, Hash)>) -> Hash {
    let sorted: BTreeMap<&str, Hash> = resources.into_iter().collect();
    Hash::of(&encode(&sorted))
}

#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    #[error("not a plan of this version: {0}")]
    Postcard(#[from] postcard::Error),
    #[error("not a plan of this version: {0} bytes follow it")]
    Rest(usize),
}

/// Canonical: fields in order, integers as varints, lists with their length (the postcard wire format, version 1).
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    postcard::to_stdvec(value).expect("plain data into a growing buffer always encodes")
}

pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    let (value, rest) = postcard::take_from_bytes(bytes)?;
    if rest.is_empty() { Ok(value) } else { Err(DecodeError::Rest(rest.len())) }
}
