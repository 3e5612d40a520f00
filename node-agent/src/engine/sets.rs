//! The address sets of a plan: from manifests and shards on disk to sets in the kernel.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sluice_address_set::{AddressSet, Manifest};
use sluice_client::Update;
use sluice_datapath::{Datapath, KernelSet, KernelSets, Problem};
use sluice_plan::{Hash, NodePlan};
use sluice_proto::SET;
use sluice_store::Store;

use super::apply::problem;

/// Encoded manifest of each address set, by name.
pub type Manifests = BTreeMap<String, Vec<u8>>;

/// Those that are wanted after an update, which names what changed.
pub fn after(update: &Update, before: &Manifests) -> Manifests {
    let mut manifests = before.clone();
    for name in update.removed.iter().filter_map(|key| key.strip_prefix(SET)) {
        manifests.remove(name);
    }
    let set = update.set.iter().filter_map(|(key, _, bytes)| Some((key.strip_prefix(SET)?, bytes)));
    manifests.extend(set.map(|(name, bytes)| (name.to_owned(), bytes.to_vec())));
    manifests
}

/// Those that a plan names: an update to a node that holds nothing does not say what is no longer wanted.
pub fn of_plan(mut manifests: Manifests, plan: &NodePlan) -> Manifests {
    manifests.retain(|name, _| plan.sets.contains(name));
    manifests
}

/// Name and hash of those that `wanted` has otherwise than `before`.
pub fn changed(wanted: &Manifests, before: &Manifests) -> Vec<(String, Hash)> {
    let changed = wanted.iter().filter(|(name, bytes)| before.get(*name) != Some(*bytes));
    changed.map(|(name, bytes)| (name.clone(), Hash::of(bytes))).collect()
}

/// The shards that they are made of.
pub fn shards(manifests: &Manifests) -> BTreeSet<Hash> {
    let manifests = manifests.values().filter_map(|bytes| Manifest::decode(bytes).ok());
    manifests.flat_map(|manifest| manifest.shards).collect()
}

/// Refuses sets that together are more than this node takes, before any of them is made.
pub fn check_room(plan: &NodePlan, manifests: &Manifests, limit: u64) -> Result<(), Problem> {
    let named = plan.sets.iter().filter_map(|name| manifests.get(name));
    let total: u64 = named.filter_map(|bytes| Manifest::decode(bytes).ok()).map(|set| set.weight()).sum();
    if total <= limit {
        return Ok(());
    }
    let detail = format!(
        "the plan's address sets have {total} prefixes (IPv6 ones counted six times), and this node takes {limit}: \
         shorten lists, or give its agent more memory"
    );
    Err(problem(sluice_datapath::reason::TOO_MANY_PREFIXES, detail))
}

/// Makes those sets of the plan that are not in the kernel yet, or with other contents, and offers them to the data plane.
/// `before` are the manifests of the sets in force.
pub fn offer(
    datapath: &mut Datapath,
    store: &Store,
    plan: &NodePlan,
    manifests: &Manifests,
    before: &Manifests,
) -> Result<(), Problem> {
    let mut offered = KernelSets::new();
    for name in &plan.sets {
        // The data plane says what it misses.
        let Some(bytes) = manifests.get(name) else { continue };
        let hash = Hash::of(bytes);
        if datapath.sets().get(name).is_some_and(|set| set.hash() == hash) {
            continue;
        }
        let former = datapath.sets().get(name).zip(before.get(name));
        let former = former.filter(|(set, bytes)| set.hash() == Hash::of(bytes));
        let _making = tracing::info_span!("make-set", name).entered();
        let contents = read(store, bytes, former.map(|(set, bytes)| (set.contents(), bytes)))
            .map_err(|detail| problem("InvalidSet", format!("address set {name}: {detail}")))?;
        let set = KernelSet::make(hash, contents).map_err(|error| Problem::from(&error))?;
        offered.insert(name.clone(), Arc::new(set));
    }
    datapath.offer_sets(offered);
    Ok(())
}

/// `former` is what the set is now, with its manifest: then only shards that differ are read.
fn read(
    store: &Store,
    manifest: &[u8],
    former: Option<(&AddressSet, &Vec<u8>)>,
) -> Result<AddressSet, String> {
    let manifest = Manifest::decode(manifest).map_err(|error| error.to_string())?;
    let shard = |hash: Hash| store.shards(&[hash]).ok()?.pop()?;
    if let Some((contents, bytes)) = former
        && let Ok(from) = Manifest::decode(bytes)
        && let Ok(followed) = contents.follow(&from, &manifest, shard)
    {
        return Ok(followed);
    }
    let found = store.shards(&manifest.shards).map_err(|error| error.to_string())?;
    let shards: BTreeMap<_, _> = manifest.shards.iter().copied().zip(found).collect();
    let set = AddressSet::from_shards(&manifest, |hash| shards.get(&hash).cloned().flatten());
    set.map_err(|error| error.to_string())
}
