//! All sets of a fleet at one moment.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sluice_address_set::{AddressSet, MAX_PREFIXES};
use sluice_crds::nearest;
use sluice_policy::{ListRef, SetDefinition};

use crate::contents::{Contents, Parts};
use crate::list::ListState;

/// What became of a set.
#[derive(Clone, Debug, Default)]
pub struct Resolution {
    /// What is in force; `None` as long as its parts could never all be had.
    pub contents: Option<Arc<Contents>>,
    /// Why the newest definition is not what is in force.
    pub unresolved: Option<Unresolved>,
    /// Faults of lists whose last good reading is in force, each with its list.
    pub faults: Vec<String>,
    /// When the next entry leaves it, in Unix milliseconds.
    pub next_expiry: Option<i64>,
    parts: Option<Parts>,
}

impl Resolution {
    /// Contents that are in force already, whatever they were made from.
    pub fn in_force(addresses: AddressSet) -> Resolution {
        let entries = addresses.len() as u64;
        Resolution { contents: Some(Arc::new(Contents::new(addresses, entries))), ..Resolution::default() }
    }
}

/// Why a set cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unresolved {
    #[error("names the set \"{0}\", and there is none of that name{hint}", hint = near(.1.as_deref()))]
    UnknownSet(String, Option<String>),
    #[error("names the set \"{0}\", which has no contents yet: see its own status")]
    WithoutContents(String),
    #[error("is made of itself: {}: remove one of these from its sets", .0.join(" -> "))]
    Cycle(Vec<String>),
    #[error("{list}: {why}")]
    UnreadList { list: String, why: String },
    #[error("has {found} prefixes once collapsed, and a set has at most {MAX_PREFIXES}: split it")]
    TooLarge { found: usize },
}

fn near(name: Option<&str>) -> String {
    name.map(|name| format!(": did you mean {name}?"))
        .unwrap_or_else(|| ": make it, or remove the name".to_owned())
}

/// Resolves every definition, by name. `before` is what the last call gave, or what is in force otherwise: contents that
/// cannot be made anew stay, and those whose parts are the same are not made again. `now` is in Unix milliseconds.
pub fn resolve(
    definitions: &BTreeMap<&str, &SetDefinition>,
    list: &dyn Fn(&SetDefinition, &ListRef) -> Option<ListState>,
    before: &BTreeMap<String, Resolution>,
    now: i64,
) -> BTreeMap<String, Resolution> {
    let mut work = Work { definitions, list, before, now, done: BTreeMap::new(), path: Vec::new() };
    for name in definitions.keys() {
        work.visit(name);
    }
    work.done
}

struct Work<'a> {
    definitions: &'a BTreeMap<&'a str, &'a SetDefinition>,
    list: &'a dyn Fn(&SetDefinition, &ListRef) -> Option<ListState>,
    before: &'a BTreeMap<String, Resolution>,
    now: i64,
    done: BTreeMap<String, Resolution>,
    /// From a set to the one in hand, each made of the next.
    path: Vec<String>,
}

impl Work<'_> {
    fn visit(&mut self, name: &str) {
        let Some(definition) = self.definitions.get(name).filter(|_| !self.done.contains_key(name)) else {
            return;
        };
        if self.path.iter().any(|one| one == name) {
            return;
        }
        self.path.push(name.to_owned());
        definition.sets.iter().for_each(|inner| self.visit(inner));
        self.path.pop();
        let resolution = self.make(name, definition);
        self.done.insert(name.to_owned(), resolution);
    }

    fn make(&self, name: &str, definition: &SetDefinition) -> Resolution {
        let old = self.before.get(name).cloned().unwrap_or_default();
        let is_live = |expires: Option<i64>| expires.is_none_or(|at| at > self.now);
        let expiries = definition.entries.iter().filter_map(|entry| entry.expires);
        let mut made = Resolution {
            next_expiry: expiries.filter(|at| *at > self.now).min(),
            contents: old.contents.clone(),
            parts: old.parts.clone(),
            ..Resolution::default()
        };
        let live = definition.entries.iter().filter(|entry| is_live(entry.expires));
        let mut parts = Parts {
            entries: live.map(|entry| entry.prefix).collect(),
            except: definition.except.clone(),
            ..Parts::default()
        };
        let gathered = self.gather(name, definition, &mut parts, &mut made.faults);
        match gathered.and_then(|()| remake(&old, parts)) {
            Ok((contents, parts)) => {
                made.contents = Some(contents);
                made.parts = Some(parts);
            }
            Err(unresolved) => made.unresolved = Some(unresolved),
        }
        made
    }

    fn gather(
        &self,
        name: &str,
        definition: &SetDefinition,
        parts: &mut Parts,
        faults: &mut Vec<String>,
    ) -> Result<(), Unresolved> {
        if let Some(cycle) = self.cycle(name) {
            return Err(Unresolved::Cycle(cycle));
        }
        for wanted in &definition.lists {
            let state = (self.list)(definition, wanted).unwrap_or_default();
            if let (Some(fault), Some(_)) = (&state.fault, &state.good) {
                faults.push(format!("{wanted}: {fault}"));
            }
            let unread = || Unresolved::UnreadList {
                list: wanted.to_string(),
                why: state.fault.clone().unwrap_or_else(|| "has not been read yet".to_owned()),
            };
            parts.lists.push(state.good.clone().ok_or_else(unread)?);
        }
        for wanted in &definition.sets {
            if !self.definitions.contains_key(wanted.as_str()) {
                let near = nearest(wanted, self.definitions.keys().copied()).map(str::to_owned);
                return Err(Unresolved::UnknownSet(wanted.clone(), near));
            }
            let known = self.done.get(wanted).or_else(|| self.before.get(wanted));
            let contents = known.and_then(|known| known.contents.clone());
            parts.sets.push(contents.ok_or_else(|| Unresolved::WithoutContents(wanted.clone()))?);
        }
        Ok(())
    }

    /// The way from a set back to itself.
    fn cycle(&self, name: &str) -> Option<Vec<String>> {
        let mut seen = BTreeSet::new();
        let mut ways = vec![vec![name.to_owned()]];
        while let Some(way) = ways.pop() {
            let last = way.last().expect("a way begins with a set");
            for inner in self.definitions.get(last.as_str()).into_iter().flat_map(|found| &found.sets) {
                let longer = [way.clone(), vec![inner.clone()]].concat();
                if inner == name {
                    return Some(longer);
                }
                if seen.insert(inner.clone()) {
                    ways.push(longer);
                }
            }
        }
        None
    }
}

/// The old contents where they are the same, so that nothing downstream is done again.
fn remake(old: &Resolution, parts: Parts) -> Result<(Arc<Contents>, Parts), Unresolved> {
    if let (Some(contents), Some(before)) = (&old.contents, &old.parts)
        && before.same(&parts)
    {
        return Ok((contents.clone(), parts));
    }
    let (addresses, entries) = (parts.addresses(), parts.count());
    if addresses.len() > MAX_PREFIXES {
        return Err(Unresolved::TooLarge { found: addresses.len() });
    }
    match &old.contents {
        Some(contents) if contents.addresses == addresses && contents.entries == entries => {
            Ok((contents.clone(), parts))
        }
        _ => Ok((Arc::new(Contents::new(addresses, entries)), parts)),
    }
}
