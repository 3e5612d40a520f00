//! Reading address sets again: their maps are frozen and closed to programs, so nobody should be able to alter them, and
//! this is how it is known.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Datapath;
use crate::error::Result;
use crate::sets::KernelSet;

/// Which set is to be read next: one at a time, so that a node with many large ones does not stand still for them.
#[derive(Default)]
pub struct Turns {
    read: BTreeMap<String, Instant>,
}

impl Turns {
    /// The one that was read longest ago, if half of `period` has passed since then: with room for the others' turns,
    /// each is read within the period. A set that is new was read when it was made.
    fn next<'a>(
        &mut self,
        sets: impl Iterator<Item = &'a String> + Clone,
        period: Duration,
        now: Instant,
    ) -> Option<&'a String> {
        self.read.retain(|name, _| sets.clone().any(|set| set == name));
        for set in sets.clone() {
            self.read.entry(set.clone()).or_insert(now);
        }
        let next = sets.min_by_key(|set| self.read[*set])?;
        let last = self.read.get_mut(next)?;
        (now.duration_since(*last) >= period / 2).then(|| {
            *last = now;
            next
        })
    }
}

impl Datapath {
    /// Reads every byte of the set whose turn it is, so that each is read within `period` where this is called often
    /// enough. One whose maps hold something else is made anew from its contents; [`Datapath::drift`] names it until
    /// [`Datapath::interfaces_changed`] puts it at its place.
    pub fn recheck_sets(&mut self, period: Duration, now: Instant) -> Result<()> {
        let Some(name) = self.turns.next(self.sets.keys(), period, now).cloned() else { return Ok(()) };
        let Some(set) = self.sets.get(&name) else { return Ok(()) };
        if set.is_intact()? {
            return Ok(());
        }
        let anew = KernelSet::make(set.hash(), set.contents().clone())?;
        self.altered.insert(name.clone());
        self.sets.insert(name, Arc::new(anew));
        Ok(())
    }
}

#[cfg(test)]
#[path = "recheck/tests.rs"]
mod tests;
