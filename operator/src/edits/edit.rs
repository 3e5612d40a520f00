//! A new version of one object, on its way.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use sluice_crds::{Kind, reason};
use sluice_index::{Class, Held, Object, ObjectKey};
use sluice_status::{Placed, PolicyState};
use sluice_telemetry::Root;
use tokio::time::Instant;
use tracing::Span;

/// A new version of an object.
#[derive(Debug)]
pub struct Edit {
    pub key: ObjectKey,
    pub uid: String,
    pub generation: i64,
    /// By the checks that need no other object.
    pub refused: bool,
    pub began: Instant,
    /// None where nothing is traced.
    pub root: Option<Root>,
    /// The step that is open while nobody works at it.
    waits: Mutex<Option<Span>>,
    ended: AtomicBool,
}

/// What came of the newest version of an object, once that is known.
pub fn outcome(placed: &Placed, state: &PolicyState) -> Option<Result<(), String>> {
    if let Some((why, message)) = placed.refusal.as_ref().filter(|(why, _)| why != reason::MASS_DELETION) {
        return Some(Err(format!("{why}: {message}")));
    }
    if state.programmed == state.desired {
        return Some(Ok(()));
    }
    let (node, why, message) = state.failing.first()?;
    let all_said = state.programmed + state.rejected + state.unreachable == state.desired;
    all_said.then(|| Err(format!("{node}: {why}: {message}")))
}

impl Edit {
    pub fn new(key: &ObjectKey, held: &Held, root: Option<Root>) -> Edit {
        Edit {
            key: key.clone(),
            uid: held.uid.clone(),
            generation: held.generation,
            refused: !held.refusals.is_empty(),
            began: Instant::now(),
            root,
            waits: Mutex::default(),
            ended: AtomicBool::default(),
        }
    }

    /// Whether nodes of the class are to have its object.
    pub fn is_in(&self, class: &Class) -> bool {
        let filters = class.filters.iter().map(|filter| &filter.object.uid);
        let balancers = class.balancers.iter().map(|chosen| &chosen.balancer.object.uid);
        let is_set = self.key.kind == Kind::XdpAddressSet.name();
        let mut sets = class.filters.iter().flat_map(|filter| filter.sets());
        filters.chain(balancers).any(|uid| *uid == self.uid)
            || is_set && sets.any(|set| *set == self.key.name)
    }

    pub fn step(&self, name: &'static str) -> Span {
        self.root.as_ref().map_or_else(Span::none, |root| root.step(name))
    }

    /// Opens a step that is over when the edit goes on.
    pub fn wait(&self, name: &'static str) {
        self.set_wait(Some(self.step(name)));
    }

    pub fn go_on(&self) {
        self.set_wait(None);
    }

    fn set_wait(&self, step: Option<Span>) {
        // No code that can panic runs under the lock.
        *self.waits.lock().unwrap_or_else(PoisonError::into_inner) = step;
    }

    /// With the reason why it came to nothing, if it did.
    pub fn end(&self, failure: Option<&str>) {
        self.go_on();
        if !self.ended.swap(true, Ordering::Relaxed)
            && let Some(root) = &self.root
        {
            root.end(failure);
        }
    }

    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }
}

/// The trace of an edit; none where nothing is traced.
pub fn begin(key: &ObjectKey, held: &Held, object: Option<&Object>) -> Option<Root> {
    let attributes = vec![
        Root::attribute("sluice.object", key),
        Root::attribute("sluice.uid", &held.uid),
        Root::attribute("sluice.generation", held.generation),
    ];
    let now = SystemTime::now();
    // The API server's clock is another machine's.
    let since = object.and_then(edited_at).filter(|since| *since < now).unwrap_or(now);
    Root::begin(since, attributes)
}

/// When its spec was edited last, as the API server noted; a directory notes nothing.
fn edited_at(object: &Object) -> Option<SystemTime> {
    let metadata = match object {
        Object::Filter(filter) => &filter.metadata,
        Object::Balancer(balancer) => &balancer.metadata,
        Object::Set(set) => &set.metadata,
    };
    let of_spec = metadata.managed_fields.iter().flatten().filter(|entry| entry.subresource.is_none());
    let last = of_spec.filter_map(|entry| entry.time.as_ref()).map(|time| time.0).max()?;
    Some(SystemTime::from(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_is_known_once_all_nodes_have_said_theirs() {
        let placed = Placed::default();
        let state = |desired, programmed, rejected| {
            let failing = vec![("a".to_owned(), "Why".to_owned(), "because".to_owned()); rejected as usize];
            PolicyState { desired, programmed, rejected, failing, ..PolicyState::default() }
        };
        assert_eq!(outcome(&placed, &state(2, 1, 0)), None);
        assert_eq!(outcome(&placed, &state(2, 0, 1)), None);
        assert_eq!(outcome(&placed, &state(2, 2, 0)), Some(Ok(())));
        assert_eq!(outcome(&placed, &state(0, 0, 0)), Some(Ok(())), "no node is to have it");
        assert_eq!(outcome(&placed, &state(2, 1, 1)), Some(Err("a: Why: because".to_owned())));
        let refused =
            |why: &str| Placed { refusal: Some((why.to_owned(), "x".to_owned())), ..Placed::default() };
        assert_eq!(outcome(&refused("Invalid"), &state(2, 2, 0)), Some(Err("Invalid: x".to_owned())));
        assert_eq!(outcome(&refused(reason::MASS_DELETION), &state(2, 2, 0)), Some(Ok(())), "it is in force");
    }
}
