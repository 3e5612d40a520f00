//! The constants that specialise the program for a plan on an interface.

use bytemuck::Pod;
use sluice_abi::{
    BALANCER_WORDS, Bit, Config, Dimension, Entry, Limit, MAX_BITS, MAX_SETS, MAX_SLOTS, MAX_STRAIGHT, Row,
    Straight, TREES, Target, WORDS, dimension, family, features, tests,
};
use sluice_plan::{FilterTables, Hook, NodePlan};

use super::addressed::{Addressed, addressed};
use super::failsafe;
use super::tables::{ENTRY, LIMITS, SETS, TARGETS, array};
use super::{LoadError, LoadSpec};

/// Features that this node adds to the plan's.
pub const NODE_FEATURES: u64 = features::FAILSAFE | features::BALANCER | features::DECAP | features::EGRESS;

/// Look-ups that cost more than others: a program goes without where no entry of its interface asks for them.
pub const OPTIONAL_FEATURES: u64 = features::SETS | features::dimension(dimension::ESTABLISHED);

/// How many elements the plan's tables have.
pub struct Counts {
    pub entries: usize,
    /// Bits of a row in use.
    pub bits: usize,
    pub vips: usize,
    pub targets: usize,
    pub limits: usize,
    pub sets: usize,
}

impl Counts {
    pub fn of(plan: &NodePlan) -> Counts {
        let tables = &plan.filters.tables;
        let entries = tables.entries.len() / size_of::<Entry>();
        let is_large = tables.features & features::LARGE != 0;
        Counts {
            entries,
            bits: if is_large { tables.large.bits.len() / size_of::<Bit>() } else { entries },
            vips: plan.balancers.parts.iter().map(|part| part.vips.len()).sum(),
            targets: plan.balancers.tables.targets.len() / size_of::<Target>(),
            limits: plan.filters.tables.limits.len() / size_of::<Limit>(),
            sets: plan.sets.len(),
        }
    }
}

/// [`config`], where the tables are not needed themselves.
pub fn config_of(plan: &NodePlan, spec: &LoadSpec) -> Result<Config, LoadError> {
    config(plan, spec, &addressed(plan, spec)?)
}

pub fn config(plan: &NodePlan, spec: &LoadSpec, addressed: &[Addressed]) -> Result<Config, LoadError> {
    let tables = &plan.filters.tables;
    let count = Counts::of(plan);
    same_length(ENTRY, count.entries, spec.entry_slots.len())?;
    same_length(TARGETS, count.targets, spec.target_slots.len())?;
    same_length(LIMITS, count.limits, spec.limit_regions.len())?;
    same_length(SETS, count.sets, spec.set_places.len())?;
    let straight = straight(plan, spec)?;
    let mut config = Config {
        features: features_of(plan, spec, count.bits, &straight),
        words: words(plan, &count)?,
        mask: spec.mask,
        balancers: spec.balancers,
        slots: slots(spec),
        limit_seed: spec.limit_seed,
        straight,
        ..Config::EMPTY
    };
    if !tables.dimensions.is_empty() {
        let dimensions: Vec<Dimension> = array("dimensions", &tables.dimensions)?;
        config.dimensions = dimensions.try_into().map_err(|found: Vec<_>| LoadError::Plan {
            table: "dimensions",
            problem: format!("{} dimensions, expected {}", found.len(), dimension::COUNT),
        })?;
    }
    config.wide_words = config.words;
    if tables.features & features::LARGE != 0 {
        config.wide_words = tables.large.wide_words;
        let roots: Vec<[u32; TREES]> = array("roots", &tables.large.roots)?;
        config.roots = roots.try_into().map_err(|found: Vec<_>| LoadError::Plan {
            table: "roots",
            problem: format!("{} families, expected {}", found.len(), family::COUNT),
        })?;
    }
    failsafe::put(&plan.failsafe, &mut config)?;
    config.set_places = set_places(spec)?;
    for (last, table) in config.last.iter_mut().zip(addressed) {
        *last = table.last();
    }
    Ok(config)
}

fn features_of(plan: &NodePlan, spec: &LoadSpec, bits: usize, straight: &[Straight]) -> u64 {
    let mut found = plan.filters.tables.features & !NODE_FEATURES;
    let selected = |index: usize| spec.mask[index / 64] >> (index % 64) & 1 == 1;
    if !(0..bits.min(MAX_BITS)).any(selected) {
        // No filter selects this interface: nothing of the classifier is needed.
        found = 0;
    }
    found &= !unasked(&plan.filters.tables, &spec.mask, straight);
    found |= features::FAILSAFE;
    if spec.hook == Hook::TcEgress {
        found |= features::EGRESS;
    }
    if !plan.balancers.tables.vips.is_empty() && spec.balancers != [0; BALANCER_WORDS] {
        found |= features::BALANCER;
    }
    if !spec.decap.is_empty() {
        found |= features::DECAP;
    }
    found
}

/// Of [`OPTIONAL_FEATURES`] those that no entry of this interface asks for.
fn unasked(tables: &FilterTables, mask: &[u64; WORDS], straight: &[Straight]) -> u64 {
    let is_here = |row: &Row| row.iter().zip(mask).any(|(row, mask)| row & mask != 0);
    let row = |place: u32| -> Row {
        let row: Option<u32> = element(&tables.direct, place as usize);
        row.and_then(|row| element(&tables.rows, row as usize)).unwrap_or([0; WORDS])
    };
    // What asks for a set has its bit in the set's row.
    let sets = |side: usize, first: u32| {
        let used = element::<Dimension>(&tables.dimensions, side).unwrap_or_default().intervals;
        (0..MAX_SETS as u32).any(|set| used >> set & 1 == 1 && is_here(&row(first + set)))
    };
    let [no, yes] = [0, 1].map(|answer| row(dimension::DIRECT_ESTABLISHED + answer));
    let connections: Row = std::array::from_fn(|word| no[word] ^ yes[word]);
    let by_rows = [
        (
            dimension::SOURCE_SETS,
            tests::SOURCE_SETS,
            sets(dimension::SOURCE_SETS, dimension::DIRECT_SOURCE_SETS),
        ),
        (
            dimension::DESTINATION_SETS,
            tests::DESTINATION_SETS,
            sets(dimension::DESTINATION_SETS, dimension::DIRECT_DESTINATION_SETS),
        ),
        (dimension::ESTABLISHED, tests::ESTABLISHED, is_here(&connections)),
    ];
    let by_constants = |test: u16| straight.iter().any(|entry| entry.tests & test != 0);
    let unasked = by_rows.into_iter().filter(|(_, test, asked)| !asked && !by_constants(*test));
    unasked.map(|(index, ..)| features::dimension(index)).sum()
}

fn element<T: Pod>(bytes: &[u8], index: usize) -> Option<T> {
    bytes.chunks_exact(size_of::<T>()).nth(index).map(bytemuck::pod_read_unaligned)
}

/// Private counters are only as many as there are slots in use.
fn slots(spec: &LoadSpec) -> u32 {
    let slots = [&spec.entry_slots, &spec.vip_slots, &spec.target_slots];
    let used = slots.into_iter().flatten().max().map_or(1, |last| last + 1);
    if spec.pins.is_some() { MAX_SLOTS } else { used.min(MAX_SLOTS) }
}

fn words(plan: &NodePlan, count: &Counts) -> Result<u32, LoadError> {
    let needed = count.bits.div_ceil(64).max(1);
    let words = (plan.filters.tables.words as usize).max(1);
    if words < needed || words > WORDS {
        let problem = format!("{words} words for {} bits, expected {needed}..={WORDS}", count.bits);
        return Err(LoadError::Plan { table: "words", problem });
    }
    Ok(words as u32)
}

/// The comparisons of entries that apply on this interface, each with its entry's counter.
fn straight(plan: &NodePlan, spec: &LoadSpec) -> Result<[Straight; MAX_STRAIGHT], LoadError> {
    let table = "straight";
    let comparisons: Vec<Straight> = array(table, &plan.filters.tables.straight)?;
    let entries = spec.entry_slots.len();
    let sorted = comparisons.is_sorted_by_key(|one| one.entry);
    let known = comparisons.last().is_none_or(|last| usize::from(last.entry) < entries);
    if comparisons.len() > MAX_STRAIGHT || !sorted || !known {
        let found = comparisons.len();
        let problem =
            format!("{found} comparisons of {entries} entries, at most {MAX_STRAIGHT} in their order");
        return Err(LoadError::Plan { table, problem });
    }
    let mut all = [Straight::default(); MAX_STRAIGHT];
    for (place, comparison) in all.iter_mut().zip(comparisons) {
        let entry = usize::from(comparison.entry);
        if spec.mask[entry / 64] >> (entry % 64) & 1 == 1 {
            let slot = u16::try_from(spec.entry_slots[entry]);
            let slot = slot.map_err(|error| LoadError::Plan { table, problem: error.to_string() })?;
            *place = Straight { slot, ..comparison };
        }
    }
    Ok(all)
}

fn set_places(spec: &LoadSpec) -> Result<[u32; MAX_SETS], LoadError> {
    let found = spec.set_places.len();
    let problem = || LoadError::Plan { table: SETS, problem: format!("{found} sets, at most {MAX_SETS}") };
    let mut places = [0; MAX_SETS];
    places.get_mut(..found).ok_or_else(problem)?.copy_from_slice(&spec.set_places);
    Ok(places)
}

fn same_length(table: &'static str, elements: usize, slots: usize) -> Result<(), LoadError> {
    if elements == slots {
        return Ok(());
    }
    Err(LoadError::Plan { table, problem: format!("{elements} elements, but slots for {slots} were given") })
}
