//! Pins of the maps that programs share. aya takes any map that it finds under a pin's name, so it is compared before.

use std::path::Path;

use aya::maps::{MapInfo, MapType};
use sluice_abi::{
    Bucket, ControlPeer, Counter, FAILSAFE_BUCKETS, FullAt, LIMIT_BUCKETS, LIMIT_REGIONS, MAX_NODE_SET,
    MAX_SLOTS, NodeAddress, SAMPLE_RING, STAGED_OFFSET, STATS, Sampling,
};

use super::LoadError;
use crate::sets::ELEMENTS;

/// Maps that outlive a program, and the names of their pins.
pub const SHARED: [(&str, &str); 11] = [
    ("COUNTERS", "counters"),
    ("STATS", "stats"),
    ("NODE_ADDRS", "node_addrs"),
    ("PEERS", "peers"),
    ("PEER_PORTS", "peer_ports"),
    ("BUCKETS", "buckets"),
    ("TOKENS", "tokens"),
    ("SAMPLES", "samples"),
    ("SAMPLE_TOKENS", "sample_tokens"),
    (".data.sampling", "sampling"),
    ("SETS", "sets"),
];

/// Name of the pin of a shared map.
pub fn pin_of(map: &str) -> &str {
    SHARED.iter().find(|(name, _)| *name == map).map_or(map, |(_, pin)| pin)
}

const BPF_F_NO_PREALLOC: u32 = 1;

struct Shape {
    kind: MapType,
    key: usize,
    value: usize,
    entries: u32,
    flags: u32,
}

fn shape(name: &str) -> Shape {
    use MapType::{Array, Hash, PerCpuArray, RingBuf};
    let array = |kind, value, entries| Shape { kind, key: 4, value, entries, flags: 0 };
    let set = |key| Shape { kind: Hash, key, value: 1, entries: MAX_NODE_SET, flags: BPF_F_NO_PREALLOC };
    match name {
        "COUNTERS" => array(PerCpuArray, size_of::<Counter>(), STAGED_OFFSET),
        "STATS" => array(PerCpuArray, size_of::<u64>(), 2 * STATS),
        "PEER_PORTS" => array(Array, size_of::<u64>(), 1),
        "BUCKETS" => array(Array, size_of::<Bucket>(), 2 * FAILSAFE_BUCKETS),
        "TOKENS" => array(Array, size_of::<FullAt>(), LIMIT_REGIONS * LIMIT_BUCKETS),
        "SAMPLES" => Shape { kind: RingBuf, key: 0, value: 0, entries: SAMPLE_RING, flags: 0 },
        "SAMPLE_TOKENS" => array(Array, size_of::<FullAt>(), MAX_SLOTS),
        ".data.sampling" => array(Array, size_of::<Sampling>(), 1),
        "SETS" => array(MapType::ArrayOfMaps, size_of::<u32>(), ELEMENTS),
        "NODE_ADDRS" => set(size_of::<NodeAddress>()),
        _ => set(size_of::<ControlPeer>()),
    }
}

pub fn check(directory: &Path) -> Result<(), LoadError> {
    for (name, pin) in SHARED {
        let path = directory.join(pin);
        if path.exists() {
            check_one(&path, &shape(name))?;
        }
    }
    Ok(())
}

fn check_one(path: &Path, want: &Shape) -> Result<(), LoadError> {
    let unreadable =
        |source| LoadError::Map { name: path.display().to_string(), action: "open the pin", source };
    let info = MapInfo::from_pin(path).map_err(|error| unreadable(std::io::Error::other(error)))?;
    let kind = info.map_type().map_or(0, |kind| kind as u32);
    let pairs = [
        ("type", kind, want.kind as u32),
        ("key size", info.key_size(), want.key as u32),
        ("value size", info.value_size(), want.value as u32),
        ("max_entries", info.max_entries(), want.entries),
        ("flags", info.map_flags(), want.flags),
    ];
    match pairs.into_iter().find(|(_, found, expected)| found != expected) {
        Some((field, found, expected)) => Err(LoadError::Pin { path: path.into(), field, found, expected }),
        None => Ok(()),
    }
}
