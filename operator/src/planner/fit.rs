//! What a node cannot take of its class's plan, by its own words: known before anything is sent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sluice_compile::CompileError;
use sluice_crds::reason;
use sluice_index::{Capabilities, Class};
use sluice_plan::{NodePlan, Schema};
use sluice_policy::{Action, Filter, Hook, ObjectRef};
use sluice_sets::Contents;

/// Why a node's plan is not its class's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shortfall {
    /// What it cannot take, at least one.
    pub lacks: Arc<[Lack]>,
    /// It stays on what it had, since that may have an earlier version of one of them; otherwise it gets a plan without
    /// them.
    pub stays: bool,
}

/// An object that a node cannot take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lack {
    pub uid: String,
    pub reason: &'static str,
    pub message: String,
}

impl Shortfall {
    /// Reason and message if this keeps the newest version of an object from a node that has not got it.
    pub fn of(&self, uid: &str) -> Option<(String, String)> {
        let own = self.lacks.iter().find(|lack| lack.uid == uid);
        own.map(Lack::words).or_else(|| self.of_all())
    }

    /// The same for whatever is new on a node that stays on what it had.
    pub fn of_all(&self) -> Option<(String, String)> {
        self.lacks.first().filter(|_| self.stays).map(Lack::words)
    }
}

impl Lack {
    fn words(&self) -> (String, String) {
        (self.reason.to_owned(), self.message.clone())
    }
}

/// What goes over a bound that holds on every node.
impl From<&CompileError> for Lack {
    fn from(error: &CompileError) -> Lack {
        Lack { uid: error.object().uid.clone(), reason: reason::INVALID, message: error.to_string() }
    }
}

/// Contents of address sets, by name.
pub type Sets = BTreeMap<String, Arc<Contents>>;

/// What the sets of these names weigh together.
pub fn weight<'a>(names: impl IntoIterator<Item = &'a String>, sets: &Sets) -> u64 {
    names.into_iter().filter_map(|name| sets.get(name)).map(|contents| contents.addresses.weight()).sum()
}

/// The first object of a class's plan that a node cannot take.
pub fn lack(class: &Class, plan: &NodePlan, sets: &Sets, node: &Capabilities) -> Option<Lack> {
    let tcx = || class.filters.iter().filter(|_| !node.tcx).find_map(|filter| needs_tcx(filter));
    let rules = || too_many_rules(plan, node.entries);
    let prefixes = || too_many_prefixes(class, plan, sets, node.set_prefixes);
    let confirm = || class.filters.iter().find_map(|filter| confirms(filter, node.schema));
    tcx().or_else(confirm).or_else(rules).or_else(prefixes)
}

fn needs_tcx(filter: &Filter) -> Option<Lack> {
    let marks = || filter.rules.iter().any(|rule| matches!(rule.action, Action::Mark(_)));
    let (reason, what, instead) = match filter.hook {
        Hook::TcIngress => (reason::HOOK_REFUSED, "attach.hook TcIngress", "use hook Xdp"),
        Hook::TcEgress => (reason::HOOK_REFUSED, "attach.hook TcEgress", "use hook Xdp"),
        Hook::Xdp if marks() => (reason::MARKS_REFUSED, "action Mark", "remove rules with it"),
        Hook::Xdp => return None,
    };
    let message = format!(
        "XdpFilter/{}: {what} needs tcx, which Linux has from 6.6 on and this node's kernel has not: {instead}, or \
         select other nodes",
        filter.object.name
    );
    Some(Lack { uid: filter.object.uid.clone(), reason, message })
}

/// What encodings before 3 cannot say.
fn confirms(filter: &Filter, reads: Schema) -> Option<Lack> {
    if reads >= Schema::V3 {
        return None;
    }
    filter.rollout.as_ref()?.confirm_timeout?;
    let message = format!(
        "XdpFilter/{}: rollout.confirmTimeout needs encoding {} of plans, and this node's agent reads {reads}: update the \
         agent, remove the field, or select other nodes",
        filter.object.name,
        Schema::V3,
    );
    Some(Lack { uid: filter.object.uid.clone(), reason: reason::UNKNOWN_SCHEMA, message })
}

/// In the words of the bound that holds on every node.
fn too_many_rules(plan: &NodePlan, limit: u64) -> Option<Lack> {
    let part = plan.filters.parts.iter().find(|part| u64::from(part.end) > limit)?;
    let total = usize::from(plan.filters.parts.last()?.end);
    let (kind, namespace) = (part.policy.kind.clone(), part.policy.namespace.clone());
    let (name, uid, generation) = (part.policy.name.clone(), part.policy.uid.clone(), part.policy.generation);
    let object = Box::new(ObjectRef { kind, namespace, name, uid: uid.clone(), generation });
    let error = CompileError::TooManyEntries { object, total, limit: limit as usize };
    Some(Lack { uid, reason: reason::TOO_MANY_RULES, message: error.to_string() })
}

/// Of the filter whose sets go over the bound, in the order of evaluation.
fn too_many_prefixes(class: &Class, plan: &NodePlan, sets: &Sets, limit: u64) -> Option<Lack> {
    let total = weight(&plan.sets, sets);
    if total <= limit {
        return None;
    }
    let parts = plan.filters.parts.iter().map(|part| &part.policy.uid);
    let mut filters = parts.filter_map(|uid| class.filters.iter().find(|filter| filter.object.uid == *uid));
    let mut named = BTreeSet::new();
    let over = filters.find(|filter| {
        named.extend(filter.sets());
        weight(named.iter().copied(), sets) > limit
    })?;
    let message = format!(
        "XdpFilter/{}: brings the node to {total} prefixes of address sets (IPv6 ones counted six times), and it takes \
         {limit}: shorten lists, give its agent more memory, or select fewer nodes",
        over.object.name
    );
    Some(Lack { uid: over.object.uid.clone(), reason: reason::TOO_MANY_PREFIXES, message })
}
