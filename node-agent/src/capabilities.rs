//! What this node can take, for Hello: asked of the kernel, not concluded from its release.

use std::fs;
use std::path::Path;

use sluice_abi::MAX_ENTRIES;
use sluice_proto::MAX_SUCCESSORS;
use sluice_proto::v1::Capabilities;

use crate::memory;

/// Memory for each IPv4 prefix of an address set: about 20 bytes in the kernel and a list in the agent, and several times
/// that while the set changes.
const BYTES_OF_PREFIX: u64 = 128;

pub fn capabilities(set_prefixes: u64) -> Capabilities {
    Capabilities {
        kernel: read("/proc/sys/kernel/osrelease"),
        tcx: sluice_datapath::tcx(),
        entries: MAX_ENTRIES as u32,
        set_prefixes,
        successors: MAX_SUCCESSORS as u32,
    }
}

/// IPv4 prefixes of all address sets together that this process has memory for: a power of two, so that nodes with about
/// the same memory take the same.
pub fn set_prefixes() -> u64 {
    let prefixes = memory::limit(Path::new("/")).unwrap_or(u64::MAX) / BYTES_OF_PREFIX;
    1 << prefixes.max(1).ilog2()
}

/// Tells a restart of the agent from one of the machine.
pub fn boot_id() -> String {
    read("/proc/sys/kernel/random/boot_id")
}

fn read(path: &str) -> String {
    fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default()
}
