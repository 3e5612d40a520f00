//! A filter with a rollout on its way to the nodes: which of them have the newest version, and what the others have.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sluice_policy::{Filter, ObjectRef, Rollout, Share};
use sluice_rollout::{Going, OrderedFor, Phase, Progress, Reach, Seen, Standing, Word};

use crate::class::KnownNode;
use crate::held::Held;

/// Generations count from 1.
const NO_GENERATION: i64 = 0;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rolling {
    /// Generation of the version that goes out; none once the object is gone.
    pub to: Option<i64>,
    pub progress: Progress,
    pub(crate) rollout: Rollout,
    /// What nodes have that it does not reach; none if there was nothing before.
    pub(crate) former: Option<Box<Filter>>,
}

impl Rolling {
    /// Of an object that takes the place of another of its name: until its own version reaches a node, that keeps the
    /// other's.
    pub(crate) fn in_place_of(former: &Filter, uid: &str) -> Option<Rolling> {
        let object = ObjectRef { uid: uid.to_owned(), ..former.object.clone() };
        Some(Rolling {
            to: Some(NO_GENERATION),
            progress: Progress {
                phase: Phase::RolledBack(None),
                reach: Reach::default(),
                ..Progress::done()
            },
            rollout: former.rollout.clone()?,
            former: Some(Box::new(Filter { object, ..former.clone() })),
        })
    }

    /// How far the version has come, by what nodes say.
    pub fn standing(&self, uid: &str, seen: &[Seen]) -> Standing {
        self.going(uid, None).standing(&self.progress, seen)
    }

    /// Which wave will draw a node in, counted from 1, and how many there are; none where that is not to be said.
    pub fn wave_of(&self, uid: &str, seen: &[Seen], node: &str) -> Option<(usize, usize)> {
        let goes_on = !matches!(self.progress.phase, Phase::RolledBack(_) | Phase::Done);
        goes_on.then(|| self.going(uid, None).wave_of(&self.progress, seen, node)).flatten()
    }

    /// Nodes that may be silent.
    pub fn max_unreachable(&self) -> Share {
        self.rollout.max_unreachable
    }

    fn going<'a>(&'a self, policy: &'a str, order: Option<OrderedFor>) -> Going<'a> {
        let order = order.filter(|order| Some(order.generation) == self.to).map(|order| order.order);
        Going { rollout: &self.rollout, policy, is_new: self.former.is_none(), order }
    }
}

impl Held {
    /// The version that is, or goes on being, in force on all nodes that no newer one reaches.
    pub(crate) fn settled(&self) -> Option<&Filter> {
        match &self.rolling {
            Some(rolling) if rolling.progress.phase != Phase::Done => rolling.former.as_deref(),
            _ => self.filter_in_force(),
        }
    }

    /// What an abort brings back.
    pub(crate) fn former(&self) -> Option<&Filter> {
        self.rolling.as_ref()?.former.as_deref()
    }

    /// Whether it stays in force without its object, until waves have taken it off all nodes.
    pub(crate) fn leaves_in_waves(&self) -> bool {
        self.filter_in_force().is_some_and(|filter| filter.rollout.is_some())
    }

    pub(crate) fn has_left(&self) -> bool {
        self.gone && self.rolling.as_ref().is_none_or(|rolling| rolling.progress.phase == Phase::Done)
    }

    /// What the annotation of the object says, or what is wrong with it.
    pub fn ordered(&self) -> Option<Result<OrderedFor, String>> {
        self.order.as_ref().map(|text| text.parse())
    }

    /// The rollout of the version that may be in force now: a new one where that is new. `newest` is none once the object
    /// is gone.
    pub(crate) fn rolling_to(
        &self,
        newest: Option<&Filter>,
        nodes: &[KnownNode],
        now: i64,
    ) -> Option<Rolling> {
        let to = newest.map(|filter| filter.object.generation);
        let planned = self.filter_in_force();
        let rollout = newest.or(planned)?.rollout.clone()?;
        // Without the object there is nobody to promote what was taken back.
        let rollout = Rollout { auto_rollback: rollout.auto_rollback && to.is_some(), ..rollout };
        match &self.rolling {
            Some(rolling) if rolling.to == to => return Some(rolling.clone()),
            // Only how it goes out has changed.
            Some(rolling) if rolling.is_under_way() && is_same(newest, planned) => {
                return Some(Rolling { to, rollout, ..rolling.clone() });
            }
            _ => {}
        }
        let former = self.settled();
        let mut rolling =
            Rolling { to, progress: Progress::done(), rollout, former: former.cloned().map(Box::new) };
        if !is_same(newest, former) {
            let either = || newest.into_iter().chain(former);
            let concerned = nodes.iter().filter(|node| either().any(|one| one.nodes.matches(node.labels)));
            let seen: Vec<Seen> = concerned.map(|node| unheard(node, &rolling.rollout)).collect();
            rolling.progress = rolling.going(&self.uid, None).begin(&seen, now);
        }
        Some(rolling)
    }

    /// Takes the rollout on, or back. True if it moved.
    pub(crate) fn observe(&mut self, seen: &[Seen], now: i64) -> bool {
        let order = self.ordered().and_then(Result::ok);
        let Some(rolling) = &mut self.rolling else { return false };
        let next = rolling.going(&self.uid, order).step(&rolling.progress, seen, now);
        let moved = next != rolling.progress;
        rolling.progress = next;
        moved
    }

    /// When its hold is over, in Unix milliseconds.
    pub(crate) fn holds_until(&self) -> Option<i64> {
        let rolling = self.rolling.as_ref()?;
        rolling.going(&self.uid, None).holds_until(&rolling.progress)
    }
}

impl Rolling {
    fn is_under_way(&self) -> bool {
        self.to.is_some() && !matches!(self.progress.phase, Phase::RolledBack(_))
    }
}

fn unheard<'a>(node: &KnownNode<'a>, rollout: &Rollout) -> Seen<'a> {
    Seen {
        name: node.name,
        canary: is_canary(rollout, node.labels),
        word: Word::Pending,
        packets: None,
        ns_per_packet: None,
    }
}

/// Whether they do the same, however they go out.
fn is_same(one: Option<&Filter>, other: Option<&Filter>) -> bool {
    let bare = |filter: &Filter| Filter { object: ObjectRef::default(), rollout: None, ..filter.clone() };
    one.map(bare) == other.map(bare)
}

fn is_canary(rollout: &Rollout, labels: &BTreeMap<String, String>) -> bool {
    rollout.canary.as_ref().is_some_and(|canary| canary.matches(labels))
}

/// What a node is to have of a filter that rolls out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assigned {
    /// None: nothing of it.
    pub generation: Option<i64>,
    pub canary: bool,
}

/// The versions of one filter that nodes are to have.
#[derive(Clone, Debug)]
pub(crate) enum Versions<'a> {
    /// One for all.
    One(Arc<Filter>),
    Two {
        uid: &'a str,
        newest: Option<Arc<Filter>>,
        former: Option<Arc<Filter>>,
        rolling: &'a Rolling,
    },
}

impl<'a> Versions<'a> {
    /// `newest` is none once the object is gone.
    pub fn of(held: &'a Held, newest: Option<&Filter>) -> Option<Versions<'a>> {
        let shared = |filter: &Filter| Arc::new(filter.clone());
        match &held.rolling {
            Some(rolling) if rolling.progress.phase != Phase::Done => Some(Versions::Two {
                uid: &held.uid,
                newest: newest.map(shared),
                former: rolling.former.as_deref().map(shared),
                rolling,
            }),
            _ => newest.map(shared).map(Versions::One),
        }
    }

    /// The version that all nodes are to have in the end.
    pub fn aim(&self) -> Option<&Arc<Filter>> {
        match self {
            Versions::One(filter) => Some(filter),
            Versions::Two { former, rolling, .. }
                if matches!(rolling.progress.phase, Phase::RolledBack(_)) =>
            {
                former.as_ref()
            }
            Versions::Two { newest, former, .. } => newest.as_ref().or(former.as_ref()),
        }
    }

    /// The version that a node is to have at `now`, and whether it is the former. One that has ended is none.
    pub fn on(&self, node: &KnownNode, now: i64) -> Option<(&Arc<Filter>, bool)> {
        let (filter, is_former) = match self {
            Versions::One(filter) => (filter, false),
            Versions::Two { uid, newest, former, rolling } => {
                let canary = is_canary(&rolling.rollout, node.labels);
                match rolling.progress.reach.covers(uid, node.name, canary) {
                    true => (newest.as_ref()?, false),
                    false => (former.as_ref()?, true),
                }
            }
        };
        let selects = filter.nodes.matches(node.labels) && !filter.has_ended(now);
        selects.then_some((filter, is_former))
    }

    /// With the uid, if it rolls out and either version selects the node.
    pub fn assigned(&self, node: &KnownNode, now: i64) -> Option<(&'a str, Assigned)> {
        let Versions::Two { uid, newest, former, rolling } = self else { return None };
        let selects = |filter: &Arc<Filter>| filter.nodes.matches(node.labels);
        newest.iter().chain(former).any(selects).then(|| {
            let generation = self.on(node, now).map(|(filter, _)| filter.object.generation);
            (*uid, Assigned { generation, canary: is_canary(&rolling.rollout, node.labels) })
        })
    }
}
