//! The directly indexed dimensions: kind, protocol, TCP flags, and whether a connection takes the packet.

use sluice_abi::{dimension, kind};
use sluice_policy::{FragmentKind, IcmpFamily, LaterFragments, Match, Rule, TcpFlags};

use crate::encode::Tables;
use crate::flatten::{Flat, Matcher};
use crate::layer4::Layer4;
use crate::rows::EntrySet;

/// Packets whose protocol is unknown.
const UNKNOWN_PROTOCOL: u32 = 256;

/// Used if an entry asks for a kind of fragment, for malformed packets, or for later fragments of one family.
pub fn kinds(flat: &Flat, tables: &mut Tables) {
    let restricts = |matcher: &Matcher| match matcher {
        Matcher::Rule(rule) => !rule.matches.fragments.is_empty() || icmp_family(rule).is_some(),
        Matcher::Malformed => true,
        Matcher::Established | Matcher::Everything => false,
    };
    if !flat.matchers.iter().any(restricts) {
        return;
    }
    for family in [kind::FAMILY_NONE, kind::FAMILY_V4, kind::FAMILY_V6] {
        for fragment in [kind::WHOLE, kind::FIRST, kind::FIRST_TINY, kind::LATER, kind::LATER_TINY] {
            for malformed in [false, true] {
                let row = kind_row(flat, family, fragment, malformed);
                tables.direct(dimension::DIRECT_KIND + kind::of(family, fragment, malformed), &row);
            }
        }
    }
    tables.used(dimension::KIND);
}

fn kind_row(flat: &Flat, family: u32, fragment: u32, malformed: bool) -> EntrySet {
    let mut row = EntrySet::default();
    for (entry, matcher) in flat.matchers.iter().enumerate() {
        let matches = match matcher {
            Matcher::Rule(rule) => {
                accepts_fragment(&rule.matches, fragment)
                    && icmp_family(rule).is_none_or(|wanted| wanted == family)
            }
            Matcher::Malformed => malformed,
            Matcher::Established | Matcher::Everything => true,
        };
        if matches {
            row.insert(entry);
        }
    }
    row
}

/// The one family of a rule's ICMP messages, where it has to be known from the IP header: the ICMP dimension says
/// nothing of a later fragment.
fn icmp_family(rule: &Rule) -> Option<u32> {
    if rule.later_fragments == LaterFragments::NoMatch {
        return None;
    }
    let (first, others) = rule.matches.icmp.split_first()?;
    let family = match first.family {
        IcmpFamily::V4 => kind::FAMILY_V4,
        IcmpFamily::V6 => kind::FAMILY_V6,
    };
    others.iter().all(|other| other.family == first.family).then_some(family)
}

/// A tiny fragment is also a first or a later one.
fn accepts_fragment(matches: &Match, fragment: u32) -> bool {
    matches.fragments.is_empty()
        || matches.fragments.iter().any(|wanted| match wanted {
            FragmentKind::None => fragment == kind::WHOLE,
            FragmentKind::First => fragment == kind::FIRST || fragment == kind::FIRST_TINY,
            FragmentKind::Later => fragment == kind::LATER || fragment == kind::LATER_TINY,
            FragmentKind::Tiny => fragment == kind::FIRST_TINY || fragment == kind::LATER_TINY,
            FragmentKind::Any => fragment != kind::WHOLE,
        })
}

pub fn protocols(flat: &Flat, tables: &mut Tables) {
    let users: Vec<_> = flat.rules().filter(|(_, rule)| !rule.matches.protocols.is_empty()).collect();
    if users.is_empty() {
        return;
    }
    let mut open = EntrySet::all(flat.entries.len());
    users.iter().for_each(|(entry, _)| open.remove(*entry));
    let mut by_protocol = [open; 256];
    for (entry, rule) in users {
        for &protocol in &rule.matches.protocols {
            by_protocol[usize::from(protocol)].insert(entry);
        }
    }
    for (protocol, row) in (0..).zip(&by_protocol) {
        tables.direct(dimension::DIRECT_PROTOCOL + protocol, row);
    }
    tables.direct(dimension::DIRECT_PROTOCOL + UNKNOWN_PROTOCOL, &open);
    tables.used(dimension::PROTOCOL);
}

pub fn tcp_flags(flat: &Flat, tables: &mut Tables) {
    let Some(layer4) = Layer4::new(flat, |rule| rule.matches.tcp_flags.is_some()) else { return };
    let special = tables.rows.special(&layer4.absent, &layer4.later);
    for flags in 0..=u8::MAX {
        let mut row = layer4.absent;
        for (entry, rule) in &layer4.users {
            if rule.matches.tcp_flags.is_none_or(|wanted| accepts_flags(wanted, flags)) {
                row.insert(*entry);
            }
        }
        tables.direct(dimension::DIRECT_TCP_FLAGS + u32::from(flags), &row);
    }
    tables.used_with(dimension::TCP_FLAGS, special);
}

/// Used if an entry asks for established connections.
pub fn established(flat: &Flat, tables: &mut Tables) {
    let asks = |matcher: &Matcher| matches!(matcher, Matcher::Established);
    if !flat.matchers.iter().any(asks) {
        return;
    }
    let mut row = EntrySet::all(flat.entries.len());
    let first = dimension::DIRECT_ESTABLISHED;
    tables.direct(first + 1, &row);
    let users = flat.matchers.iter().enumerate().filter(|(_, matcher)| asks(matcher));
    users.for_each(|(entry, _)| row.remove(entry));
    tables.direct(first, &row);
    tables.used(dimension::ESTABLISHED);
}

fn accepts_flags(wanted: TcpFlags, flags: u8) -> bool {
    flags & wanted.set == wanted.set && flags & wanted.unset == 0
}
