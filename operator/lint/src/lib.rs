//! What is valid and yet hardly meant: rules that can never match, an allow-list that cuts its own node off, drops that
//! failsafe traffic does not heed, packets that are limited twice. Pure.
//!
//! # Guarantees
//! A rule that is said never to match never does: every set here is exact, or too large where it stands for what a rule
//! matches and too small where it stands for what was decided before. Not every such rule is found.

mod allow_list;
mod class;
mod failsafe;
mod ranges;
mod rates;
mod reach;
mod shadow;
mod warning;

use std::cmp::Reverse;
use std::net::IpAddr;

use sluice_plan::Failsafe;
use sluice_policy::{Filter, Hook};

pub use warning::{Reason, Warning};

/// What a filter's warnings depend on beside the filter itself.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    pub failsafe: &'a Failsafe,
    /// Addresses of nodes, as far as they are known: traffic to them is where the failsafe holds.
    pub node_addresses: &'a [IpAddr],
    /// Filters that may run before this one.
    pub before: &'a [&'a Filter],
}

/// Everything that is odd about a filter, in the order of its rules; what is about the filter as a whole comes last.
pub fn lint(filter: &Filter, around: &Surroundings) -> Vec<Warning> {
    let reaches: Vec<_> =
        filter.rules.iter().map(|rule| reach::of_rule(&rule.matches, rule.later_fragments)).collect();
    let certain: Vec<_> =
        filter.rules.iter().map(|rule| reach::certain(&rule.matches, rule.later_fragments)).collect();
    let mut warnings = shadow::warnings(filter, &reaches, &certain);
    warnings.extend(rates::warnings(filter, &reaches));
    // What these know is how packets come in.
    let comes_in = filter.hook != Hook::TcEgress;
    if comes_in {
        warnings.extend(failsafe::warnings(filter, &certain, around));
    }
    let place =
        |name: &str| filter.rules.iter().position(|rule| rule.name == name).unwrap_or(filter.rules.len());
    warnings.sort_by_key(|warning| warning.rule.as_deref().map_or(filter.rules.len(), place));
    if comes_in {
        let before: Vec<_> =
            around.before.iter().copied().filter(|other| other.hook == filter.hook).collect();
        warnings.extend(allow_list::warning(filter, &before));
    }
    warnings
}

/// [`lint`] of each of these, as if they were all there is. Priority and name decide who comes before whom.
pub fn lint_all(filters: &[&Filter], failsafe: &Failsafe, node_addresses: &[IpAddr]) -> Vec<Vec<Warning>> {
    let rank = |filter: &Filter| (Reverse(filter.priority), filter.object.name.clone());
    let of = |filter: &&Filter| {
        let before: Vec<_> = filters.iter().copied().filter(|other| rank(other) < rank(filter)).collect();
        lint(filter, &Surroundings { failsafe, node_addresses, before: &before })
    };
    filters.iter().map(of).collect()
}
