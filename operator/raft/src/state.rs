//! The state machine itself: pure, so that every replica computes the same.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sluice_address_set::Manifest;
use sluice_plan::{Epoch, Hash};

use crate::command::ClassPlan;
use crate::{ClassKey, Command, LastRead, Schemas, Step, Successors};

/// What all replicas agree on. Parts are shared between versions, so a clone is cheap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// `term` and `index` of the last change of the plans; index 0 before the first.
    pub epoch: Epoch,
    pub classes: Arc<BTreeMap<ClassKey, Plan>>,
    pub node_class: Arc<BTreeMap<String, ClassKey>>,
    pub rings: Bytes,
    /// With the shards of the sets, see [`shard_key`].
    pub blobs: Arc<BTreeMap<String, Bytes>>,
    /// Address sets in use, by name.
    pub sets: Arc<BTreeMap<String, SetManifest>>,
    #[serde(skip)]
    pub step: Step,
    #[serde(skip)]
    pub read: ReadBlobs,
}

/// Blobs that are asked for again and again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadBlobs {
    pub(crate) schemas: LastRead<Schemas>,
    pub(crate) successors: LastRead<Successors>,
}

/// An encoded `NodePlan`, with the hash that names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub hash: Hash,
    pub bytes: Bytes,
    /// Names of the address sets that it uses.
    pub sets: Vec<String>,
}

/// An encoded `Manifest`, with the hash that names the set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetManifest {
    pub hash: Hash,
    pub bytes: Bytes,
}

impl State {
    /// None as long as the node has no class.
    pub fn plan_of(&self, node: &str) -> Option<(&ClassKey, &Plan)> {
        let key = self.node_class.get(node)?;
        Some((key, self.classes.get(key)?))
    }

    /// The sets that a plan uses, by name.
    pub fn sets_of<'a>(&'a self, plan: &'a Plan) -> impl Iterator<Item = (&'a str, &'a SetManifest)> {
        plan.sets.iter().filter_map(|name| Some((name.as_str(), self.sets.get(name)?)))
    }

    /// The bytes of a shard that is agreed on.
    pub fn shard(&self, hash: Hash) -> Option<&Bytes> {
        self.blobs.get(&shard_key(hash))
    }

    /// The encoded `Signer` of the plans, as long as there is one.
    pub fn signer(&self) -> Option<&Bytes> {
        self.blobs.get(SIGNER)
    }

    /// Becomes the state after `command`, agreed at this place of the log; true if that is another.
    pub(crate) fn apply(&mut self, command: Command, term: u64, index: u64) -> bool {
        let Some(command) = command.agreed_in(term).filter(|command| !command.is_void(self)) else {
            return false;
        };
        let before = self.epoch;
        let changed = self.change(command, term, index);
        if self.epoch != before {
            self.step = self.step.next();
        }
        changed
    }

    #[cfg(test)]
    pub(crate) fn after(&self, command: Command, term: u64, index: u64) -> State {
        let mut state = self.clone();
        let changed = state.apply(command, term, index);
        assert_eq!(changed, state != *self);
        state
    }

    fn change(&mut self, command: Command, term: u64, index: u64) -> bool {
        match command {
            Command::PutPlans { classes, node_class, rings, blobs } => {
                let plan = |plan| ClassPlan { plan, sets: Vec::new() };
                let classes = classes.into_iter().map(|(key, bytes)| (key, plan(bytes))).collect();
                let command = Command::PutFleet { classes, node_class, rings, blobs, sets: BTreeMap::new() };
                self.change(command, term, index)
            }
            Command::PutFleet { classes, node_class, rings, blobs, sets } => {
                let plan = |class: ClassPlan| Plan { sets: class.sets, ..Plan::new(class.plan) };
                let classes = classes.into_iter().map(|(key, class)| (key, plan(class))).collect();
                let sets = sets.into_iter().map(|(name, bytes)| (name, SetManifest::new(bytes))).collect();
                let changes = [
                    replace(&mut self.classes, classes),
                    replace(&mut self.node_class, node_class),
                    replace(&mut self.sets, sets),
                    std::mem::replace(&mut self.rings, rings.clone()) != rings,
                ];
                // The same plans keep their epoch: an operator that compiles anew after a restart moves nobody.
                let is_news = changes.contains(&true) || self.epoch.index == 0;
                if is_news {
                    self.epoch = Epoch { term, index, ..self.epoch };
                }
                let put = self.put(blobs);
                self.drop_shards() || put || is_news
            }
            Command::PutBlob { key, bytes } => self.put([(key, bytes)].into()),
            Command::RemoveBlob { key } => self.remove(&[key]),
            Command::PutBlobs { blobs } => self.put(blobs),
            Command::Decided { .. } => unreachable!("what was agreed on is none"),
            Command::Recover { seen_incarnation } => {
                let incarnation = self.epoch.incarnation.max(seen_incarnation) + 1;
                self.epoch = Epoch { incarnation, term, index };
                true
            }
            Command::TakeToken { number, by, until, now } => {
                let is_over =
                    |taken: &Bytes| taken.first_chunk().is_none_or(|until| u64::from_be_bytes(*until) <= now);
                let tokens =
                    self.blobs.range(TOKEN.to_owned()..).take_while(|(key, _)| key.starts_with(TOKEN));
                let over = tokens.filter(|(_, taken)| is_over(taken)).map(|(key, _)| key.clone());
                let over: Vec<String> = over.collect();
                let forgotten = self.remove(&over);
                let taken = [until.to_be_bytes().as_slice(), &by.0].concat();
                self.put([(token_key(&number), taken.into())].into()) || forgotten
            }
        }
    }

    /// True if any of them is another, or new. The map is copied only then, and where somebody else reads it.
    fn put(&mut self, mut blobs: BTreeMap<String, Bytes>) -> bool {
        blobs.retain(|key, bytes| self.blobs.get(key) != Some(bytes));
        let changes = !blobs.is_empty();
        if changes {
            Arc::make_mut(&mut self.blobs).extend(blobs);
        }
        changes
    }

    /// True if any of them was there.
    fn remove(&mut self, keys: &[String]) -> bool {
        let changes = keys.iter().any(|key| self.blobs.contains_key(key));
        if changes {
            let blobs = Arc::make_mut(&mut self.blobs);
            keys.iter().for_each(|key| _ = blobs.remove(key));
        }
        changes
    }

    /// Forgets the shards that no set is made of; true if there were any.
    fn drop_shards(&mut self) -> bool {
        if !self.blobs.keys().any(|key| key.starts_with(SHARD)) {
            return false;
        }
        let kept = self.blobs.iter().filter(|(key, _)| key.starts_with(KEPT_SET)).map(|(_, bytes)| bytes);
        let manifests = self.sets.values().map(|set| &set.bytes).chain(kept);
        let shards = manifests.filter_map(|bytes| Manifest::decode(bytes).ok()).flat_map(|set| set.shards);
        let used: BTreeSet<String> = shards.map(shard_key).collect();
        let unused = self.blobs.keys().filter(|key| key.starts_with(SHARD) && !used.contains(*key));
        let unused: Vec<String> = unused.cloned().collect();
        self.remove(&unused)
    }
}

/// True if it is another. Two states share what they have in common, and so does what is written of them.
fn replace<T: PartialEq>(shared: &mut Arc<T>, value: T) -> bool {
    let differs = **shared != value;
    if differs {
        *shared = Arc::new(value);
    }
    differs
}

/// Key of a shard among the blobs.
pub fn shard_key(hash: Hash) -> String {
    format!("{SHARD}{}", hash.to_hex())
}

/// Key of a token that was taken; its value is when it ends, in big-endian Unix seconds, and what it was taken for.
pub(crate) fn token_key(number: &[u8; 16]) -> String {
    format!("{TOKEN}{}", hex::encode(number))
}

const TOKEN: &str = "token/";

/// Blobs that are encoded manifests: sets that are not in use, and whose shards stay.
pub const KEPT_SET: &str = "kept-set/";

/// Blob of the key that signs plans. With it every replica signs alike; it is as secret as the store's file.
pub const SIGNER: &str = "signer";

const SHARD: &str = "shard/";

impl Plan {
    pub fn new(bytes: Bytes) -> Plan {
        Plan { hash: Hash::of(&bytes), bytes, sets: Vec::new() }
    }
}

impl SetManifest {
    pub fn new(bytes: Bytes) -> SetManifest {
        SetManifest { hash: Hash::of(&bytes), bytes }
    }
}

impl Default for State {
    fn default() -> Self {
        State {
            epoch: Epoch { incarnation: 1, term: 0, index: 0 },
            classes: Arc::default(),
            node_class: Arc::default(),
            rings: Bytes::new(),
            blobs: Arc::default(),
            sets: Arc::default(),
            step: Step::default(),
            read: ReadBlobs::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_taken_once_and_forgotten_when_it_is_over() {
        let take = |number, by, now| Command::TakeToken {
            number: [number; 16],
            by: Hash([by; 32]),
            until: now / 1000 * 1000 + 1000,
            now,
        };
        let before = State::default();
        assert!(!take(1, 7, 10).is_void(&before));
        let taken = before.after(take(1, 7, 10), 1, 1);
        assert!(take(1, 8, 20).is_void(&taken) && !take(2, 8, 20).is_void(&taken));
        assert!(!take(1, 7, 20).is_void(&taken), "whoever took it asks again");
        assert_eq!(taken.after(take(1, 8, 20), 1, 2), taken);
        assert_eq!(taken.after(take(1, 8, 20).decided_in(1), 1, 2), taken);
        let later = taken.after(take(3, 7, 1000), 1, 3);
        assert_eq!(later.blobs.keys().collect::<Vec<_>>(), [&token_key(&[3; 16])]);
    }

    #[test]
    fn what_was_decided_in_another_term_is_void() {
        let put = Command::PutBlob { key: "key".to_owned(), bytes: Bytes::from_static(b"value") };
        let decided = |term| put.clone().decided_in(term);
        let before = State::default();
        assert_eq!(before.after(decided(3), 4, 10), before);
        assert_eq!(before.after(decided(4), 4, 10), before.after(put.clone(), 4, 10));
        assert_eq!(before.after(decided(4).decided_in(4), 4, 10), before, "none holds another");
    }
}
