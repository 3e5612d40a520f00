//! Rules that no packet ever reaches.

use std::collections::BTreeSet;

use sluice_policy::{Filter, Rule};

use crate::ranges::Ranges;
use crate::reach::{Product, Reach, everything, field, is_nothing};
use crate::warning::{Reason, Warning};

/// Rules behind one that matches everything, and rules that shadow another, are named up to this many.
const NAMED: usize = 5;

/// A rule that leaves the filter with the first packet that matches, and what it matches.
pub(crate) type Deciding<'a> = (&'a Rule, &'a Reach);

/// `reaches` is what the rules match at most, `certain` what they match at least.
pub(crate) fn warnings(filter: &Filter, reaches: &[Reach], certain: &[Reach]) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let mut deciding: Vec<Deciding> = Vec::new();
    for (index, (rule, reach)) in filter.rules.iter().zip(reaches).enumerate() {
        if is_nothing(reach) {
            let message = "no packet has all that it asks for: make two rules of it, or remove it";
            warnings.push(about(rule, Reason::NeverMatches, message.to_owned()));
            continue;
        }
        if let Some(by) = shadowing(reach, &deciding) {
            let message = format!(
                "never matches: what it matches is decided before by {}: move it up, or remove it",
                names(&by)
            );
            warnings.push(about(rule, Reason::Shadowed, message));
            continue;
        }
        if !decides(rule) {
            continue;
        }
        let behind: Vec<&str> = filter.rules[index + 1..].iter().map(|rule| rule.name.as_str()).collect();
        if certain[index] == everything() && !behind.is_empty() {
            let message = format!(
                "matches every packet, so no rule behind it ever does ({}): move it to the end, or remove them",
                names(&behind)
            );
            warnings.push(about(rule, Reason::MatchesEverything, message));
            return warnings;
        }
        deciding.push((rule, &certain[index]));
    }
    warnings
}

/// Whether the filter is left with the first packet that matches.
pub(crate) fn decides(rule: &Rule) -> bool {
    !rule.continues()
}

/// Names of earlier rules that take all that this one could.
pub(crate) fn shadowing<'a>(reach: &Reach, deciding: &[Deciding<'a>]) -> Option<Vec<&'a str>> {
    if let Some((rule, _)) = deciding.iter().find(|(_, before)| covers(before, reach)) {
        return Some(vec![&rule.name]);
    }
    let mut by = BTreeSet::new();
    for (case, product) in reach.iter().enumerate() {
        let Some(product) = product else { continue };
        let before = deciding
            .iter()
            .enumerate()
            .filter_map(|(index, (_, reach))| Some((index, reach[case].as_ref()?)));
        by.extend(union(product, before)?);
    }
    Some(by.into_iter().map(|index| deciding[index].0.name.as_str()).collect())
}

pub(crate) fn covers(before: &Reach, reach: &Reach) -> bool {
    before.iter().zip(reach).all(|(before, product)| match (before, product) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(before), Some(product)) => before.covers(product),
    })
}

/// Products that together cover this one: all of its fields but one each, and that one among them.
fn union<'a>(product: &Product, before: impl Iterator<Item = (usize, &'a Product)>) -> Option<Vec<usize>> {
    let mut parts: [Option<(Ranges, Vec<usize>)>; field::COUNT] = Default::default();
    for (index, earlier) in before {
        let Some(open) = only_open_field(earlier, product) else { continue };
        let Some(field) = open else { return Some(vec![index]) };
        let part = earlier.0[field].and(&product.0[field]);
        let (covered, by) = parts[field].get_or_insert_with(|| (Ranges::of([]), Vec::new()));
        if covered.covers(&part) {
            continue;
        }
        *covered = covered.or(&part);
        by.push(index);
        if covered.covers(&product.0[field]) {
            return parts[field].take().map(|(_, by)| by);
        }
    }
    None
}

/// The one field that the earlier product does not cover; `Some(None)` if it covers all, `None` if two or more are open.
fn only_open_field(earlier: &Product, product: &Product) -> Option<Option<usize>> {
    let mut open = (0..field::COUNT).filter(|&field| !earlier.0[field].covers(&product.0[field]));
    let first = open.next();
    if open.next().is_some() { None } else { Some(first) }
}

fn about(rule: &Rule, reason: Reason, message: String) -> Warning {
    Warning { rule: Some(rule.name.clone()), reason, message }
}

fn names(names: &[&str]) -> String {
    match names.len().checked_sub(NAMED) {
        Some(more) if more > 0 => format!("{} and {more} more", names[..NAMED].join(", ")),
        _ => names.join(", "),
    }
}
