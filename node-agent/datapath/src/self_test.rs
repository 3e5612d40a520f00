//! Test packets made from the plan itself, sent through the loaded program before it is attached anywhere.
//!
//! For some entries a frame is made that satisfies them; the tables are then evaluated here, in the plain way, and the
//! kernel has to come to the same verdict by the same entry. Runs count in the staged half of the counters only.

mod classify;
mod payload;
mod probe;
mod sets;
mod straight;
mod trees;

use sluice_abi::{Entry, Stage, features};
use sluice_plan::NodePlan;

use crate::error::{Error, Result};
use crate::load::Loaded;
use crate::names::entry_name;
use crate::sets::KernelSets;
use crate::tables::elements;
use crate::test_run::{Outcome, XdpAction};
use classify::{Judgement, Tables};
use probe::Packet;
use sets::Sets;
use trees::Trees;

pub use probe::strangers;

/// Entries at each end of the list that are tried.
const TRIED: usize = 8;

/// [`Error::SelfTestFailed`] names the rule and what came of its packet.
pub fn run(loaded: &Loaded, plan: &NodePlan, sets: &KernelSets, interface: &str) -> Result<()> {
    let failed = |detail: String| Error::SelfTestFailed { interface: interface.to_owned(), detail };
    let run = |frame: &[u8]| loaded.run(frame).map_err(|error| failed(error.to_string()));
    let arp = run(&probe::arp())?;
    if arp.verdict != XdpAction::Pass {
        return Err(failed(format!("an ARP request gave {:?}, not Pass", arp.verdict)));
    }
    let tables = Tables::new(plan, sets, loaded.config())?;
    for entry in tried(&tables) {
        let Some(packet) = packet_for(&tables, entry) else { continue };
        let expected = tables.judge(&packet);
        let outcome = run(&packet.frame())?;
        compare(&expected, &outcome).map_err(|found| {
            failed(format!("the packet for {} {found}", describe(plan, &tables.entries, entry)))
        })?;
    }
    Ok(())
}

/// The first and the last entries that apply on the interface.
fn tried(tables: &Tables) -> Vec<usize> {
    let applying: Vec<usize> = (0..tables.entries.len()).filter(|entry| tables.applies(*entry)).collect();
    if applying.len() <= 2 * TRIED {
        return applying;
    }
    [&applying[..TRIED], &applying[applying.len() - TRIED..]].concat()
}

fn packet_for(tables: &Tables, entry: usize) -> Option<Packet> {
    match tables.straight() {
        Some(straight) => straight::packet_for(&straight[entry], &tables.sets),
        None => probe::packet_for(tables, entry),
    }
}

fn compare(expected: &Judgement, outcome: &Outcome) -> std::result::Result<(), String> {
    let Outcome { verdict, trace, .. } = outcome;
    if trace.stage == Stage::Failsafe as u8 {
        // It happened to look like a protocol that no rule can cut.
        return Ok(());
    }
    let balanced = trace.stage == Stage::Balancer as u8;
    let entry = (trace.entry != u16::MAX).then_some(usize::from(trace.entry));
    let audited = (trace.audited != u16::MAX).then_some(usize::from(trace.audited));
    let dropped = *verdict == XdpAction::Drop;
    let same =
        audited == expected.audited && (balanced || (entry == expected.entry && dropped == expected.drops));
    if same && !(balanced && expected.drops) {
        return Ok(());
    }
    Err(format!("gave {verdict:?} by entry {entry:?} (audited {audited:?}), the tables say {expected:?}"))
}

fn describe(plan: &NodePlan, entries: &[Entry], entry: usize) -> String {
    let part = plan.filters.parts.get(usize::from(entries[entry].filter));
    match part.and_then(|part| Some((part, entry_name(part, &entries[entry])?))) {
        Some((part, rule)) => format!("filter {} rule {rule}", part.policy.name),
        None => format!("entry {entry}"),
    }
}

impl Tables {
    fn new(plan: &NodePlan, sets: &KernelSets, config: &sluice_abi::Config) -> Result<Tables> {
        let tables = &plan.filters.tables;
        let entries: Vec<Entry> = elements("entries", &tables.entries)?;
        let is_large = config.features & features::LARGE != 0;
        Ok(Tables {
            config: *config,
            trees: if is_large { Some(Trees::new(&tables.large, entries.len())?) } else { None },
            entries,
            rows: elements("rows", &tables.rows)?,
            direct: elements("direct", &tables.direct)?,
            bounds: tables.bounds.clone(),
            patterns: elements("patterns", &tables.patterns)?,
            sets: Sets(sets.values().cloned().collect()),
        })
    }
}
