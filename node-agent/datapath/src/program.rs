//! One loaded program and its tables, reached by descriptors that we hold and by pins: never by id, which would need
//! `CAP_SYS_ADMIN`.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use sluice_abi::table;
use sluice_plan::Hook;

use crate::bpf::{self, Kind, ProgramInfo};
use crate::error::{Context, Error, Result};
use crate::load::{self, Loaded, ProgramFacts};
use crate::pin;

/// Tables that the program looks elements up in.
const LOOKED_UP: [&str; 10] = [
    "PATTERNS",
    "LIMITS",
    "MARKS",
    "REGIONS",
    "VIPS",
    "RING",
    "TARGETS",
    "TARGET_SLOTS",
    "VIP_SLOTS",
    "DECAP",
];
/// Follows the node's neighbours in place.
pub const NEXT_HOPS: &str = "NEXT_HOPS";
pub const RODATA: &str = ".rodata";
/// What a program writes down for itself, and a test run reads.
const NOTES: [&str; 3] = ["DETAILS", "FOUND", "TRACE"];
const PROGRAM_PIN: &str = "program";

#[derive(Debug)]
pub struct Program {
    fd: OwnedFd,
    info: ProgramInfo,
    maps: BTreeMap<String, OwnedFd>,
    dir: PathBuf,
}

impl Program {
    /// Pins a loaded program with its tables in a directory of its own.
    pub fn pin(loaded: &Loaded, dir: &Path) -> Result<Program> {
        let fd = loaded.program_fd().try_clone_to_owned();
        let fd = fd.context(|| "holding the program".into())?;
        let mut maps = BTreeMap::new();
        for name in all_maps() {
            let map = loaded.map_fd(name).map_err(io::Error::other).and_then(|map| map.try_clone_to_owned());
            maps.insert(name.to_owned(), map.context(|| format!("holding the map {name}"))?);
        }
        let program = Program::new(fd, maps, dir)?;
        program.ensure_pinned()?;
        Ok(program)
    }

    /// Pins what is not pinned, or no longer.
    pub fn ensure_pinned(&self) -> Result<()> {
        for (name, map) in &self.maps {
            pin::ensure(&self.dir.join(pin_name(name)), map.as_fd(), Kind::Map)?;
        }
        pin::ensure(&self.dir.join(PROGRAM_PIN), self.fd.as_fd(), Kind::Program)
    }

    /// As a whole, for the next process.
    pub fn is_pinned(&self) -> bool {
        let program = pin::is_of(&self.dir.join(PROGRAM_PIN), self.fd.as_fd(), Kind::Program);
        program && self.maps.keys().all(|name| self.dir.join(pin_name(name)).exists())
    }

    /// Opens what [`Program::pin`] left there, perhaps in another process.
    pub fn open(dir: &Path) -> Result<Program> {
        let open = |name: &str, kind| {
            let path = dir.join(pin_name(name));
            bpf::get(&path, kind).context(|| format!("opening the pin {}", path.display()))
        };
        let mut maps = BTreeMap::new();
        for name in all_maps() {
            maps.insert(name.to_owned(), open(name, Kind::Map)?);
        }
        Program::new(open(PROGRAM_PIN, Kind::Program)?, maps, dir)
    }

    fn new(fd: OwnedFd, maps: BTreeMap<String, OwnedFd>, dir: &Path) -> Result<Program> {
        let info = bpf::program_info(fd.as_fd()).context(|| "asking the program".into())?;
        Ok(Program { fd, info, maps, dir: dir.to_owned() })
    }

    pub fn facts(&self) -> Result<ProgramFacts> {
        load::program_facts(self.fd()).context(|| "asking the program".into())
    }

    /// Where it is pinned.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Ingress and egress of tcx run the same.
    pub fn hook(&self) -> Hook {
        if self.info.kind == bpf::PROG_TYPE_XDP { Hook::Xdp } else { Hook::TcIngress }
    }

    pub fn id(&self) -> u32 {
        self.info.id
    }

    pub fn tag(&self) -> [u8; 8] {
        self.info.tag
    }

    /// Ids of the maps that the program's instructions really use.
    pub fn map_ids(&self) -> &[u32] {
        &self.info.map_ids
    }

    pub fn map_names(&self) -> impl Iterator<Item = &str> {
        self.maps.keys().map(String::as_str)
    }

    pub fn map(&self, name: &str) -> BorrowedFd<'_> {
        self.maps[name].as_fd()
    }

    /// Nobody can change the tables from now on, short of loading another program.
    pub fn freeze(&self) -> Result<()> {
        for table in tables() {
            let map = self.map(table);
            let frozen = bpf::is_frozen(map).context(|| format!("asking whether {table} is frozen"))?;
            if !frozen {
                bpf::freeze(map).context(|| format!("freezing {table}"))?;
            }
        }
        Ok(())
    }
}

/// Removes a directory of pins; bpffs has no recursive removal of its own.
pub fn remove_dir(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::Kernel { what: format!("removing {}", dir.display()), source: error })
        }
        _ => Ok(()),
    }
}

/// What belongs to one load and never changes after it.
pub fn tables() -> impl Iterator<Item = &'static str> {
    table::NAMES.into_iter().chain(LOOKED_UP)
}

fn all_maps() -> impl Iterator<Item = &'static str> {
    tables().chain([NEXT_HOPS, RODATA]).chain(NOTES)
}

/// bpffs refuses names with dots.
fn pin_name(map: &str) -> &str {
    map.trim_start_matches('.')
}
