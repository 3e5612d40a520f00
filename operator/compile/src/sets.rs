//! Rules that name address sets.
//!
//! A set's contents are no part of a plan, so its addresses are no intervals of the address dimensions. A side of a rule
//! with prefixes and sets is therefore two entries next to each other, which no packet matches both of: the prefixes, and
//! the sets without them. Then what an entry asks of sets is a dimension like any other, beside that of its prefixes.

use std::borrow::Cow;
use std::collections::BTreeSet;

use sluice_abi::dimension;
use sluice_policy::{Filter, Match, PrefixSet, Rule};

use crate::details::users;
use crate::encode::Tables;
use crate::flatten::Flat;
use crate::rows::EntrySet;

/// A filter's rules, those with prefixes and sets on one side cut up.
pub struct Split<'a> {
    pub filter: &'a Filter,
    /// With the position of the rule in the filter.
    pub rules: Vec<(usize, Cow<'a, Rule>)>,
}

impl<'a> Split<'a> {
    pub fn new(filter: &'a Filter) -> Split<'a> {
        let rules = filter.rules.iter().enumerate();
        let rules = rules.flat_map(|(at, rule)| parts(rule).into_iter().map(move |part| (at, part)));
        Split { filter, rules: rules.collect() }
    }
}

fn parts(rule: &Rule) -> Vec<Cow<'_, Rule>> {
    let sources = sides(rule.matches.sources.as_ref());
    let destinations = sides(rule.matches.destinations.as_ref());
    if sources.len() == 1 && destinations.len() == 1 {
        return vec![Cow::Borrowed(rule)];
    }
    let pairs = sources.iter().flat_map(|from| destinations.iter().map(move |to| (from, to)));
    let part = |(from, to): (&Option<PrefixSet>, &Option<PrefixSet>)| {
        let matches = Match { sources: from.clone(), destinations: to.clone(), ..rule.matches.clone() };
        Cow::Owned(Rule { matches, ..rule.clone() })
    };
    pairs.map(part).collect()
}

/// What one side of a rule asks for, as one or two sides without an address in common.
fn sides(side: Option<&PrefixSet>) -> Vec<Option<PrefixSet>> {
    let Some(side) = side else { return vec![None] };
    if side.sets.is_empty() || (side.v4.is_empty() && side.v6.is_empty()) {
        return vec![Some(side.clone())];
    }
    let PrefixSet { v4, v6, sets: _, except_v4, except_v6 } = side.clone();
    let prefixes = PrefixSet { sets: Vec::new(), ..side.clone() };
    let sets = PrefixSet {
        v4: Vec::new(),
        v6: Vec::new(),
        sets: side.sets.clone(),
        except_v4: [except_v4, v4].concat(),
        except_v6: [except_v6, v6].concat(),
    };
    vec![Some(prefixes), Some(sets)]
}

/// In the order of their bits.
pub fn names<'a>(filters: impl IntoIterator<Item = &'a Filter>) -> BTreeSet<&'a str> {
    filters.into_iter().flat_map(Filter::sets).map(String::as_str).collect()
}

pub fn sources(flat: &Flat, tables: &mut Tables) {
    let (index, first) = (dimension::SOURCE_SETS, dimension::DIRECT_SOURCE_SETS);
    side(flat, tables, |wanted| wanted.sources.as_ref(), index, first);
}

pub fn destinations(flat: &Flat, tables: &mut Tables) {
    let (index, first) = (dimension::DESTINATION_SETS, dimension::DIRECT_DESTINATION_SETS);
    side(flat, tables, |wanted| wanted.destinations.as_ref(), index, first);
}

fn side(
    flat: &Flat,
    tables: &mut Tables,
    side: impl Fn(&Match) -> Option<&PrefixSet>,
    index: usize,
    first: u32,
) {
    let names = |rule: &Rule, name: &str| {
        side(&rule.matches).is_some_and(|side| side.sets.iter().any(|wanted| wanted == name))
    };
    let uses = |rule: &Rule| side(&rule.matches).is_some_and(|side| !side.sets.is_empty());
    let Some((users, open)) = users(flat, uses) else { return };
    let mut used = 0;
    for (bit, name) in (0..).zip(&flat.sets) {
        let naming: Vec<usize> =
            users.iter().filter(|(_, rule)| names(rule, name)).map(|(entry, _)| *entry).collect();
        if naming.is_empty() {
            continue;
        }
        let mut row = EntrySet::default();
        naming.into_iter().for_each(|entry| row.insert(entry));
        tables.direct(first + bit, &row);
        used |= 1 << bit;
    }
    let special = tables.rows.intern(&open);
    tables.used_with(index, special);
    tables.sets(index, used);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(v4: &[&str], sets: &[&str], except_v4: &[&str]) -> PrefixSet {
        let nets = |list: &[&str]| list.iter().map(|net| net.parse().expect("a prefix")).collect();
        let sets = sets.iter().map(|name| (*name).to_owned()).collect();
        PrefixSet { v4: nets(v4), sets, except_v4: nets(except_v4), ..PrefixSet::default() }
    }

    /// Or a rule that goes on (Count, RateLimit) would count one packet twice.
    #[test]
    fn no_address_is_in_both_parts_of_a_side() {
        let both = side(&["10.0.0.0/8"], &["scanners"], &["10.1.0.0/16"]);
        let prefixes = side(&["10.0.0.0/8"], &[], &["10.1.0.0/16"]);
        let sets = side(&[], &["scanners"], &["10.1.0.0/16", "10.0.0.0/8"]);
        assert_eq!(sides(Some(&both)), [Some(prefixes), Some(sets)]);
    }

    #[test]
    fn a_side_of_one_kind_stays_whole() {
        assert_eq!(sides(None), [None]);
        for whole in [side(&["10.0.0.0/8"], &[], &[]), side(&[], &["scanners"], &["10.0.0.0/8"])] {
            assert_eq!(sides(Some(&whole)), [Some(whole)]);
        }
    }
}
