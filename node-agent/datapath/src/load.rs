//! A plan becomes a loaded program: constants, maps of the right sizes, their contents.
//!
//! # Expected flow
//! [`load`] gives a [`Loaded`] that nothing is attached to. Test packets go through it with [`Loaded::run`]; then its
//! maps are read back and frozen, and its program is attached by a link.
//!
//! # Guarantees
//! The table maps belong to this one load. The maps of [`SHARED`] are those pinned in [`LoadSpec::pins`], so counters
//! outlive the program; without a pin directory they are private to this load.

mod constants;
mod pins;
mod raw;
mod tables;

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use aya::maps::{Map, MapData};
use aya::programs::{ProgramInfo, Xdp};
use aya::{Ebpf, EbpfLoader, VerifierLogLevel};
use sluice_abi::{BALANCER_WORDS, Config, DecapPeer, WORDS};
use sluice_plan::NodePlan;

use crate::object::{OBJECT, PROGRAM};

pub use pins::SHARED;
pub(crate) use raw::{lookup as read_element, update as write_element};

/// What the plan leaves to the node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadSpec {
    /// Entries of the filters that select this interface.
    pub mask: [u64; WORDS],
    /// Balancers of the plan that balance on this interface.
    pub balancers: [u64; BALANCER_WORDS],
    /// Counter slot of each entry.
    pub entry_slots: Vec<u32>,
    /// Counter slot of each VIP, by `Vip::slot`.
    pub vip_slots: Vec<u32>,
    /// Counter slot of each target.
    pub target_slots: Vec<u32>,
    /// Tunnels that this node opens; see [`DecapPeer`] for the rows with an all-zero balancer.
    pub decap: Vec<DecapPeer>,
    /// Directory on bpffs with the pins of [`SHARED`]; they are made if missing. `None`: private maps.
    pub pins: Option<PathBuf>,
}

impl LoadSpec {
    /// Every filter and balancer of the plan applies, slots are numbered from 0 on (entries, VIPs, targets), and the
    /// shared maps are private: for test packets.
    pub fn everything(plan: &NodePlan) -> LoadSpec {
        let count = constants::Counts::of(plan);
        let mut slots = 0u32..;
        let mut take = |n: usize| slots.by_ref().take(n).collect::<Vec<_>>();
        LoadSpec {
            mask: [u64::MAX; WORDS],
            balancers: [u64::MAX; BALANCER_WORDS],
            entry_slots: take(count.entries),
            vip_slots: take(count.vips),
            target_slots: take(count.targets),
            decap: Vec::new(),
            pins: None,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The plan's bytes do not have the shape of the tables: it was made for another version, or damaged.
    #[error("{table} of the plan: {problem}")]
    Plan { table: &'static str, problem: String },
    /// A pin of another version, or somebody else's.
    #[error("{}: pinned map has {field} {found}, expected {expected}; remove the pin (its counters are lost)", path.display())]
    Pin { path: PathBuf, field: &'static str, found: u32, expected: u32 },
    #[error("loading the program")]
    Object(#[from] aya::EbpfError),
    /// The verifier refused, or a capability is missing (CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON).
    #[error("loading the program")]
    Program(#[from] aya::programs::ProgramError),
    #[error("map {name}: {action}")]
    Map {
        name: String,
        action: &'static str,
        #[source]
        source: io::Error,
    },
}

/// A program in the kernel with its maps.
#[derive(Debug)]
pub struct Loaded {
    ebpf: Ebpf,
    config: Config,
}

/// # Errors
/// [`LoadError::Plan`] and [`LoadError::Pin`] before anything is made in the kernel; what the kernel made is gone with
/// the error, except pins that were missing.
pub fn load(plan: &NodePlan, spec: &LoadSpec) -> Result<Loaded, LoadError> {
    let config = constants::config(plan, spec)?;
    let tables = tables::tables(plan, spec)?;
    if let Some(directory) = &spec.pins {
        pins::check(directory)?;
    }
    let mut ebpf = create(&config, &tables, spec.pins.as_deref())?;
    for table in &tables {
        table.fill(map_fd(&ebpf, table.name)?)?;
    }
    xdp_mut(&mut ebpf).load()?;
    Ok(Loaded { ebpf, config })
}

fn create(config: &Config, tables: &[tables::Table], pins: Option<&Path>) -> Result<Ebpf, LoadError> {
    let mut loader = EbpfLoader::new();
    loader.btf(None).verifier_log_level(VerifierLogLevel::DISABLE);
    loader.override_global("CONFIG", bytemuck::bytes_of(config), true);
    for table in tables {
        loader.map_max_entries(table.name, table.max_entries());
    }
    for (name, pin) in SHARED {
        if let Some(directory) = pins {
            loader.map_pin_path(name, directory.join(pin));
        }
    }
    Ok(loader.load(OBJECT)?)
}

impl Loaded {
    pub fn ebpf(&self) -> &Ebpf {
        &self.ebpf
    }

    pub fn ebpf_mut(&mut self) -> &mut Ebpf {
        &mut self.ebpf
    }

    /// The constants that the program was specialised by.
    pub fn config(&self) -> &Config {
        &self.config
    }

    pub fn program(&self) -> &Xdp {
        match self.ebpf.program(PROGRAM) {
            Some(aya::programs::Program::Xdp(program)) => program,
            _ => unreachable!("the object holds one XDP program of this name"),
        }
    }

    pub fn program_mut(&mut self) -> &mut Xdp {
        xdp_mut(&mut self.ebpf)
    }

    /// Id, tag and sizes of the program, asked by its descriptor (no CAP_SYS_ADMIN).
    pub fn info(&self) -> Result<ProgramInfo, LoadError> {
        Ok(self.program().info()?)
    }

    /// Descriptor of a map by its name in the object (`ROWS`, `.rodata`, …).
    pub fn map_fd(&self, name: &str) -> Result<BorrowedFd<'_>, LoadError> {
        map_fd(&self.ebpf, name)
    }
}

fn xdp_mut(ebpf: &mut Ebpf) -> &mut Xdp {
    match ebpf.program_mut(PROGRAM) {
        Some(aya::programs::Program::Xdp(program)) => program,
        _ => unreachable!("the object holds one XDP program of this name"),
    }
}

fn map_fd<'a>(ebpf: &'a Ebpf, name: &str) -> Result<BorrowedFd<'a>, LoadError> {
    let missing = || LoadError::Map {
        name: name.into(),
        action: "look up",
        source: io::Error::from(io::ErrorKind::NotFound),
    };
    let data: &MapData = match ebpf.map(name).ok_or_else(missing)? {
        Map::Array(data) | Map::PerCpuArray(data) | Map::HashMap(data) => data,
        _ => return Err(missing()),
    };
    Ok(data.fd().as_fd())
}
