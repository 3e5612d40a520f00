//! All filters of a node as one ordered list of entries.

use std::collections::BTreeSet;

use sluice_abi::{
    DEFAULT_ENTRY, ESTABLISHED_ENTRY, Entry, EntryAction, MALFORMED_ENTRY, MAX_ENTRIES, MAX_PATTERNS,
    MAX_SETS, entry_flags,
};
use sluice_plan::{FilterPart, PolicyRef};
use sluice_policy::{Action, Filter, LaterFragments, Malformed, Mode, ObjectRef, Rule, selection};

use crate::error::CompileError;
use crate::macs;
use crate::sets::{self, Split};
use crate::spec_hash::filter_ref;

/// Most filters on one node.
pub const MAX_FILTERS: usize = 64;
/// Most rules on one node behind which packets go on with the next rule, by their action or in mode Audit: each is one
/// more turn of the kernel's bounded loop.
pub const MAX_CONTINUING_RULES: usize = 64;
/// Most ranges of Ethernet addresses on one node (16 bytes and a row each, twice).
pub const MAX_MAC_RANGES: usize = 1 << 14;

#[derive(Default)]
pub struct Flat<'a> {
    /// Names of address sets, in the order of their bits.
    pub sets: Vec<&'a str>,
    pub entries: Vec<Entry>,
    /// What each entry matches.
    pub matchers: Vec<Matcher<'a>>,
    pub parts: Vec<FilterPart>,
}

#[derive(Clone, Copy)]
pub enum Matcher<'a> {
    Rule(&'a Rule),
    /// Packets with a broken header.
    Malformed,
    /// Packets that connections of the node's own take.
    Established,
    Everything,
}

impl<'a> Flat<'a> {
    /// The rules with the number of their entry.
    pub fn rules(&self) -> impl Iterator<Item = (usize, &'a Rule)> {
        self.matchers.iter().enumerate().filter_map(|(entry, matcher)| match matcher {
            Matcher::Rule(rule) => Some((entry, *rule)),
            Matcher::Malformed | Matcher::Established | Matcher::Everything => None,
        })
    }

    /// The filter of an entry.
    pub fn object(&self, entry: usize) -> Box<ObjectRef> {
        let PolicyRef { kind, namespace, name, uid, generation, hash: _ } =
            self.parts[usize::from(self.entries[entry].filter)].policy.clone();
        Box::new(ObjectRef { kind, namespace, name, uid, generation })
    }
}

/// In evaluation order.
pub fn ordered<'a>(filters: &[&'a Filter]) -> Vec<&'a Filter> {
    let mut ordered = filters.to_vec();
    ordered.sort_by(|a, b| b.priority.cmp(&a.priority).then_with(|| a.object.name.cmp(&b.object.name)));
    ordered
}

pub fn flatten<'a>(filters: &'a [Split<'a>]) -> Result<Flat<'a>, CompileError> {
    let mut flat = Flat::default();
    let mut known = BTreeSet::new();
    let (mut continuing, mut mac_ranges, mut patterns) = (0, 0, BTreeSet::new());
    for split @ Split { filter, .. } in filters {
        let first = flat.entries.len();
        add_filter(&mut flat, split);
        // Of a rule in parts a packet meets one.
        continuing += filter.rules.iter().filter(|rule| rule.continues()).count();
        mac_ranges += filter.rules.iter().map(macs::ranges).sum::<usize>();
        known.extend(sets::names([*filter]));
        patterns.extend(filter.rules.iter().flat_map(|rule| &rule.matches.payload));
        let counts = Counts { continuing, mac_ranges, patterns: patterns.len(), sets: known.len() };
        check(&flat, &filter.object, &counts)?;
        flat.parts.push(part(filter, first, flat.entries.len()));
    }
    flat.sets = known.into_iter().collect();
    Ok(flat)
}

/// Of the filters so far.
struct Counts {
    continuing: usize,
    mac_ranges: usize,
    patterns: usize,
    sets: usize,
}

fn check(flat: &Flat, object: &ObjectRef, counts: &Counts) -> Result<(), CompileError> {
    let Counts { continuing, mac_ranges, patterns, sets } = *counts;
    let object = || Box::new(object.clone());
    let filters = flat.parts.len() + 1;
    if filters > MAX_FILTERS {
        return Err(CompileError::TooManyFilters { object: object(), total: filters, limit: MAX_FILTERS });
    }
    if continuing > MAX_CONTINUING_RULES {
        let (total, limit) = (continuing, MAX_CONTINUING_RULES);
        return Err(CompileError::TooManyContinuingRules { object: object(), total, limit });
    }
    if mac_ranges > MAX_MAC_RANGES {
        let (total, limit) = (mac_ranges, MAX_MAC_RANGES);
        return Err(CompileError::TooManyMacRanges { object: object(), total, limit });
    }
    if patterns > MAX_PATTERNS {
        let (total, limit) = (patterns, MAX_PATTERNS);
        return Err(CompileError::TooManyPatterns { object: object(), total, limit });
    }
    if sets > MAX_SETS {
        return Err(CompileError::TooManySets { object: object(), total: sets, limit: MAX_SETS });
    }
    let total = flat.entries.len();
    if total > MAX_ENTRIES {
        return Err(CompileError::TooManyEntries { object: object(), total, limit: MAX_ENTRIES });
    }
    Ok(())
}

fn add_filter<'a>(flat: &mut Flat<'a>, Split { filter, rules }: &'a Split<'a>) {
    let (first, number) = (flat.entries.len(), flat.parts.len() as u16);
    let filter_flags = if filter.mode == Mode::Audit { entry_flags::AUDIT_FILTER } else { 0 };
    let mut add = |matcher, rule, action, flags| {
        let (action, flags) = (action as u8, flags | filter_flags);
        flat.entries.push(Entry { action, flags, next_filter: 0, filter: number, rule, setting: 0, slot: 0 });
        flat.matchers.push(matcher);
    };
    if filter.allow_established {
        add(Matcher::Established, ESTABLISHED_ENTRY, EntryAction::Pass, 0);
    }
    for (index, rule) in rules {
        add(Matcher::Rule(rule), *index as u16, entry_action(rule.action), rule_flags(rule));
    }
    if let Some(action) = malformed_action(filter) {
        add(Matcher::Malformed, MALFORMED_ENTRY, action, 0);
    }
    if filter.default_action != Action::Next {
        add(Matcher::Everything, DEFAULT_ENTRY, entry_action(filter.default_action), 0);
    }
    let next = flat.entries.len() as u16;
    flat.entries[first..].iter_mut().for_each(|entry| entry.next_filter = next);
}

/// Passing a malformed packet needs an entry only where the default action would do otherwise.
fn malformed_action(filter: &Filter) -> Option<EntryAction> {
    match (filter.malformed, filter.default_action) {
        (Malformed::Drop, _) => Some(EntryAction::Drop),
        (Malformed::Pass, Action::Next) => None,
        (Malformed::Pass, _) => Some(EntryAction::Pass),
    }
}

fn rule_flags(rule: &Rule) -> u8 {
    let drop_later = rule.later_fragments == LaterFragments::Drop && rule.matches.has_layer4_fields();
    let audit = rule.mode == Mode::Audit;
    (if audit { entry_flags::AUDIT_RULE } else { 0 }) | (if drop_later { entry_flags::DROP_LATER } else { 0 })
}

fn entry_action(action: Action) -> EntryAction {
    match action {
        Action::Pass => EntryAction::Pass,
        Action::Drop => EntryAction::Drop,
        Action::Next => EntryAction::Next,
        Action::Count => EntryAction::Count,
        Action::RateLimit(_) => EntryAction::RateLimit,
        Action::Mark(_) => EntryAction::Mark,
    }
}

fn part(filter: &Filter, first: usize, end: usize) -> FilterPart {
    FilterPart {
        policy: filter_ref(filter),
        interfaces: interfaces(&filter.interfaces),
        attach: match filter.attach {
            selection::AttachMode::Auto => sluice_plan::AttachMode::Auto,
            selection::AttachMode::Native => sluice_plan::AttachMode::Native,
            selection::AttachMode::Generic => sluice_plan::AttachMode::Generic,
        },
        hook: match filter.hook {
            selection::Hook::Xdp => sluice_plan::Hook::Xdp,
            selection::Hook::TcIngress => sluice_plan::Hook::TcIngress,
            selection::Hook::TcEgress => sluice_plan::Hook::TcEgress,
        },
        audit: filter.mode == Mode::Audit,
        first: first as u16,
        end: end as u16,
        rules: filter.rules.iter().map(|rule| rule.name.clone()).collect(),
    }
}

pub fn interfaces(interfaces: &selection::Interfaces) -> sluice_plan::Interfaces {
    let selection::Interfaces { names, patterns, default_route } = interfaces.clone();
    sluice_plan::Interfaces { names, patterns, default_route }
}
