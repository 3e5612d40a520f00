//! Each class's plan, and which of its nodes get it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use sluice_compile::{BalancerInput, ClassInput, CompileError, compile};
use sluice_index::{Capabilities, Class, Snapshot};
use sluice_plan::{Hash, NodePlan, Schema};
use sluice_raft::{ClassKey, State};

use super::encoded::Encoded;
use super::ends::ends;
use super::fit::{Lack, Shortfall, lack, weight};
use super::{AllRings, Planned};

/// Of nodes that are sent nothing: no plan has this key.
const AS_THEY_ARE: &str = "as-they-are";

pub struct Planner<'a> {
    pub snapshot: &'a Snapshot,
    pub agreed: &'a State,
    pub unhealthy: &'a BTreeMap<String, BTreeSet<IpAddr>>,
    pub rings: &'a AllRings,
    pub planned: Planned,
}

impl Planner<'_> {
    /// Compiles once for the class, and once more for each kind of node that cannot take all of it; encodes once for each
    /// encoding that some node of it needs.
    pub fn class(&mut self, key: &str, class: &Class) {
        let mut kinds = BTreeMap::<Capabilities, Vec<&String>>::new();
        for node in &class.nodes {
            kinds.entry(self.takes(node)).or_default().push(node);
        }
        let all = self.compile(class);
        let mut whole = BTreeMap::new();
        for (takes, nodes) in kinds {
            match self.first_lack(class, &all, &takes) {
                (Some(plan), None) => {
                    let encoded =
                        whole.entry(takes.schema).or_insert_with(|| self.encode(class, plan, takes.schema));
                    let key = class_key(key, takes.schema);
                    nodes.iter().for_each(|node| self.assign(node, &key, encoded));
                }
                _ => self.fit(key, class, &takes, &nodes),
            }
        }
    }

    /// What no node or such nodes cannot take is left out where no earlier version of it can be in force; a node where one
    /// may be keeps its last good plan as a whole.
    fn fit(&mut self, key: &str, class: &Class, takes: &Capabilities, nodes: &[&String]) {
        let (less, lacks) = self.without(class, takes);
        let left_out: Vec<&str> = lacks.iter().map(|lack| lack.uid.as_str()).collect();
        let key = format!("{key}-without-{}", Hash::of(left_out.join(" ").as_bytes()).short());
        let key = class_key(&key, takes.schema);
        let less = less.map(|(class, plan)| self.encode(&class, &plan, takes.schema));
        let lacks: Arc<[Lack]> = lacks.into();
        let mut known = BTreeMap::new();
        for &node in nodes {
            let less = less.as_ref().filter(|_| !self.may_have(node, &lacks, &mut known));
            match less {
                Some(less) => self.assign(node, &key, less),
                None => self.keep(node),
            }
            let shortfall = Shortfall { lacks: lacks.clone(), stays: less.is_none() };
            self.planned.shortfalls.insert(node.clone(), shortfall);
        }
    }

    /// As much of a class as such nodes can take, its plan, and what is left out of it. What does not compile is refused for
    /// every node.
    fn without(&mut self, class: &Class, takes: &Capabilities) -> (Option<(Class, NodePlan)>, Vec<Lack>) {
        let (mut class, mut lacks) = (class.clone(), Vec::new());
        loop {
            let compiled = self.compile(&class);
            let lack = match self.first_lack(&class, &compiled, takes) {
                (plan, None) => return (plan.map(|plan| (class.clone(), plan.clone())), lacks),
                (_, Some(lack)) => lack,
            };
            if compiled.is_err() {
                let words = (lack.reason.to_owned(), lack.message.clone());
                self.planned.refusals.insert(lack.uid.clone(), words);
            }
            let others = class.filters.len() + class.balancers.len();
            class.filters.retain(|filter| filter.object.uid != lack.uid);
            class.balancers.retain(|chosen| chosen.balancer.object.uid != lack.uid);
            lacks.push(lack);
            if class.filters.len() + class.balancers.len() == others {
                return (None, lacks);
            }
        }
    }

    /// The plan, if it compiled, and the first object that is too much.
    fn first_lack<'p>(
        &self,
        class: &Class,
        compiled: &'p Result<NodePlan, CompileError>,
        takes: &Capabilities,
    ) -> (Option<&'p NodePlan>, Option<Lack>) {
        match compiled {
            Ok(plan) => (Some(plan), lack(class, plan, &self.snapshot.sets, takes)),
            Err(error) => (None, Some(error.into())),
        }
    }

    /// Whether the node's last good plan may have any version of these. `known` are plans that were asked before.
    fn may_have(&self, node: &str, lacks: &[Lack], known: &mut BTreeMap<Hash, bool>) -> bool {
        let Some(key) = self.agreed.node_class.get(node) else { return false };
        let Some(plan) = self.agreed.classes.get(key) else { return true };
        *known.entry(plan.hash).or_insert_with(|| {
            let schema = Schema::numbered(self.agreed.schema_of(plan));
            schema.and_then(|schema| NodePlan::decode(schema, &plan.bytes).ok()).is_none_or(|plan| {
                let filters = plan.filters.parts.iter().map(|part| &part.policy.uid);
                let mut all = filters.chain(plan.balancers.parts.iter().map(|part| &part.policy.uid));
                all.any(|uid| lacks.iter().any(|lack| lack.uid == *uid))
            })
        })
    }

    /// On its last good plan; its sets change on, as long as the node has room for them. One that never had any plan stays
    /// without.
    fn keep(&mut self, node: &str) {
        let Some(key) = self.agreed.node_class.get(node) else { return };
        let succession = |plan| self.agreed.succession(plan, self.snapshot.now);
        match self.agreed.classes.get(key).map(succession) {
            Some((plan, next))
                if weight(&plan.sets, &self.snapshot.sets) <= self.takes(node).set_prefixes =>
            {
                let key = ClassKey(format!("kept-{}", plan.hash.short()));
                let next = next.into_iter().map(|(at, plan)| (at, plan.clone())).collect();
                let kept = Encoded { schema: self.agreed.schema_of(plan), plan: plan.clone(), next };
                self.assign(node, &key, &kept);
            }
            _ => {
                self.planned.node_class.insert(node.to_owned(), AS_THEY_ARE.into());
            }
        }
    }

    fn assign(&mut self, node: &str, key: &ClassKey, encoded: &Encoded) {
        self.planned.node_class.insert(node.to_owned(), key.clone());
        if self.planned.hashes.insert(key.clone(), encoded.plan.hash).is_none() {
            self.planned.put(key, encoded);
        }
    }

    fn encode(&self, class: &Class, plan: &NodePlan, schema: Schema) -> Encoded {
        let next = ends(class, self.snapshot.now);
        Encoded::new(schema, plan, next.map_while(|(at, rest)| Some((at, self.compile(&rest).ok()?))))
    }

    fn takes(&self, node: &str) -> Capabilities {
        self.snapshot.capabilities.get(node).copied().unwrap_or_default()
    }

    fn compile(&self, class: &Class) -> Result<NodePlan, CompileError> {
        compile(&input(self.snapshot, class, self.rings, self.unhealthy))
    }
}

/// Nodes that read an older encoding are a class of their own.
fn class_key(key: &str, schema: Schema) -> ClassKey {
    match schema {
        Schema::NEWEST => ClassKey(key.to_owned()),
        older => ClassKey(format!("{key}-in-{older}")),
    }
}

fn input<'a>(
    snapshot: &'a Snapshot,
    class: &'a Class,
    rings: &'a AllRings,
    unhealthy: &BTreeMap<String, BTreeSet<IpAddr>>,
) -> ClassInput<'a> {
    let balancer = |chosen: &'a sluice_index::ClassBalancer| {
        let uid = &chosen.balancer.object.uid;
        BalancerInput {
            balancer: chosen.balancer.as_ref(),
            balances: chosen.balances,
            rings: rings.get(uid).expect("rings were made for every balancer of the snapshot"),
            unhealthy: unhealthy.get(uid).cloned().unwrap_or_default(),
        }
    };
    let nodes =
        class.balancers.iter().filter_map(|chosen| snapshot.balancer_nodes.get(&chosen.balancer.object.uid));
    ClassInput {
        filters: class.filters.iter().map(AsRef::as_ref).collect(),
        balancers: class.balancers.iter().map(balancer).collect(),
        failsafe: snapshot.fleet.failsafe.clone(),
        balancer_nodes: nodes.flatten().copied().collect(),
    }
}
