//! A plan as it is agreed on, with those that follow it.

use sluice_plan::{NodePlan, Schema};
use sluice_raft::{Bytes, ClassKey, Plan};

use super::Planned;

/// A plan with the number of its encoding, and what takes its place, and when, in Unix milliseconds.
pub struct Encoded {
    pub schema: u32,
    pub plan: Plan,
    pub next: Vec<(i64, Plan)>,
}

impl Encoded {
    pub fn new(schema: Schema, plan: &NodePlan, next: impl Iterator<Item = (i64, NodePlan)>) -> Encoded {
        let encode = |plan: &NodePlan| {
            let bytes = Bytes::from(plan.encode_as(schema));
            Plan { sets: plan.sets.clone(), ..Plan::new(bytes) }
        };
        let next = next.map(|(at, plan)| (at, encode(&plan))).collect();
        Encoded { schema: schema.number(), plan: encode(plan), next }
    }
}

impl Planned {
    /// Each of those that follow is of a class of its own, which no node has.
    pub(super) fn put(&mut self, key: &ClassKey, encoded: &Encoded) {
        let Encoded { schema, plan, next } = encoded;
        self.put_plan(key.clone(), plan, *schema);
        let mut named = Vec::new();
        for (at, next) in next {
            let key = ClassKey(format!("{}-until-{at}", key.0));
            self.put_plan(key.clone(), next, *schema);
            named.push((*at, key));
        }
        if !named.is_empty() {
            self.successors.set(plan.hash, named);
        }
    }

    fn put_plan(&mut self, key: ClassKey, plan: &Plan, schema: u32) {
        self.schemas.set(plan.hash, schema);
        self.class_sets.insert(key.clone(), plan.sets.clone());
        self.classes.insert(key, plan.bytes.clone());
    }
}
