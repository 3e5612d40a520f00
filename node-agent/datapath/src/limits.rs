//! The buckets of rate limits.

use std::os::fd::BorrowedFd;

use sluice_abi::{FullAt, LIMIT_BUCKETS};

use crate::bpf;
use crate::error::{Context, Result};

/// Fills every bucket of a region for its next owner.
pub fn clear(map: BorrowedFd<'_>, region: u32) -> Result<()> {
    let first = region * LIMIT_BUCKETS;
    let keys: Vec<u32> = (first..first + LIMIT_BUCKETS).collect();
    let values = [FullAt::MIN; LIMIT_BUCKETS as usize];
    let (keys, values) = (bytemuck::cast_slice(&keys), bytemuck::cast_slice(&values));
    bpf::update_batch(map, keys, values, LIMIT_BUCKETS)
        .context(|| format!("filling the buckets of region {region}"))
}
