use sluice_policy::ObjectRef;

/// Why a class has no plan; each names the object to change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    #[error(
        "{kind}/{name}: brings the node to {total} rules and default actions, and it holds {limit}: \
         remove at least {over} rules, or select fewer nodes with it or with a filter before it",
        kind = object.kind, name = object.name, over = total - limit
    )]
    TooManyEntries { object: Box<ObjectRef>, total: usize, limit: usize },
    #[error(
        "{kind}/{name}: is filter {total} of the node, and it holds {limit}: join filters or select fewer nodes",
        kind = object.kind, name = object.name
    )]
    TooManyFilters { object: Box<ObjectRef>, total: usize, limit: usize },
    #[error(
        "{kind}/{name}: brings the node to {total} rules in mode Audit, and it holds {limit}: \
         enforce or remove some, or set the whole filter's mode to Audit",
        kind = object.kind, name = object.name
    )]
    TooManyAuditRules { object: Box<ObjectRef>, total: usize, limit: usize },
    #[error(
        "{kind}/{namespace}/{name}: is balancer {total} of the node, and it holds {limit}: \
         join balancers or select fewer nodes",
        kind = object.kind, namespace = object.namespace, name = object.name
    )]
    TooManyBalancers { object: Box<ObjectRef>, total: usize, limit: usize },
    #[error(
        "{kind}/{namespace}/{name}: brings the node to {total} counters (one for each rule, virtual address and port, \
         and backend of these), and it holds {limit}: use fewer addresses, ports or backends",
        kind = object.kind, namespace = object.namespace, name = object.name
    )]
    TooManyCounters { object: Box<ObjectRef>, total: usize, limit: usize },
    #[error(
        "{kind}/{namespace}/{name}: brings the node to {total} ring slots, and it holds {limit}: \
         lower spec.hashing.slots, or use fewer addresses or ports",
        kind = object.kind, namespace = object.namespace, name = object.name
    )]
    TooManyRingSlots { object: Box<ObjectRef>, total: usize, limit: usize },
}

impl CompileError {
    /// The object that goes over a bound.
    pub fn object(&self) -> &ObjectRef {
        match self {
            CompileError::TooManyEntries { object, .. }
            | CompileError::TooManyFilters { object, .. }
            | CompileError::TooManyAuditRules { object, .. }
            | CompileError::TooManyBalancers { object, .. }
            | CompileError::TooManyCounters { object, .. }
            | CompileError::TooManyRingSlots { object, .. } => object,
        }
    }
}
