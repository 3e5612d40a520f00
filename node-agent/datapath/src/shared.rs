//! Maps that outlive every program, pinned below the root: counters, statistics, what the node knows of itself.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use sluice_plan::NodePlan;

use crate::bpf::{self, Kind};
use crate::drops::Drops;
use crate::error::{Context, Error, Result};
use crate::load::{LoadError, LoadSpec, Loaded, SHARED, load, pin_of};
use crate::local::Peers;
use crate::pin;
use crate::sets::Places;

pub struct Shared {
    pub counters: OwnedFd,
    pub stats: OwnedFd,
    pub node_addresses: OwnedFd,
    pub peers: Peers,
    pub tokens: OwnedFd,
    pub drops: Drops,
    sets: OwnedFd,
    /// All of them, by their pins.
    pins: Vec<(PathBuf, OwnedFd)>,
    root: PathBuf,
}

impl Shared {
    /// Of the maps as they are pinned now.
    pub fn ids(&self) -> Result<BTreeSet<u32>> {
        SHARED.iter().map(|(name, _)| map_id(open(&self.root, name)?.as_fd(), name)).collect()
    }

    /// Programs of the next process are to count on where those of this one do.
    pub fn is_pinned(&self) -> bool {
        self.pins.iter().all(|(path, map)| pin::is_of(path, map.as_fd(), Kind::Map))
    }

    /// Pins again what somebody removed.
    pub fn ensure_pinned(&self) -> Result<()> {
        self.pins.iter().try_for_each(|(path, map)| pin::ensure(path, map.as_fd(), Kind::Map))
    }

    pub fn set_places(&self) -> Places<'_> {
        Places(self.sets.as_fd())
    }

    /// Opens the pins; where some are missing or of another version, a program for an empty plan makes them.
    pub fn open(root: &Path) -> Result<Shared> {
        let empty = NodePlan::default();
        let spec = LoadSpec { pins: Some(root.to_owned()), ..LoadSpec::default() };
        load_replacing_pins(&empty, &spec)?;
        let open = |map| open(root, map);
        let pinned = |(map, pin): (&str, &str)| Ok((root.join(pin), self::open(root, map)?));
        Ok(Shared {
            counters: open("COUNTERS")?,
            stats: open("STATS")?,
            node_addresses: open("NODE_ADDRS")?,
            peers: Peers { set: open("PEERS")?, ports: open("PEER_PORTS")? },
            tokens: open("TOKENS")?,
            drops: Drops::open(root)?,
            sets: open("SETS")?,
            pins: SHARED.into_iter().map(pinned).collect::<Result<_>>()?,
            root: root.to_owned(),
        })
    }
}

fn open(root: &Path, map: &str) -> Result<OwnedFd> {
    let path = root.join(pin_of(map));
    bpf::get(&path, Kind::Map).context(|| format!("opening the pin {}", path.display()))
}

pub fn map_id(map: BorrowedFd<'_>, name: &str) -> Result<u32> {
    let info = bpf::map_info(map).context(|| format!("asking the map {name}"))?;
    Ok(info.id)
}

/// Loads a program; a shared map of another shape, which only another version can have made, is made anew.
pub fn load_replacing_pins(plan: &NodePlan, spec: &LoadSpec) -> Result<Loaded> {
    for _ in SHARED {
        match load(plan, spec) {
            Err(LoadError::Pin { path, field, found, expected }) => {
                tracing::warn!(pin = %path.display(), field, found, expected, "making a shared map of another version anew");
                pin::remove(&path)?;
            }
            result => return result.map_err(Error::from),
        }
    }
    load(plan, spec).map_err(Error::from)
}
