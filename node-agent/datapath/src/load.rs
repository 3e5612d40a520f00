//! A plan becomes a loaded program: constants, maps of the right sizes, their contents.
//!
//! # Expected flow
//! [`load`] gives a [`Loaded`] that nothing is attached to. Test packets go through it with [`Loaded::run`]; then its
//! maps are read back and frozen, and its program is attached by a link.
//!
//! # Guarantees
//! The table maps belong to this one load. The maps of [`SHARED`] are those pinned in [`LoadSpec::pins`], so counters
//! outlive the program; without a pin directory they are private to this load.

mod addressed;
mod constants;
pub(crate) mod failsafe;
mod maps;
mod patch;
mod pins;
mod prepared;
mod raw;
mod run;
mod specialise;
mod tables;
mod trie;

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;

use aya::maps::MapData;
use sluice_abi::{BALANCER_WORDS, Config, Counted, Counter, DecapPeer, NextHop, SET_PLACES, VERDICTS, WORDS};
use sluice_address_set::AddressSet;
use sluice_plan::{Hash, Hook, NodePlan};

use crate::error::Error;
use crate::sets::{KernelSet, KernelSets};
use crate::slots::SlotTable;
use crate::{bpf, sets};

pub(crate) use addressed::{Addressed, addressed, element_size as addressed_element};
pub(crate) use constants::{NODE_FEATURES, OPTIONAL_FEATURES, config_of};
pub(crate) use maps::{array as new_array, new as new_map, program_array as new_program_array};
pub use patch::Patch;
pub use pins::SHARED;
pub(crate) use pins::pin_of;
pub(crate) use prepared::btf as prepared_btf;
pub(crate) use prepared::{TracePrograms, load_mark_program, load_one, load_trace_programs};
pub use raw::ProgramFacts;
pub(crate) use raw::{ProgramKind, ProgramRequest, load as load_program, load_btf, program_facts};
pub(crate) use run::{TestRun, live_run, test_run, test_run_behind_metadata};
pub(crate) use tables::{entries_with_slots, with_slots};

/// What the plan leaves to the node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadSpec {
    /// Where the program is to run.
    pub hook: Hook,
    /// Bits of the rows that belong to the filters that select this interface ([`crate::mask`]).
    pub mask: [u64; WORDS],
    /// Balancers of the plan that balance on this interface.
    pub balancers: [u64; BALANCER_WORDS],
    /// Counter slot of each entry.
    pub entry_slots: Vec<u32>,
    /// Counter slot of each VIP, by `Vip::slot`.
    pub vip_slots: Vec<u32>,
    /// Counter slot of each target.
    pub target_slots: Vec<u32>,
    /// Where each limit of the plan keeps its buckets.
    pub limit_regions: Vec<u32>,
    /// Where each address set of the plan is.
    pub set_places: Vec<u32>,
    /// See [`Config::limit_seed`].
    pub limit_seed: u64,
    /// Tunnels that this node opens; see [`DecapPeer`] for the rows with an all-zero balancer.
    pub decap: Vec<DecapPeer>,
    /// Directory on bpffs with the pins of [`SHARED`]; they are made if missing. `None`: private maps.
    pub pins: Option<PathBuf>,
}

impl LoadSpec {
    /// For XDP. Every filter and balancer of the plan applies, slots are numbered from 0 on (entries, VIPs, targets), and the
    /// shared maps are private: for test packets.
    pub fn everything(plan: &NodePlan) -> LoadSpec {
        let count = constants::Counts::of(plan);
        let mut slots = 0u32..;
        let mut take = |n: usize| slots.by_ref().take(n).collect::<Vec<_>>();
        LoadSpec {
            hook: Hook::Xdp,
            mask: [u64::MAX; WORDS],
            balancers: [u64::MAX; BALANCER_WORDS],
            entry_slots: take(count.entries),
            vip_slots: take(count.vips),
            target_slots: take(count.targets),
            limit_regions: (0..count.limits as u32).collect(),
            set_places: (0..count.sets as u32).collect(),
            limit_seed: 0,
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
    #[error("the embedded object: {0}")]
    Object(String),
    /// The verifier refused, or a capability is missing (CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON).
    #[error("the kernel refuses the program: {log}")]
    Program {
        #[source]
        source: io::Error,
        /// The verifier's last lines; empty where it did not get to speak.
        log: String,
    },
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
    program: OwnedFd,
    maps: BTreeMap<String, MapData>,
    config: Config,
    hook: Hook,
}

/// # Errors
/// [`LoadError::Plan`] and [`LoadError::Pin`] before anything is made in the kernel; what the kernel made is gone with
/// the error, except pins that were missing.
pub fn load(plan: &NodePlan, spec: &LoadSpec) -> Result<Loaded, LoadError> {
    load_patched(plan, spec, &[])
}

/// [`load`] with a program that is not as it was built.
pub fn load_patched(plan: &NodePlan, spec: &LoadSpec, patches: &[Patch]) -> Result<Loaded, LoadError> {
    let addressed = addressed(plan, spec)?;
    let config = constants::config(plan, spec, &addressed)?;
    let tables = tables::tables(plan, spec, addressed)?;
    if let Some(directory) = &spec.pins {
        pins::check(directory)?;
    }
    let mut object = prepared::object(spec.hook, &config)?;
    patch::apply(&mut object, patches)?;
    let btf = prepared::btf(spec.hook)?;
    let maps = maps::create(&object, &config, &tables, spec.pins.as_deref(), btf)?;
    let program = prepared::load_program(spec.hook, &mut object, &maps, btf)?;
    Ok(Loaded { program, maps, config, hook: spec.hook })
}

impl Loaded {
    pub fn program_fd(&self) -> BorrowedFd<'_> {
        self.program.as_fd()
    }

    /// Id, tag and sizes of the program, asked by its descriptor (no CAP_SYS_ADMIN).
    pub fn facts(&self) -> Result<ProgramFacts, LoadError> {
        let failed = |source| LoadError::Map { name: "program".into(), action: "ask for its facts", source };
        raw::program_facts(self.program_fd()).map_err(failed)
    }

    pub fn hook(&self) -> Hook {
        self.hook
    }

    /// The constants that the program was specialised by.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Every map by its name in the object (`ROWS`, `.rodata`, …).
    pub fn maps(&self) -> &BTreeMap<String, MapData> {
        &self.maps
    }

    pub fn map_fd(&self, name: &str) -> Result<BorrowedFd<'_>, LoadError> {
        let missing = || LoadError::Map {
            name: name.into(),
            action: "look up",
            source: io::Error::from(io::ErrorKind::NotFound),
        };
        Ok(self.maps.get(name).ok_or_else(missing)?.fd().as_fd())
    }

    /// How packets reach a target. In private maps every target begins with a next hop that exists for tests only.
    pub fn set_next_hop(&self, target: u32, hop: &NextHop) -> Result<(), LoadError> {
        let failed = |source| LoadError::Map { name: "NEXT_HOPS".into(), action: "write", source };
        bpf::update(self.map_fd("NEXT_HOPS")?, &target.to_ne_bytes(), bytemuck::bytes_of(hop)).map_err(failed)
    }

    /// Puts what is in the plan's address sets where this program looks them up. Only for private maps.
    pub fn put_sets(&self, plan: &NodePlan, contents: &BTreeMap<String, AddressSet>) -> Result<(), Error> {
        let mut made = KernelSets::new();
        for (name, contents) in contents {
            made.insert(name.clone(), Arc::new(KernelSet::make(Hash::default(), contents.clone())?));
        }
        let mut places = SlotTable::default();
        let keys = plan.sets.iter().map(|name| sets::key(name)).collect();
        // They are sorted, and so are the keys: every set gets the place that it was loaded with.
        let given = places.allocate(&keys, SET_PLACES);
        given.map_err(|wanted| Error::SetPlacesExhausted { wanted })?;
        sets::Places(self.map_fd("SETS")?).put(&sets::of_plan(plan, &made)?, &places)
    }

    /// What test runs have counted in a slot, over all CPUs.
    pub fn staged_counter(&self, slot: u32, counted: Counted) -> Result<Counter, LoadError> {
        self.counter((VERDICTS + counted as u32) * self.config.slots + slot)
    }

    /// The same of live packets, which test runs on an interface are, too ([`Loaded::repeat`]).
    pub fn live_counter(&self, slot: u32, counted: Counted) -> Result<Counter, LoadError> {
        self.counter(counted as u32 * self.config.slots + slot)
    }

    fn counter(&self, index: u32) -> Result<Counter, LoadError> {
        let per_cpu: Vec<Counter> = self.per_cpu("COUNTERS", index)?;
        Ok(per_cpu.iter().fold(Counter::default(), |sum, one| Counter {
            packets: sum.packets + one.packets,
            bytes: sum.bytes + one.bytes,
        }))
    }

    /// What test runs have counted in a statistic, over all CPUs.
    pub fn staged_stat(&self, stat: sluice_abi::Stat) -> Result<u64, LoadError> {
        Ok(self.per_cpu::<u64>("STATS", sluice_abi::STATS + stat as u32)?.iter().sum())
    }

    /// `T` is the map's value and a multiple of 8 bytes long, which is the kernel's stride.
    fn per_cpu<T: bytemuck::Pod>(&self, name: &str, index: u32) -> Result<Vec<T>, LoadError> {
        const { assert!(size_of::<T>().is_multiple_of(8)) };
        let failed = |source| LoadError::Map { name: name.into(), action: "read", source };
        let cpus = aya::util::nr_cpus().map_err(|(_, error)| failed(error))?;
        let elements = bpf::per_cpu_elements(self.map_fd(name)?, index, 1, cpus).map_err(failed)?;
        let values = elements.iter().flat_map(|element| element.chunks_exact(size_of::<T>()));
        Ok(values.map(bytemuck::pod_read_unaligned).collect())
    }
}
