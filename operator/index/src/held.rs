//! One object as the index holds it: the last good policy and what is wrong with the newest version, if anything.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};
use sluice_admit::Claim;
use sluice_plan::Hash;
use sluice_policy::{Balancer, Filter, ObjectRef, SetDefinition};
use sluice_rollout::ANNOTATION;

use crate::desired::{Object, ObjectKey};
use crate::rolling::Rolling;

/// An admitted object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Policy {
    Filter(Filter),
    Balancer(Balancer),
    Set(SetDefinition),
}

impl Policy {
    pub fn object(&self) -> &ObjectRef {
        match self {
            Policy::Filter(filter) => &filter.object,
            Policy::Balancer(balancer) => &balancer.object,
            Policy::Set(set) => &set.object,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    pub uid: String,
    /// Newest generation that was looked at, good or not.
    pub generation: i64,
    /// With which update it came, counted from 1: its age where the source has no creation times.
    #[serde(default)]
    pub since: i64,
    /// Of the newest spec; tells a changed spec where the source has no generations of its own.
    pub spec: Hash,
    /// The newest version that is sound: what is in force, unless it is a balancer that may not have its addresses, or a
    /// filter whose sets are not there.
    pub good: Option<Policy>,
    /// Of a balancer, the version that was last planned for.
    #[serde(default)]
    pub in_force: Option<Balancer>,
    /// Of a filter.
    #[serde(default)]
    pub(crate) planned: Planned,
    /// Of a filter whose version in force goes out, or went out, in waves.
    #[serde(default)]
    pub rolling: Option<Rolling>,
    /// What the object's annotation wants of the rollout, as it stands there.
    #[serde(default)]
    pub order: Option<String>,
    /// The source no longer has it: a set that is in force as long as a filter uses it, or a filter until waves have taken
    /// it off all nodes.
    #[serde(default)]
    pub gone: bool,
    /// Why the newest generation is not in force; empty if it is.
    pub refusals: Vec<String>,
}

/// Which version of a filter was last planned for. Nearly always it is the newest, which is not stored twice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Planned {
    #[default]
    None,
    /// [`Held::good`].
    Newest,
    Earlier(Box<Filter>),
}

impl Held {
    /// Looks at a new version of an object. A refused one leaves the last good version in force.
    pub fn admit(previous: Option<Held>, key: &ObjectKey, object: &Object) -> Held {
        let spec = Hash::of(&spec_bytes(object));
        let (uid, generation) = identity(previous.as_ref(), key, object, spec);
        let replaced = previous.as_ref().filter(|held| held.uid != uid).and_then(Held::settled);
        let replaced = replaced.and_then(|former| Rolling::in_place_of(former, &uid));
        // An object that was deleted and made anew under the same name has nothing else to fall back on.
        let previous = previous.filter(|held| held.uid == uid);
        let since = previous.as_ref().map_or(0, |held| held.since);
        let (good, in_force, planned, rolling) = previous
            .map(|held| (held.good, held.in_force, held.planned, held.rolling))
            .unwrap_or((None, None, Planned::None, replaced));
        let (good, planned, refusals) = match admitted(object, &uid, generation) {
            Ok(policy) => {
                let planned = planned.behind(good, &policy);
                (Some(policy), planned, Vec::new())
            }
            Err(refusals) => (good, planned, refusals),
        };
        let order = metadata(object).annotations.as_ref().and_then(|all| all.get(ANNOTATION)).cloned();
        Held { uid, generation, since, spec, good, in_force, planned, rolling, order, gone: false, refusals }
    }

    /// The versions of a filter that may be in force somewhere.
    pub(crate) fn filters(&self) -> impl Iterator<Item = &Filter> {
        let good = self.good.as_ref().and_then(|good| match good {
            Policy::Filter(filter) => Some(filter),
            Policy::Balancer(_) | Policy::Set(_) => None,
        });
        [good, self.filter_in_force(), self.former()].into_iter().flatten()
    }

    /// The version that was last planned for, if it is a filter.
    pub(crate) fn filter_in_force(&self) -> Option<&Filter> {
        match (&self.planned, &self.good) {
            (Planned::Newest, Some(Policy::Filter(filter))) => Some(filter),
            (Planned::Earlier(filter), _) => Some(filter),
            _ => None,
        }
    }

    pub(crate) fn set_filter_in_force(&mut self, filter: &Filter) {
        self.planned = match &self.good {
            Some(Policy::Filter(newest)) if newest == filter => Planned::Newest,
            _ => Planned::Earlier(Box::new(filter.clone())),
        };
    }

    /// What it asks for, if it is a balancer.
    pub(crate) fn claim(&self) -> Option<Claim<'_>> {
        match &self.good {
            Some(Policy::Balancer(newest)) => Some(Claim { newest, in_force: self.in_force.as_ref() }),
            Some(Policy::Filter(_) | Policy::Set(_)) | None => None,
        }
    }

    /// Puts it among the others by age.
    pub(crate) fn came_with(mut self, update: i64) -> Held {
        if self.since == 0 {
            self.since = update;
        }
        if let Some(Policy::Balancer(balancer)) = &mut self.good
            && balancer.created == 0
        {
            balancer.created = self.since;
        }
        self
    }
}

impl Planned {
    /// Where a newer version takes the place of the good one.
    fn behind(self, good: Option<Policy>, newer: &Policy) -> Planned {
        match (self, good) {
            (Planned::Newest, Some(Policy::Filter(filter))) if !matches!(newer, Policy::Filter(new) if *new == filter) => {
                Planned::Earlier(Box::new(filter))
            }
            (planned, _) => planned,
        }
    }
}

fn admitted(object: &Object, uid: &str, generation: i64) -> Result<Policy, Vec<String>> {
    let lines = |refusals: Vec<sluice_admit::Refusal>| refusals.iter().map(ToString::to_string).collect();
    match object {
        Object::Filter(filter) => {
            let mut filter = filter.clone();
            filter.metadata.uid = Some(uid.to_owned());
            filter.metadata.generation = Some(generation);
            sluice_admit::admit_filter(&filter).map(Policy::Filter).map_err(lines)
        }
        Object::Balancer(balancer) => {
            let mut balancer = balancer.clone();
            balancer.metadata.uid = Some(uid.to_owned());
            balancer.metadata.generation = Some(generation);
            sluice_admit::admit_balancer(&balancer).map(Policy::Balancer).map_err(lines)
        }
        Object::Set(set) => {
            let mut set = set.clone();
            set.metadata.uid = Some(uid.to_owned());
            set.metadata.generation = Some(generation);
            sluice_admit::admit_address_set(&set).map(Policy::Set).map_err(lines)
        }
    }
}

/// An API server numbers its objects; a directory does not, so the uid follows from the name and the generation is
/// counted whenever the spec changes.
fn identity(previous: Option<&Held>, key: &ObjectKey, object: &Object, spec: Hash) -> (String, i64) {
    let ObjectMeta { uid, generation, .. } = metadata(object);
    if let (Some(uid), Some(generation)) = (uid, *generation) {
        return (uid.clone(), generation);
    }
    let uid = Hash::of(key.to_string().as_bytes()).to_hex()[..32].to_owned();
    let generation = match previous {
        Some(held) if held.spec == spec => held.generation,
        Some(held) => held.generation + 1,
        None => 1,
    };
    (uid, generation)
}

fn metadata(object: &Object) -> &ObjectMeta {
    match object {
        Object::Filter(filter) => &filter.metadata,
        Object::Balancer(balancer) => &balancer.metadata,
        Object::Set(set) => &set.metadata,
    }
}

fn spec_bytes(object: &Object) -> Vec<u8> {
    match object {
        Object::Filter(filter) => serde_json::to_vec(&filter.spec),
        Object::Balancer(balancer) => serde_json::to_vec(&balancer.spec),
        Object::Set(set) => serde_json::to_vec(&set.spec),
    }
    .expect("API types have string keys only, so they always serialise")
}
