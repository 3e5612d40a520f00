//! The program's maps: made in the sizes of the plan and filled, or taken from their pins.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use aya::maps::{MapData, MapError};
use aya_obj::{EbpfSectionKind, Object};
use sluice_abi::{Config, LIMIT_BUCKETS, VERDICTS};

use super::tables::{SETS, Table};
use super::{LoadError, SHARED, pin_of};
use crate::{bpf, sets};

/// A page: tests take no samples.
const SMALLEST_RING: u32 = 4096;

pub fn create(
    object: &Object,
    config: &Config,
    tables: &[Table],
    pins: Option<&Path>,
    btf: BorrowedFd<'_>,
) -> Result<BTreeMap<String, MapData>, LoadError> {
    let mut maps = BTreeMap::new();
    for (name, definition) in &object.maps {
        let mut definition = definition.clone();
        let table = tables.iter().find(|table| table.name == name);
        if let Some(table) = table {
            definition.set_max_entries(table.max_entries());
            if let Some(size) = table.value_size() {
                definition.set_value_size(size);
            }
        }
        let is_shared = SHARED.iter().any(|(shared, _)| shared == name);
        let pin = pins.filter(|_| is_shared).map(|pins| pins.join(pin_of(name)));
        let map = match pin {
            Some(pin) => open_or_pin(name, definition, &pin, btf)?,
            None => {
                if name == "COUNTERS" {
                    // A test needs few of the node's slots, and each costs an allocation on every CPU.
                    definition.set_max_entries(2 * config.slots * VERDICTS);
                }
                if name == "SAMPLE_TOKENS" {
                    definition.set_max_entries(config.slots);
                }
                if name == "SAMPLES" {
                    definition.set_max_entries(SMALLEST_RING);
                }
                if name == "TOKENS" {
                    let regions =
                        tables.iter().find(|table| table.name == "REGIONS").map_or(1, Table::max_entries);
                    definition.set_max_entries(regions * LIMIT_BUCKETS);
                }
                new(name, definition, btf)?
            }
        };
        if let Some(table) = table {
            table.fill(map.fd().as_fd())?;
        }
        maps.insert(name.clone(), map);
    }
    Ok(maps)
}

/// For one program that another calls.
pub fn program_array() -> Result<MapData, LoadError> {
    const NAME: &str = "chain";
    let (kind, number) =
        (aya_obj::generated::bpf_map_type::BPF_MAP_TYPE_PROG_ARRAY as u32, size_of::<u32>() as u32);
    let definition = aya_obj::Map::new_from_params(kind, number, number, 1, 0);
    MapData::create(definition, NAME, None).map_err(|error| failed(NAME, "create", error))
}

/// With these elements.
pub fn array(name: &'static str, values: &[u8], value_size: usize) -> Result<MapData, LoadError> {
    let kind = aya_obj::generated::bpf_map_type::BPF_MAP_TYPE_ARRAY as u32;
    let table = Table::array(name, values, value_size)?;
    let definition = aya_obj::Map::new_from_params(
        kind,
        size_of::<u32>() as u32,
        value_size as u32,
        table.max_entries(),
        0,
    );
    let map = MapData::create(definition, name, None).map_err(|error| failed(name, "create", error))?;
    table.fill(map.fd().as_fd())?;
    Ok(map)
}

fn open_or_pin(
    name: &str,
    definition: aya_obj::Map,
    pin: &Path,
    btf: BorrowedFd<'_>,
) -> Result<MapData, LoadError> {
    if pin.exists() {
        return MapData::from_pin(pin).map_err(|error| failed(name, "open the pin", error));
    }
    let map = new(name, definition, btf)?;
    map.pin(pin).map_err(|error| failed(name, "pin", io::Error::other(error)))?;
    Ok(map)
}

/// aya makes maps of maps for itself alone.
fn new_sets(name: &str) -> Result<MapData, LoadError> {
    let map = sets::new_places(name, sets::ELEMENTS).map_err(|error| failed(name, "create", error))?;
    MapData::from_fd(map).map_err(|error| failed(name, "create", error))
}

pub fn new(name: &str, definition: aya_obj::Map, btf: BorrowedFd<'_>) -> Result<MapData, LoadError> {
    if name == SETS {
        return new_sets(name);
    }
    let constants =
        (definition.section_kind() == EbpfSectionKind::Rodata).then(|| definition.data().to_vec());
    let map = MapData::create(definition, name, Some(btf)).map_err(|error| failed(name, "create", error))?;
    if let Some(bytes) = constants {
        let fd = map.fd().as_fd();
        // The verifier only takes values as constants that nobody can change any more.
        let written = bpf::update(fd, &0u32.to_ne_bytes(), &bytes).and_then(|()| bpf::freeze(fd));
        written.map_err(|source| LoadError::Map {
            name: name.into(),
            action: "write the constants",
            source,
        })?;
    }
    Ok(map)
}

fn failed(name: &str, action: &'static str, error: impl Into<MapFailure>) -> LoadError {
    LoadError::Map { name: name.into(), action, source: error.into().0 }
}

/// aya's map errors hide the system's error in different places; the number is what tells EPERM from ENOMEM.
struct MapFailure(io::Error);

impl From<MapError> for MapFailure {
    fn from(error: MapError) -> Self {
        MapFailure(match error {
            MapError::CreateError { io_error, .. } => io_error,
            MapError::SyscallError(error) => error.io_error,
            other => io::Error::other(other),
        })
    }
}

impl From<io::Error> for MapFailure {
    fn from(error: io::Error) -> Self {
        MapFailure(error)
    }
}
