//! What the nodes say to filters that are on their way.

use std::collections::BTreeMap;

use sluice_index::{Assigned, Held, Rolling};
use sluice_rollout::{Phase, Seen};
use sluice_status::{Book, Expected, PolicyState, RollingFacts, seen};

use crate::planner::{Planned, Shortfall};

/// By uid of each filter that is on its way, what every node is to have of it.
#[derive(Debug, Default)]
pub struct Due(BTreeMap<String, Vec<(Expected, Assigned)>>);

impl Due {
    pub fn of(planned: &Planned) -> Due {
        let expected = |uid: &str, node: &String, assigned: &Assigned| Expected {
            node: node.clone(),
            plan: planned.hash_of(node).unwrap_or_default(),
            generation: assigned.generation,
            withheld: planned.shortfalls.get(node).and_then(|shortfall: &Shortfall| shortfall.of(uid)),
        };
        let all = planned.snapshot.rolling.iter().map(|(uid, nodes)| {
            let nodes =
                nodes.iter().map(|(node, assigned)| (expected(uid, node, assigned), assigned.clone()));
            (uid.clone(), nodes.collect())
        });
        Due(all.collect())
    }

    pub fn seen(&self, book: &Book, now: i64) -> BTreeMap<String, Vec<Seen<'_>>> {
        let mut all = BTreeMap::new();
        for (uid, nodes) in &self.0 {
            let heard = nodes.iter().filter_map(|(expected, assigned)| {
                let node = book.nodes().get(&expected.node)?;
                Some(seen(uid, expected, assigned, node, now))
            });
            all.insert(uid.clone(), heard.collect());
        }
        all
    }
}

/// For the status of an object.
pub fn facts(held: &Held, seen: &[Seen], state: &PolicyState) -> Option<RollingFacts> {
    let rolling: &Rolling = held.rolling.as_ref()?;
    let mut standing = rolling.standing(&held.uid, seen);
    if standing.phase == Phase::Done {
        standing.updated = (state.programmed as usize, state.desired as usize);
    }
    Some(RollingFacts {
        standing,
        misordered: held.ordered().and_then(Result::err),
        max_unreachable: rolling.max_unreachable(),
    })
}
