//! Somebody else's program, to be measured beside ours.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use aya::maps::MapData;
use aya_obj::Object;
use ipnet::Ipv4Net;

use super::assembly;
use crate::bpf::{self, MapShape};
use crate::load::{LoadError, ProgramFacts, ProgramKind, load_btf, load_one, new_map, program_facts};

/// The XDP program of an object, in the kernel with maps of its own.
#[derive(Debug)]
pub struct Foreign {
    program: OwnedFd,
    maps: BTreeMap<String, MapData>,
}

impl Foreign {
    /// The program alone: maps are not pinned, and what the object tells a dispatcher (libxdp's priorities) is not read.
    pub fn load(bytes: &[u8]) -> Result<Foreign, LoadError> {
        let mut object = Object::parse(bytes).map_err(broken)?;
        if let Some(features) = aya::features().btf() {
            object.fixup_and_sanitize_btf(features).map_err(broken)?;
        }
        let types = object.btf.as_ref().ok_or_else(|| LoadError::Object("it has no BTF".into()))?;
        let btf = load_btf(&types.to_bytes()).map_err(|source| failed("BTF", "load", source))?;
        let mut maps = BTreeMap::new();
        for (name, definition) in &object.maps {
            maps.insert(name.clone(), new_map(name, definition.clone(), btf.as_fd())?);
        }
        relocate(&mut object, &maps)?;
        let name = object.programs.keys().next().cloned();
        let name = name.ok_or_else(|| LoadError::Object("it has no program".into()))?;
        let program = load_one(&object, &name, ProgramKind::Xdp, btf.as_fd())?;
        Ok(Foreign { program, maps })
    }

    /// Drops what comes from these prefixes, by the kernel's own tree for them.
    pub fn trie(prefixes: &[Ipv4Net]) -> Result<Foreign, LoadError> {
        const NAME: &str = "trie";
        const LPM_TRIE: u32 = 11;
        const NO_PREALLOC: u32 = 1;
        let entries = prefixes.len() as u32;
        let shape = MapShape { kind: LPM_TRIE, key: 8, value: 4, entries, flags: NO_PREALLOC };
        let map = bpf::create_map(NAME, &shape, None).map_err(|source| failed(NAME, "create", source))?;
        let key =
            |net: &Ipv4Net| [u32::from(net.prefix_len()).to_ne_bytes(), net.network().octets()].concat();
        let keys: Vec<u8> = prefixes.iter().flat_map(key).collect();
        let filled = bpf::update_batch(map.as_fd(), &keys, &vec![0; 4 * prefixes.len()], entries);
        filled.map_err(|source| failed(NAME, "fill", source))?;
        Ok(Foreign { program: super::load(&assembly::trie(map.as_fd()))?, maps: BTreeMap::new() })
    }

    pub fn program_fd(&self) -> BorrowedFd<'_> {
        self.program.as_fd()
    }

    pub fn facts(&self) -> Result<ProgramFacts, LoadError> {
        program_facts(self.program_fd()).map_err(|source| failed("program", "ask for its facts", source))
    }

    /// Gives elements of a map of per-CPU counters the same value on every CPU; `keys` are in a row.
    pub fn fill(&self, map: &str, keys: &[u8], value: u64) -> Result<(), LoadError> {
        let found = self.maps.get(map);
        let found = found.ok_or_else(|| failed(map, "look up", io::ErrorKind::NotFound.into()))?;
        let cpus = aya::util::nr_cpus().map_err(|(_, error)| failed(map, "fill", error))?;
        bpf::update_per_cpu(found.fd().as_fd(), keys, &value.to_ne_bytes(), cpus)
            .map_err(|source| failed(map, "fill", source))
    }
}

fn relocate(object: &mut Object, maps: &BTreeMap<String, MapData>) -> Result<(), LoadError> {
    let text: HashSet<usize> = object.functions.keys().map(|(section, _)| *section).collect();
    let definitions = std::mem::take(&mut object.maps);
    let by_name = maps.iter().filter_map(|(name, map)| {
        Some((name.as_str(), map.fd().as_fd().as_raw_fd(), definitions.get(name)?))
    });
    object.relocate_maps(by_name, &text).map_err(broken)?;
    object.relocate_calls(&text).map_err(broken)
}

fn broken(error: impl std::fmt::Display) -> LoadError {
    LoadError::Object(error.to_string())
}

fn failed(name: &str, action: &'static str, source: io::Error) -> LoadError {
    LoadError::Map { name: name.into(), action, source }
}
