//! What one program's kernel memory holds: its constants and every element of its tables. Made once from the plan and
//! once from what the kernel returns, so that the two can be compared.

use std::collections::BTreeMap;
use std::io;
use std::sync::OnceLock;

use object::{Object, ObjectSymbol};
use sluice_abi::{Bound32, Config, RecordV4, RecordV6, Straight, table};
use sluice_plan::{BalancerTables, FilterTables, Hook, LargeTables, NodePlan};

use crate::bpf;
use crate::load::{
    Addressed, LoadError, LoadSpec, NODE_FEATURES, OPTIONAL_FEATURES, addressed, addressed_element,
    entries_with_slots, with_slots,
};
use crate::program::{self, Program, RODATA};
use crate::readback::Mismatch;
use crate::tables::BOUNDS;

#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    pub config: Config,
    /// By map: elements in the order of their index or, for hashes, sorted by key; keys of hashes before each value.
    tables: BTreeMap<&'static str, Table>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Table {
    bytes: Vec<u8>,
    /// Bytes of one element.
    element: usize,
}

impl Image {
    /// What the kernel must hold for this plan on these terms.
    pub fn expected(plan: &NodePlan, config: Config, spec: &LoadSpec) -> Result<Image, LoadError> {
        let (filters, balancers) = (&plan.filters.tables, &plan.balancers.tables);
        let mut decap = spec.decap.clone();
        decap.sort();
        let mut tables = BTreeMap::new();
        let mut put = |name, bytes: &[u8]| {
            let element = element_size(name);
            tables.insert(name, Table { bytes: at_least_one(name, bytes, element), element });
        };
        put("LIMITS", &filters.limits);
        put("MARKS", &filters.marks);
        put("PATTERNS", &filters.patterns);
        put("REGIONS", bytemuck::cast_slice(&spec.limit_regions));
        put("VIPS", &balancers.vips);
        put("RING", &balancers.ring);
        put("TARGETS", &balancers.targets);
        put("TARGET_SLOTS", bytemuck::cast_slice(&spec.target_slots));
        put("VIP_SLOTS", bytemuck::cast_slice(&spec.vip_slots));
        let decap: Vec<u8> =
            decap.iter().flat_map(|peer| [bytemuck::bytes_of(peer), &[1]].concat()).collect();
        put("DECAP", &decap);
        let addressed = addressed(plan, spec)?.into_iter();
        tables.extend(addressed.map(|Addressed { name, bytes, element }| (name, Table { bytes, element })));
        Ok(Image { config, tables })
    }

    /// Reads every element of every table of a program.
    pub fn read(program: &Program) -> io::Result<Image> {
        let mut tables = BTreeMap::new();
        for name in program::tables() {
            let mut elements = bpf::read_all(program.map(name))?;
            let hash = is_hash(name);
            if hash {
                elements.sort();
            }
            let bytes = elements
                .into_iter()
                .flat_map(|(key, value)| if hash { [key, value].concat() } else { value });
            tables.insert(name, Table { bytes: bytes.collect(), element: element_size(name) });
        }
        let rodata = bpf::read_all(program.map(RODATA))?;
        let rodata = rodata.into_iter().next().map(|(_, value)| value).unwrap_or_default();
        let constants =
            config_offset(program.hook()).and_then(|offset| rodata.get(offset..offset + size_of::<Config>()));
        let constants = constants.ok_or_else(|| io::Error::other(".rodata is too short for CONFIG"))?;
        Ok(Image { config: bytemuck::pod_read_unaligned(constants), tables })
    }

    /// The plan with its tables and constants taken from here; what a kernel cannot hold (names, selections) is taken
    /// from `parts`, and so is what an interface without filters leaves out.
    pub fn plan(&self, parts: &NodePlan, peers: impl Fn(&sluice_plan::ControlEndpoint) -> bool) -> NodePlan {
        let mut plan = parts.clone();
        plan.filters.tables = self.filter_tables(&parts.filters.tables);
        let old = &parts.balancers.tables;
        plan.balancers.tables = BalancerTables {
            vips: self.bytes("VIPS", &old.vips),
            ring: self.bytes("RING", &old.ring),
            targets: self.bytes("TARGETS", &old.targets),
        };
        plan.failsafe.ports = crate::load::failsafe::ports(&self.config);
        plan.failsafe.packets_per_second = self.config.failsafe_rate;
        plan.failsafe.burst = self.config.failsafe_burst;
        plan.failsafe.control_endpoints.retain(peers);
        plan
    }

    fn filter_tables(&self, old: &FilterTables) -> FilterTables {
        let mut bounds = old.bounds.clone();
        for (dimension, name, _) in BOUNDS {
            if let Some(slot) = bounds.get_mut(dimension) {
                *slot = if is_by_port(name) { self.ports(name, slot) } else { self.bytes(name, slot) };
            }
        }
        let unused = self.config.features & !NODE_FEATURES == 0;
        let here = self.config.features & !NODE_FEATURES | old.features & OPTIONAL_FEATURES;
        let dimensions: &[u8] = bytemuck::cast_slice(&self.config.dimensions);
        FilterTables {
            features: if unused { old.features } else { here },
            words: if old.words == 0 && self.config.words == 1 { 0 } else { self.config.words },
            dimensions: unless_absent(dimensions, &old.dimensions),
            entries: entries_with_slots(&self.bytes("ENTRIES", &old.entries), &[]),
            straight: self.straight(&old.straight),
            rows: self.bytes("ROWS", &old.rows),
            direct: self.bytes("DIRECT", &old.direct),
            bounds,
            large: self.large_tables(&old.large),
            limits: self.bytes("LIMITS", &old.limits),
            marks: self.bytes("MARKS", &old.marks),
            patterns: self.bytes("PATTERNS", &old.patterns),
        }
    }

    fn large_tables(&self, old: &LargeTables) -> LargeTables {
        let is_large = *old != LargeTables::default();
        LargeTables {
            wide_words: if is_large { self.config.wide_words } else { 0 },
            bits: self.bytes("BITS", &old.bits),
            ranks: self.bytes("RANKS", &old.ranks),
            roots: if is_large { bytemuck::cast_slice(&self.config.roots).to_vec() } else { Vec::new() },
            nodes: self.bytes("NODES", &old.nodes),
            children: self.bytes("CHILDREN", &old.children),
            records_v4: with_slots(&self.bytes("RECORDS4", &old.records_v4), size_of::<RecordV4>(), &[]),
            records_v6: with_slots(&self.bytes("RECORDS6", &old.records_v6), size_of::<RecordV6>(), &[]),
        }
    }

    /// What does not apply on this interface is not in its constants.
    fn straight(&self, old: &[u8]) -> Vec<u8> {
        let here = self.config.straight.iter().map(|entry| Straight { slot: 0, ..*entry });
        let old = old.chunks_exact(size_of::<Straight>());
        old.zip(here)
            .flat_map(
                |(old, here)| if here.tests == 0 { old.to_vec() } else { bytemuck::bytes_of(&here).to_vec() },
            )
            .collect()
    }

    fn bytes(&self, name: &str, old: &[u8]) -> Vec<u8> {
        let found = &self.tables[name].bytes;
        // What makes a table as long as a power of two is not the plan's.
        let own = found.get(..old.len()).filter(|own| !own.is_empty()).unwrap_or(found);
        unless_absent(own, old)
    }

    /// Intervals, of which the kernel has the row of each port.
    fn ports(&self, name: &str, old: &[u8]) -> Vec<u8> {
        let rows = &self.tables[name].bytes;
        let row = |port: u32| {
            rows.chunks_exact(size_of::<u32>()).nth(port as usize).map(bytemuck::pod_read_unaligned)
        };
        let found = old.chunks_exact(size_of::<Bound32>()).map(|bound| {
            let Bound32 { start, .. } = bytemuck::pod_read_unaligned(bound);
            Bound32 { start, row: row(start).unwrap_or(u32::MAX) }
        });
        bytemuck::cast_slice(&found.collect::<Vec<_>>()).to_vec()
    }

    /// The first element that is not as expected.
    pub fn difference(&self, expected: &Image) -> Option<Mismatch> {
        config_difference(&self.config, &expected.config).or_else(|| {
            program::tables()
                .find_map(|name| table_difference(name, &self.tables[name], &expected.tables[name]))
        })
    }
}

/// The kernel has no array without elements: an empty table is one zeroed element there.
fn at_least_one(name: &str, bytes: &[u8], element: usize) -> Vec<u8> {
    if bytes.is_empty() && !is_hash(name) { vec![0; element] } else { bytes.to_vec() }
}

fn unless_absent(found: &[u8], old: &[u8]) -> Vec<u8> {
    if old.is_empty() && found.iter().all(|byte| *byte == 0) { Vec::new() } else { found.to_vec() }
}

fn is_hash(name: &str) -> bool {
    matches!(name, "VIPS" | "DECAP")
}

fn is_by_port(name: &str) -> bool {
    [table::SPORT, table::DPORT].iter().any(|number| table::NAMES[*number] == name)
}

fn element_size(name: &str) -> usize {
    if let Some(number) = table::NAMES.iter().position(|table| *table == name) {
        return addressed_element(number);
    }
    match name {
        "LIMITS" => size_of::<sluice_abi::Limit>(),
        "MARKS" => size_of::<sluice_abi::Mark>(),
        "PATTERNS" => size_of::<sluice_abi::Pattern>(),
        "TARGETS" => size_of::<sluice_abi::Target>(),
        "VIPS" => size_of::<sluice_abi::VipKey>() + size_of::<sluice_abi::Vip>(),
        "DECAP" => size_of::<sluice_abi::DecapPeer>() + 1,
        _ => size_of::<u32>(),
    }
}

fn table_difference(name: &'static str, found: &Table, expected: &Table) -> Option<Mismatch> {
    let elements = |table: &Table| table.bytes.len() / table.element;
    let differing = found
        .bytes
        .chunks(found.element)
        .zip(expected.bytes.chunks(expected.element))
        .enumerate()
        .find(|(_, (found, expected))| found != expected);
    if let Some((index, (found, expected))) = differing {
        return Some(Mismatch::Element {
            table: name,
            index,
            found: hex::encode(found),
            expected: hex::encode(expected),
        });
    }
    let (found, expected) = (elements(found), elements(expected));
    (found != expected).then_some(Mismatch::Length { table: name, found, expected })
}

fn config_difference(found: &Config, expected: &Config) -> Option<Mismatch> {
    // Without `..`, so that a new constant cannot be forgotten here.
    let Config {
        features,
        words,
        dimensions,
        mask,
        balancers,
        failsafe_ports,
        failsafe_sources,
        failsafe_filter,
        straight,
        failsafe_rate,
        failsafe_burst,
        slots,
        wide_words,
        roots,
        failsafe_open,
        limit_seed,
        set_places,
        last,
    } = expected;
    let same = [
        ("features", found.features == *features),
        ("words", found.words == *words),
        ("dimensions", found.dimensions == *dimensions),
        ("mask", found.mask == *mask),
        ("balancers", found.balancers == *balancers),
        ("failsafe_ports", found.failsafe_ports == *failsafe_ports),
        ("failsafe_sources", found.failsafe_sources == *failsafe_sources),
        ("failsafe_open", found.failsafe_open == *failsafe_open),
        ("failsafe_filter", found.failsafe_filter == *failsafe_filter),
        ("straight", found.straight == *straight),
        ("failsafe_rate", found.failsafe_rate == *failsafe_rate),
        ("failsafe_burst", found.failsafe_burst == *failsafe_burst),
        ("slots", found.slots == *slots),
        ("wide_words", found.wide_words == *wide_words),
        ("roots", found.roots == *roots),
        ("limit_seed", found.limit_seed == *limit_seed),
        ("set_places", found.set_places == *set_places),
        ("last", found.last == *last),
    ];
    same.into_iter().find(|(_, same)| !same).map(|(field, _)| Mismatch::Constant { field })
}

/// Where `CONFIG` lies in `.rodata`.
fn config_offset(hook: Hook) -> Option<usize> {
    static OFFSETS: [OnceLock<Option<usize>>; 2] = [const { OnceLock::new() }; 2];
    *OFFSETS[usize::from(hook != Hook::Xdp)].get_or_init(|| {
        let file = object::File::parse(crate::object::object(hook)).ok()?;
        let symbol = file.symbols().find(|symbol| symbol.name() == Ok("CONFIG"))?;
        usize::try_from(symbol.address()).ok()
    })
}
