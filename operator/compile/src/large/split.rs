//! Which entries are wide, and the columns of the others.

use std::collections::HashMap;

use sluice_abi::{Bit, Entry, MAX_BITS, NO_ENTRY, NO_FILTER};
use sluice_policy::{LaterFragments, Match, Mode, PrefixSet, Rule};

use super::regions::{Lists, MAX_REGIONS};
use crate::error::CompileError;
use crate::flatten::{Flat, Matcher};
use crate::prefixes;

/// An entry with more records than this had better take a bit.
const MOST_RECORDS: usize = 64;
/// Bits that entries with many records may take.
const BITS_FOR_LONG_LISTS: usize = 512;

/// By entry: wide from the start. Those that no tree can take, and those with the longest lists.
pub fn wide(flat: &Flat, lists: &[Option<Lists>]) -> Result<Vec<bool>, CompileError> {
    let mut wide: Vec<bool> = lists.iter().map(Option::is_none).collect();
    let count = |entry: usize| lists[entry].as_ref().map_or(0, Lists::count);
    let mut long: Vec<usize> = (0..wide.len()).filter(|entry| count(*entry) > MOST_RECORDS).collect();
    long.sort_by_key(|entry| std::cmp::Reverse(count(*entry)));
    long.into_iter().take(BITS_FOR_LONG_LISTS).for_each(|entry| wide[entry] = true);
    let mut total = 0usize;
    for entry in (0..wide.len()).filter(|entry| !wide[*entry]) {
        total = total.saturating_add(count(entry));
        if total > MAX_REGIONS {
            let object = flat.object(entry);
            return Err(CompileError::TooManyCombinations { object, total, limit: MAX_REGIONS });
        }
    }
    Ok(wide)
}

/// What each bit of the rows stands for.
pub struct Split {
    pub bits: Vec<Bit>,
    pub wide_words: usize,
    /// What is left of a rule without addresses, protocols and ports, by column.
    columns: Vec<Rule>,
    /// By entry: the bit of its column, `None` for wide ones.
    pub column: Vec<Option<u16>>,
}

impl Split {
    pub fn new(flat: &Flat, wide: &[bool]) -> Result<Split, CompileError> {
        let bit = |entry: usize, number: u16| Bit { entry: number, filter: flat.entries[entry].filter };
        let mut bits: Vec<Bit> =
            (0..wide.len()).filter(|entry| wide[*entry]).map(|entry| bit(entry, entry as u16)).collect();
        let wide_words = bits.len().div_ceil(64);
        bits.resize(wide_words * 64, Bit { entry: NO_ENTRY, filter: NO_FILTER });
        let mut split = Split { bits, wide_words, columns: Vec::new(), column: vec![None; wide.len()] };
        let mut known = HashMap::new();
        for (entry, rule) in flat.rules().filter(|(entry, _)| !wide[*entry]) {
            let column = column(rule);
            let key = (flat.entries[entry].filter, sluice_plan::encode(&column));
            let number = *known.entry(key).or_insert_with(|| {
                split.columns.push(column);
                split.bits.push(bit(entry, NO_ENTRY));
                split.bits.len() - 1
            });
            split.column[entry] = Some(number as u16);
            split.check(flat, entry)?;
        }
        let last = wide.iter().rposition(|wide| *wide).unwrap_or(0);
        split.check(flat, last)?;
        Ok(split)
    }

    fn check(&self, flat: &Flat, entry: usize) -> Result<(), CompileError> {
        let (total, limit) = (self.bits.len(), MAX_BITS);
        if total > limit {
            return Err(CompileError::TooManyWide { object: flat.object(entry), total, limit });
        }
        Ok(())
    }

    /// The bits as if they were all the entries there are.
    pub fn flat<'a>(&'a self, flat: &Flat<'a>) -> Flat<'a> {
        let wide = self.bits[..self.wide_words * 64].iter().map(|bit| match bit.entry {
            NO_ENTRY => Matcher::Everything,
            entry => flat.matchers[usize::from(entry)],
        });
        let matchers: Vec<Matcher> = wide.chain(self.columns.iter().map(Matcher::Rule)).collect();
        let (entries, sets) = (vec![Entry::default(); matchers.len()], flat.sets.clone());
        Flat { sets, entries, matchers, parts: Vec::new() }
    }
}

/// Whether a tree can tell the rule from others.
pub fn is_narrow(matches: &Match) -> bool {
    let restricts = |side: &Option<PrefixSet>| side.as_ref().is_some_and(prefixes::restrict);
    restricts(&matches.sources)
        || restricts(&matches.destinations)
        || !matches.protocols.is_empty()
        || !matches.source_ports.is_empty()
        || !matches.destination_ports.is_empty()
}

/// The rest of a rule; what does not change which packets it matches is the same for all.
fn column(rule: &Rule) -> Rule {
    let matches = &rule.matches;
    let matches = Match {
        sources: sets_of(&matches.sources),
        destinations: sets_of(&matches.destinations),
        protocols: Vec::new(),
        source_ports: Vec::new(),
        destination_ports: Vec::new(),
        ..matches.clone()
    };
    let later_fragments = match rule.later_fragments {
        LaterFragments::MatchL3 | LaterFragments::Drop if matches.has_layer4_fields() => {
            LaterFragments::MatchL3
        }
        _ => LaterFragments::NoMatch,
    };
    Rule { name: String::new(), mode: Mode::Enforce, later_fragments, matches, ..rule.clone() }
}

/// The address sets of a side; its prefixes are the trees' business.
fn sets_of(side: &Option<PrefixSet>) -> Option<PrefixSet> {
    let sets = &side.as_ref()?.sets;
    (!sets.is_empty()).then(|| PrefixSet { sets: sets.clone(), ..PrefixSet::default() })
}
