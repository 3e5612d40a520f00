//! Which rules were held against a packet, and how each of their fields came out.

use sluice_policy::{Filter, Rule};

use crate::matching::{Checked, fields};
use crate::packet::Packet;
use crate::world::Sets;

/// A rule that was held against a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Considered<'w> {
    pub filter: &'w Filter,
    pub rule: &'w Rule,
    /// Every field that the rule restricts; it matches if all of them fit.
    pub checked: Vec<Checked>,
}

impl Considered<'_> {
    pub fn matches(&self) -> bool {
        self.checked.iter().all(|checked| checked.fits)
    }
}

/// Answers whether rules match, and keeps what led to the answers for those who ask why.
pub(crate) enum Watch<'w> {
    Off,
    Keep(Vec<Considered<'w>>),
}

impl<'w> Watch<'w> {
    pub fn matches(&mut self, sets: &Sets, filter: &'w Filter, rule: &'w Rule, packet: &Packet) -> bool {
        let mut checked = fields(rule, packet, sets);
        match self {
            Watch::Off => checked.all(|checked| checked.fits),
            Watch::Keep(kept) => {
                let considered = Considered { filter, rule, checked: checked.collect() };
                let matches = considered.matches();
                kept.push(considered);
                matches
            }
        }
    }
}
