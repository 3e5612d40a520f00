//! Packets that are limited twice in the same way, and those that are too long for a limit.
//!
//! Limits of different keys on the same packets are how limits are meant to be combined (each source, and all of them
//! together), and are left alone.

use sluice_policy::{Action, Filter, Hook, LimitKey, Mode, Rate, RateLimit, Rule};

use crate::reach::{Reach, and, is_nothing};
use crate::shadow::{Deciding, covers, decides, shadowing};
use crate::warning::{Reason, Warning};

/// The longest frame that the network stack makes of several segments, unless told otherwise (`gso_max_size`).
const MERGED: u64 = 14 + 65_535;
/// Protocols whose segments it merges.
const MERGING: [u8; 2] = [6, 17];

/// A rule that limits a rate, and what it matches.
type Limiting<'a> = (&'a Rule, RateLimit, &'a Reach);

pub(crate) fn warnings(filter: &Filter, reaches: &[Reach]) -> Vec<Warning> {
    let mut warnings = Vec::new();
    if filter.mode == Mode::Audit {
        return warnings;
    }
    let (mut deciding, mut earlier): (Vec<Deciding>, Vec<Limiting>) = Default::default();
    for (rule, reach) in filter.rules.iter().zip(reaches) {
        if decides(rule) {
            deciding.push((rule, reach));
        }
        let (Mode::Enforce, Action::RateLimit(limit)) = (rule.mode, rule.action) else { continue };
        warnings.extend(stalling(filter.hook, rule, limit));
        warnings.extend(earlier.iter().find_map(|before| overlap(before, (rule, limit, reach), &deciding)));
        earlier.push((rule, limit, reach));
    }
    warnings
}

fn stalling(hook: Hook, rule: &Rule, limit: RateLimit) -> Option<Warning> {
    let Rate::BytesPerSecond(_) = limit.rate else { return None };
    let protocols = &rule.matches.protocols;
    let merging = protocols.is_empty() || MERGING.iter().any(|merging| protocols.contains(merging));
    let message = format!(
        "never lets through what the network stack has merged of several segments, up to {MERGED} bytes, so that \
         connections stall: write a burst of at least {MERGED}, better of several times that"
    );
    (hook != Hook::Xdp && merging && limit.burst < MERGED).then(|| Warning {
        rule: Some(rule.name.clone()),
        reason: Reason::BurstTooSmall,
        message,
    })
}

fn overlap(before: &Limiting, rule: Limiting, deciding: &[Deciding]) -> Option<Warning> {
    let ((first, tighter, wide), (second, limit, reach)) = (*before, rule);
    let both = and(wide, reach);
    if tighter.per != limit.per || is_nothing(&both) || shadowing(&both, deciding).is_some() {
        return None;
    }
    let per = key(limit.per);
    let message = if covers(wide, reach) && is_within(&tighter, &limit) {
        format!(
            "never drops: {} before it lets no more through per {per} than this rate: lower it, or remove the rule",
            first.name
        )
    } else {
        format!(
            "limits packets that {} limits too, both per {per}: the lower rate holds for what both match; tell their \
             matches apart, or give them different keys",
            first.name
        )
    };
    Some(Warning { rule: Some(second.name.clone()), reason: Reason::OverlappingRateLimits, message })
}

/// Whether what the one lets through is always within the other.
fn is_within(one: &RateLimit, other: &RateLimit) -> bool {
    let rates = match (one.rate, other.rate) {
        (Rate::PacketsPerSecond(one), Rate::PacketsPerSecond(other)) => one <= other,
        (Rate::BytesPerSecond(one), Rate::BytesPerSecond(other)) => one <= other,
        _ => false,
    };
    rates && one.burst <= other.burst
}

fn key(per: LimitKey) -> String {
    match per {
        LimitKey::Rule => "rule".to_owned(),
        LimitKey::Source => "source".to_owned(),
        LimitKey::SourcePrefix { v4, v6 } => format!("source prefix (/{v4}, /{v6})"),
        LimitKey::Destination => "destination".to_owned(),
        LimitKey::SourceMac => "source MAC".to_owned(),
    }
}
