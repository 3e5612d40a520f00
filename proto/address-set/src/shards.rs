//! A set in pieces that are named by their contents.
//!
//! Extendible hashing: a prefix's place is the leading bits of its hash, as many as it takes until no place has more than
//! [`SHARD_PREFIXES`]. So the cut depends on nothing but the contents, and one prefix more or less changes one shard, at
//! times by splitting it or by making two one.

use std::net::IpAddr;

use bytes::Bytes;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use sluice_plan::Hash;

use crate::set::weight;
use crate::{AddressSet, Damaged, MAX_PREFIXES, SHARD_PREFIXES};

/// Names a set's shards, in the order of their places.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub shards: Vec<Hash>,
    /// Prefixes of each family.
    pub v4: u32,
    pub v6: u32,
}

/// Some of a set's prefixes, each as its length and the bytes of the network that the length reaches into; IPv4 first
/// (lengths from 0), then IPv6 (lengths from 64), each in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shard {
    pub hash: Hash,
    pub bytes: Bytes,
}

/// What an IPv6 prefix's length is counted from.
const V6: u8 = 64;

impl Manifest {
    /// Canonical; [`Manifest::hash`] is over these bytes.
    pub fn encode(&self) -> Vec<u8> {
        sluice_plan::encode(self)
    }

    /// Names the set.
    pub fn hash(&self) -> Hash {
        Hash::of(&self.encode())
    }

    /// As [`AddressSet::weight`].
    pub fn weight(&self) -> u64 {
        weight(self.v4.into(), self.v6.into())
    }

    pub fn decode(bytes: &[u8]) -> Result<Manifest, Damaged> {
        let manifest: Manifest =
            sluice_plan::decode(bytes).map_err(|error| Damaged::Manifest(error.to_string()))?;
        if manifest.encode() != bytes {
            return Err(Damaged::Manifest("its encoding is not the canonical one".into()));
        }
        let found = u64::from(manifest.v4) + u64::from(manifest.v6);
        if found > MAX_PREFIXES as u64 {
            return Err(Damaged::TooLarge { found, limit: MAX_PREFIXES });
        }
        Ok(manifest)
    }
}

impl AddressSet {
    /// The same set gives the same shards, byte by byte.
    pub fn shards(&self) -> (Manifest, Vec<Shard>) {
        let mut placed: Vec<(u64, IpNet)> = self.iter().map(|net| (place(net), net)).collect();
        placed.sort_unstable();
        let mut shards = Vec::new();
        if !placed.is_empty() {
            split(&mut placed, 0, &mut shards);
        }
        let manifest = Manifest {
            shards: shards.iter().map(|shard| shard.hash).collect(),
            v4: self.v4().len() as u32,
            v6: self.v6().len() as u32,
        };
        (manifest, shards)
    }

    /// The set that `manifest` names; `shard` gives the bytes of each of its shards.
    ///
    /// # Errors
    /// Anything but the very bytes that [`AddressSet::shards`] makes.
    pub fn from_shards<B: AsRef<[u8]>>(
        manifest: &Manifest,
        mut shard: impl FnMut(Hash) -> Option<B>,
    ) -> Result<AddressSet, Damaged> {
        let mut nets = Vec::with_capacity(manifest.v4 as usize + manifest.v6 as usize);
        for &hash in &manifest.shards {
            let bytes = shard(hash).ok_or(Damaged::Missing(hash))?;
            read(bytes.as_ref(), &mut nets).ok_or(Damaged::Shard(hash))?;
        }
        let set = AddressSet::collect(nets);
        // The shards' names are those of their bytes: equal manifests are equal bytes.
        if set.shards().0 == *manifest { Ok(set) } else { Err(Damaged::NotCanonical) }
    }
}

/// Cut off SHA-256, so that nobody who writes prefixes can heap them up in one place.
fn place(net: IpNet) -> u64 {
    let mut hash = Sha256::new();
    match net.network() {
        IpAddr::V4(address) => hash.update(address.octets()),
        IpAddr::V6(address) => hash.update(address.octets()),
    }
    hash.update([net.prefix_len()]);
    let hash: [u8; 32] = hash.finalize().into();
    u64::from_be_bytes(*hash.first_chunk().expect("a hash has 32 bytes"))
}

/// `placed` share the first `depth` bits and are sorted.
fn split(placed: &mut [(u64, IpNet)], depth: u32, shards: &mut Vec<Shard>) {
    if placed.len() <= SHARD_PREFIXES || depth == u64::BITS {
        placed.sort_unstable_by_key(|(_, net)| *net);
        let mut bytes = Vec::with_capacity(placed.len() * 5);
        placed.iter().for_each(|(_, net)| write(*net, &mut bytes));
        return shards.push(Shard { hash: Hash::of(&bytes), bytes: bytes.into() });
    }
    let bit = 1 << (u64::BITS - 1 - depth);
    let (zeros, ones) = placed.split_at_mut(placed.partition_point(|(place, _)| place & bit == 0));
    split(zeros, depth + 1, shards);
    split(ones, depth + 1, shards);
}

fn write(net: IpNet, bytes: &mut Vec<u8>) {
    let used = usize::from(net.prefix_len().div_ceil(8));
    match net {
        IpNet::V4(net) => {
            bytes.push(net.prefix_len());
            bytes.extend(&net.network().octets()[..used]);
        }
        IpNet::V6(net) => {
            bytes.push(V6 + net.prefix_len());
            bytes.extend(&net.network().octets()[..used]);
        }
    }
}

/// `None` for bytes that end in the middle or name no prefix.
pub fn read(mut bytes: &[u8], nets: &mut Vec<IpNet>) -> Option<()> {
    while let Some((&length, rest)) = bytes.split_first() {
        let length_v6 = length.checked_sub(V6);
        let used = usize::from(length_v6.unwrap_or(length).div_ceil(8));
        let (network, rest) = rest.split_at_checked(used)?;
        nets.push(match length_v6 {
            None => IpNet::new(IpAddr::from(padded::<4>(network)?), length).ok()?,
            Some(length) => IpNet::new(IpAddr::from(padded::<16>(network)?), length).ok()?,
        });
        bytes = rest;
    }
    Some(())
}

fn padded<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    let mut padded = [0; N];
    padded.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(padded)
}
