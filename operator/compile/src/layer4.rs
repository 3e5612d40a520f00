//! What dimensions of layer-4 fields have in common: packets without the field, and later fragments.

use sluice_policy::{LaterFragments, Rule};

use crate::flatten::Flat;
use crate::rows::EntrySet;

/// How one layer-4 dimension looks to packets that do not carry its field.
pub struct Layer4<'a> {
    /// The entries that restrict the field.
    pub users: Vec<(usize, &'a Rule)>,
    /// Entries that match a packet which can never have the field: those that do not ask for it.
    pub absent: EntrySet,
    /// Entries that match a later fragment, whose field is in the first one: also those that match or drop it by
    /// their other fields.
    pub later: EntrySet,
}

impl<'a> Layer4<'a> {
    /// `None` where no entry restricts the field.
    pub fn new(flat: &Flat<'a>, uses: impl Fn(&Rule) -> bool) -> Option<Layer4<'a>> {
        let users: Vec<_> = flat.rules().filter(|(_, rule)| uses(rule)).collect();
        if users.is_empty() {
            return None;
        }
        let mut absent = EntrySet::all(flat.entries.len());
        users.iter().for_each(|(entry, _)| absent.remove(*entry));
        let mut later = absent;
        for (entry, rule) in &users {
            match rule.later_fragments {
                LaterFragments::MatchL3 | LaterFragments::Drop => later.insert(*entry),
                LaterFragments::NoMatch => {}
            }
        }
        Some(Layer4 { users, absent, later })
    }
}
