//! A plan and what comes of it by itself: what of it ends at a moment ends without the operator.

use std::collections::BTreeMap;
use std::sync::Arc;

use sluice_client::Update;
use sluice_plan::{DecodeError, Hash, NodePlan, Schema};
use sluice_proto::{PLAN, moment_of, successor_key};
use sluice_store::StoredSuccessors;

/// A plan under the hash that names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    pub hash: Hash,
    pub plan: Arc<NodePlan>,
}

/// Plans that follow each other, as the operator signed them together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Succession {
    first: Named,
    /// Each with the moment of its turn, in Unix milliseconds, the first first.
    next: Vec<(i64, Named)>,
    /// How many of `next` have had their turn.
    turns: usize,
}

impl Named {
    pub fn new(plan: NodePlan) -> Named {
        Named { hash: plan.hash(), plan: Arc::new(plan) }
    }
}

impl Default for Named {
    fn default() -> Self {
        Named::new(NodePlan::default())
    }
}

impl Succession {
    /// As it is on disk, in the plan's encoding.
    ///
    /// # Errors
    /// One of the successors is no plan in this encoding.
    pub fn read(first: Named, stored: &StoredSuccessors) -> Result<Succession, DecodeError> {
        let schema = first.plan.schema;
        let read = |(at, bytes): &(i64, Vec<u8>)| Ok((*at, named(schema, Hash::of(bytes), bytes)?));
        let next: Vec<_> = stored.next.iter().map(read).collect::<Result<_, DecodeError>>()?;
        let turns = next.len().min(stored.turns as usize);
        Ok(Succession { first, next, turns })
    }

    /// What an update makes of it, that goes by what is left after so many turns.
    ///
    /// # Errors
    /// One of the plans in it is none.
    pub fn after(&self, update: &Update) -> Result<Succession, DecodeError> {
        let mut first = self.plan_after(update.step).clone();
        let mut next: BTreeMap<i64, Named> = self.next.iter().skip(update.step).cloned().collect();
        for key in &update.removed {
            match moment_of(key) {
                Some(at) => _ = next.remove(&at),
                None if key == PLAN => first = Named::default(),
                None => {}
            }
        }
        for (key, hash, bytes) in &update.set {
            match moment_of(key) {
                Some(at) => _ = next.insert(at, named(update.schema, *hash, bytes)?),
                None if key == PLAN => first = named(update.schema, *hash, bytes)?,
                None => {}
            }
        }
        Ok(Succession { first, next: next.into_iter().collect(), turns: 0 })
    }

    /// As it stands at `now`. What has had its turn keeps it, also where the clock is set back.
    #[must_use]
    pub fn at(mut self, now: i64) -> Succession {
        let over = self.next.iter().take_while(|(at, _)| *at <= now).count();
        self.turns = self.turns.max(over);
        self
    }

    /// The plan that is to be in force.
    pub fn now(&self) -> &Named {
        self.plan_after(self.turns)
    }

    /// The plan that all of it begins with.
    pub fn first(&self) -> &Named {
        &self.first
    }

    pub fn turns(&self) -> usize {
        self.turns
    }

    /// When the next takes its turn, in Unix milliseconds.
    pub fn next_turn(&self) -> Option<i64> {
        self.next.get(self.turns).map(|(at, _)| *at)
    }

    /// Key and hash of each successor, whether it has had its turn or not.
    pub fn successors(&self) -> impl Iterator<Item = (String, Hash)> {
        self.next.iter().map(|(at, next)| (successor_key(*at), next.hash))
    }

    /// After each number of turns, the plan in force and the keys and hashes of what follows it. Empty where nothing does.
    pub fn steps(&self) -> impl Iterator<Item = (&Named, impl Iterator<Item = (String, Hash)>)> {
        let steps = if self.next.is_empty() { 0 } else { self.next.len() + 1 };
        (0..steps).map(|turns| (self.plan_after(turns), self.successors().skip(turns)))
    }

    pub fn stored(&self) -> StoredSuccessors {
        let next = self.next.iter().map(|(at, next)| (*at, next.plan.encode())).collect();
        StoredSuccessors { turns: self.turns as u32, next }
    }

    fn plan_after(&self, turns: usize) -> &Named {
        match turns.min(self.next.len()) {
            0 => &self.first,
            turns => &self.next[turns - 1].1,
        }
    }
}

fn named(schema: Schema, hash: Hash, bytes: &[u8]) -> Result<Named, DecodeError> {
    Ok(Named { hash, plan: Arc::new(NodePlan::decode(schema, bytes)?) })
}

/// Unix milliseconds.
pub fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use sluice_plan::Epoch;
    use sluice_seal::Seal;

    use super::*;

    fn plan(confirm_ms: u32) -> NodePlan {
        NodePlan { confirm_ms, ..NodePlan::default() }
    }

    /// Plans 1, 2 and 3, at 0, 1000 and 2000.
    fn three() -> Succession {
        let next = [(1000, plan(2).encode()), (2000, plan(3).encode())].to_vec();
        Succession::read(Named::new(plan(1)), &StoredSuccessors { turns: 0, next }).expect("plans")
    }

    fn update(step: usize, set: &[(&str, u32)], removed: &[&str]) -> Update {
        let set = set.iter().map(|(key, number)| {
            let bytes = plan(*number).encode();
            ((*key).to_owned(), Hash::of(&bytes), bytes.into())
        });
        Update {
            nonce: 1,
            epoch: Epoch::default(),
            cluster_id: String::new(),
            seal: Seal::default(),
            schema: Schema::NEWEST,
            set: set.collect(),
            removed: removed.iter().map(|key| (*key).to_owned()).collect(),
            step,
            traces: Vec::new(),
        }
    }

    /// The plan in force and what follows it.
    fn words(succession: &Succession) -> String {
        let number = |named: &Named| named.plan.confirm_ms;
        let next = succession.next.iter().skip(succession.turns);
        let next: String = next.map(|(at, named)| format!(" {at}={}", number(named))).collect();
        format!("{}{next}", number(succession.now()))
    }

    #[test]
    fn what_had_its_turn_keeps_it_over_a_clock_that_is_set_back_and_a_restart() {
        let begun = three();
        assert_eq!((words(&begun), begun.next_turn()), ("1 1000=2 2000=3".to_owned(), Some(1000)));
        assert_eq!(words(&begun.clone().at(999)), "1 1000=2 2000=3");
        let turned = begun.clone().at(1000);
        assert_eq!((words(&turned), turned.next_turn()), ("2 2000=3".to_owned(), Some(2000)));
        assert_eq!(words(&turned.clone().at(0)), "2 2000=3");
        let read = Succession::read(Named::new(plan(1)), &turned.stored()).expect("plans");
        assert_eq!(read, turned);
        assert_eq!(words(&begun.at(i64::MAX)), "3");
    }

    #[test]
    fn an_update_goes_by_the_turn_that_it_was_made_for() {
        let after = |step, set: &[(&str, u32)], removed: &[&str]| {
            words(&three().at(1000).after(&update(step, set, removed)).expect("plans"))
        };
        assert_eq!(after(1, &[], &[]), "2 2000=3", "nothing is new");
        assert_eq!(after(2, &[], &["successor/2000"]), "3", "the operator says that it is time");
        assert_eq!(after(0, &[], &[]), "1 1000=2 2000=3", "or that it is not");
        assert_eq!(after(1, &[("successor/3000", 4)], &[]), "2 2000=3 3000=4");
        assert_eq!(after(1, &[("plan", 7)], &["successor/2000"]), "7");
        assert_eq!(after(1, &[("plan", 7), ("successor/2000", 8)], &[]), "7 2000=8");
        let bad = Update {
            set: vec![("successor/9".into(), Hash([0; 32]), vec![1].into())],
            ..update(0, &[], &[])
        };
        assert!(three().after(&bad).is_err());
    }

    #[test]
    fn each_step_is_what_is_signed_of_it() {
        let steps = |succession: &Succession| -> Vec<(u32, Vec<String>)> {
            let step = |(named, next): (&Named, _)| {
                let next: Vec<(String, Hash)> = Iterator::collect(next);
                (named.plan.confirm_ms, next.into_iter().map(|(key, _)| key).collect())
            };
            succession.steps().map(step).collect()
        };
        let keys = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
        let all = [
            (1, keys(&["successor/1000", "successor/2000"])),
            (2, keys(&["successor/2000"])),
            (3, keys(&[])),
        ];
        assert_eq!(steps(&three().at(1000)), all, "whichever it is at");
        assert_eq!(steps(&Succession::default()), []);
    }
}
