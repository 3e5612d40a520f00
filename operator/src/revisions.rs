//! The last versions of each filter with a rollout, as they were written: agreed on with the plans that first had them.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sluice_index::{Held, Index, Object, ObjectKey};
use sluice_raft::{Bytes, State};

/// Of each filter.
const KEPT: usize = 10;
const PREFIX: &str = "revision/";

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Revision {
    pub generation: i64,
    /// When it was first planned for, in Unix milliseconds.
    pub at: i64,
    pub spec: Value,
}

/// Those that go out and are not agreed on yet.
pub fn new(index: &Index, agreed: &State, now: i64) -> BTreeMap<String, Bytes> {
    let going = index.state().held.iter().filter_map(|(key, held)| {
        let blob = format!("{PREFIX}{}/{:020}", held.uid, held.rolling.as_ref()?.to?);
        (!agreed.blobs.contains_key(&blob)).then_some((blob, key, held))
    });
    let encoded = |revision: &Revision| serde_json::to_vec(revision).expect("a spec has string keys only");
    let new = going.filter_map(|(blob, key, held)| Some((blob, revision(index, key, held, now)?)));
    new.map(|(blob, revision)| (blob, Bytes::from(encoded(&revision)))).collect()
}

/// Keys of those that there are too many of, or whose filter is gone.
pub fn outdated(index: &Index, agreed: &State) -> Vec<String> {
    let uids: BTreeSet<&str> = index.state().held.values().map(|held| held.uid.as_str()).collect();
    let mut by_uid: BTreeMap<&str, Vec<&String>> = BTreeMap::new();
    for (key, _) in beginning_with(agreed, PREFIX) {
        if let Some((uid, _)) = key[PREFIX.len()..].rsplit_once('/') {
            by_uid.entry(uid).or_default().push(key);
        }
    }
    let outdated = by_uid.into_iter().flat_map(|(uid, keys)| {
        let kept = if uids.contains(uid) { KEPT } else { 0 };
        let count = keys.len().saturating_sub(kept);
        keys.into_iter().take(count).cloned()
    });
    outdated.collect()
}

/// The oldest first.
pub fn of(agreed: &State, uid: &str) -> Vec<Revision> {
    let first = format!("{PREFIX}{uid}/");
    let of_filter = beginning_with(agreed, &first);
    of_filter.filter_map(|(_, bytes)| serde_json::from_slice(bytes).ok()).collect()
}

fn beginning_with<'a>(agreed: &'a State, first: &'a str) -> impl Iterator<Item = (&'a String, &'a Bytes)> {
    agreed.blobs.range(first.to_owned()..).take_while(move |(key, _)| key.starts_with(first))
}

fn revision(index: &Index, key: &ObjectKey, held: &Held, at: i64) -> Option<Revision> {
    let generation = held.rolling.as_ref()?.to?;
    let Object::Filter(filter) = index.object(key)? else { return None };
    // What is written now may be a later version that is refused.
    if held.generation != generation || !held.refusals.is_empty() {
        return None;
    }
    let spec = serde_json::to_value(&filter.spec).expect("a spec has string keys only");
    Some(Revision { generation, at, spec })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;
    use sluice_crds::Kind;
    use sluice_index::Desired;

    use super::*;

    fn save(index: &mut Index, generation: i64, cidr: &str) {
        let object = json!({
            "apiVersion": "sluice.dev/v1alpha1", "kind": "XdpFilter",
            "metadata": {"name": "edge", "uid": "u", "generation": generation},
            "spec": {
                "interfaces": {"names": ["eth0"]}, "rollout": {},
                "rules": [{"name": "bad", "action": "Drop", "match": {"sources": {"cidrs": [cidr]}}}],
            },
        });
        let filter = serde_json::from_value(object).expect("a filter");
        let objects =
            [(ObjectKey::new(Kind::XdpFilter, "", "edge"), Arc::new(Object::Filter(filter)))].into();
        index.update(Arc::new(Desired { synced: true, objects, ..Desired::default() }));
        index.begin_rollouts(0);
    }

    fn keep(index: &Index, agreed: &mut State, now: i64) {
        let blobs = Arc::make_mut(&mut agreed.blobs);
        blobs.extend(new(index, &State { blobs: Arc::new(blobs.clone()), ..State::default() }, now));
        outdated(index, agreed).iter().for_each(|key| _ = Arc::make_mut(&mut agreed.blobs).remove(key));
    }

    #[test]
    fn the_last_ten_that_went_out_are_kept_as_long_as_their_filter() {
        let (mut index, mut agreed) = (Index::default(), State::default());
        for generation in 1..=12 {
            save(&mut index, generation, &format!("192.0.2.{generation}/32"));
            keep(&index, &mut agreed, generation);
            keep(&index, &mut agreed, 100);
        }
        save(&mut index, 13, "192.0.2.1/24");
        keep(&index, &mut agreed, 13);
        let kept = of(&agreed, "u");
        let found: Vec<(i64, i64)> = kept.iter().map(|one| (one.generation, one.at)).collect();
        assert_eq!(found, (3..=12).map(|generation| (generation, generation)).collect::<Vec<_>>());
        assert_eq!(kept[9].spec["rules"][0]["match"]["sources"]["cidrs"][0], "192.0.2.12/32");
        keep(&Index::default(), &mut agreed, 14);
        assert!(of(&agreed, "u").is_empty());
    }
}
