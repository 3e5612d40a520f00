//! Which plans follow each other by themselves: agreed on beside the plans, of which each successor is one. No node has its
//! class before the moment comes.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sluice_plan::{Hash, encode};

use crate::{ClassKey, Plan, State};

/// Blob with them. None where nothing ends.
pub const SUCCESSORS: &str = "plan-successors";

/// By the hash of a plan, the class of each plan that takes its place, and when, in Unix milliseconds; the first first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Successors(BTreeMap<Hash, Vec<(i64, ClassKey)>>);

impl Successors {
    pub fn set(&mut self, plan: Hash, successors: Vec<(i64, ClassKey)>) {
        self.0.insert(plan, successors);
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn encoded(&self) -> Bytes {
        encode(self).into()
    }
}

impl State {
    /// What a plan has come to at `now`, and what takes its place after that, and when, in Unix milliseconds.
    pub fn succession<'a>(&'a self, plan: &'a Plan, now: i64) -> (&'a Plan, Vec<(i64, &'a Plan)>) {
        let Some(bytes) = self.blobs.get(SUCCESSORS).filter(|bytes| !bytes.is_empty()) else {
            return (plan, Vec::new());
        };
        let all = self.read.successors.of(bytes);
        let named = all.0.get(&plan.hash).map_or(&[][..], Vec::as_slice);
        // A leader of a version that knows none leaves them without their classes.
        let known = named.iter().map_while(|(at, class)| Some((*at, self.classes.get(class)?)));
        let (over, ahead): (Vec<_>, Vec<_>) = known.partition(|(at, _)| *at <= now);
        (over.last().map_or(plan, |(_, successor)| successor), ahead)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_plan_comes_to_its_successors_one_after_the_other() {
        let plans = ["both", "one", "none"].map(|text| Plan::new(Bytes::from_static(text.as_bytes())));
        let [both, one, none] = &plans;
        let mut successors = Successors::default();
        successors.set(both.hash, vec![(1000, "k-until-1000".into()), (2000, "k-until-2000".into())]);
        let mut state = State::default();
        assert_eq!(state.succession(both, 5000), (both, vec![]), "nothing is said of it");
        state.blobs = Arc::new([(SUCCESSORS.to_owned(), successors.encoded())].into());
        assert_eq!(state.succession(both, 5000), (both, vec![]), "their classes are not there");
        let classes = [("k", both), ("k-until-1000", one), ("k-until-2000", none)];
        state.classes = Arc::new(classes.map(|(key, plan)| (key.into(), plan.clone())).into());
        assert_eq!(state.succession(both, 999), (both, vec![(1000, one), (2000, none)]));
        assert_eq!(state.succession(both, 1000), (one, vec![(2000, none)]));
        assert_eq!(state.succession(both, 2000), (none, vec![]));
        assert_eq!(state.succession(one, 0), (one, vec![]));
    }
}
