//! Sets of addresses, up to [`MAX_PREFIXES`] prefixes of both families, and the shards in which they travel.
//!
//! A set has one value for the same addresses, however they were written: sorted, disjoint, and as few prefixes as there
//! can be. It is cut into [`Shard`]s named by their contents, so that a changed prefix moves one shard and not the set.
//!
//! IPv4-mapped IPv6 prefixes are IPv6: no packet's IPv4 address is in them.

mod error;
mod follow;
mod net;
mod set;
mod shards;

pub use error::Damaged;
pub use set::AddressSet;
pub use shards::{Manifest, Shard};

/// Prefixes in one set, after collapsing.
pub const MAX_PREFIXES: usize = 2_000_000;
/// A shard with more is split.
pub const SHARD_PREFIXES: usize = 2_048;
