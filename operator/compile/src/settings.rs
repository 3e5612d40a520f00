//! What actions need to know: rates and marks.

use sluice_abi::{COST_DIGITS, Limit, LimitKey as Key, Mark, UNITS_PER_NS};
use sluice_policy::{Action, LimitKey, Rate, RateLimit};

use crate::flatten::{Flat, Matcher};

const UNITS_PER_SECOND: u128 = UNITS_PER_NS as u128 * 1_000_000_000;

#[derive(Default)]
pub struct Settings {
    pub limits: Vec<Limit>,
    pub marks: Vec<Mark>,
}

/// One for each rule that has any, which all entries of the rule then know.
pub fn settings(flat: &mut Flat) -> Settings {
    let mut settings = Settings::default();
    let mut last = None;
    for (entry, matcher) in flat.entries.iter_mut().zip(&flat.matchers) {
        let Matcher::Rule(rule) = matcher else { continue };
        let owner = (entry.filter, entry.rule);
        if let Some((_, setting)) = last.filter(|(known, _)| *known == owner) {
            entry.setting = setting;
            continue;
        }
        match &rule.action {
            Action::RateLimit(rate) => {
                entry.setting = settings.limits.len() as u16;
                settings.limits.push(limit(rate));
            }
            Action::Mark(mark) => {
                entry.setting = settings.marks.len() as u16;
                settings.marks.push(Mark { value: mark.value, mask: mark.mask });
            }
            Action::Pass | Action::Drop | Action::Next | Action::Count => {}
        }
        last = Some((owner, entry.setting));
    }
    settings
}

fn limit(RateLimit { rate, burst, per }: &RateLimit) -> Limit {
    let (per_second, bytes) = match rate {
        Rate::PacketsPerSecond(packets) => (packets, 0),
        Rate::BytesPerSecond(bytes) => (bytes, 1),
    };
    let earned_in = |amount: u64, digits: u32| {
        let units = (UNITS_PER_SECOND << digits) * u128::from(amount) / u128::from((*per_second).max(1));
        u64::try_from(units).unwrap_or(u64::MAX)
    };
    let (key, mask_v4, mask) = match *per {
        LimitKey::Rule => (Key::Source, 0, 0),
        LimitKey::Source => (Key::Source, u64::MAX, u128::MAX),
        LimitKey::SourcePrefix { v4, v6 } => (Key::Source, leading_v4(v4), leading_v6(v6)),
        LimitKey::Destination => (Key::Destination, u64::MAX, u128::MAX),
        LimitKey::SourceMac => (Key::SourceMac, u64::MAX, u128::MAX),
    };
    Limit {
        cost: earned_in(1, COST_DIGITS),
        burst: earned_in(*burst, 0),
        mask_v4,
        mask: [(mask >> 64) as u64, mask as u64],
        key: key as u32,
        bytes,
    }
}

/// Over the low half of the address's IPv6-mapped form.
fn leading_v4(length: u8) -> u64 {
    u64::MAX.checked_shl(32 - u32::from(length.min(32))).unwrap_or(0)
}

fn leading_v6(length: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(length.min(128))).unwrap_or(0)
}
