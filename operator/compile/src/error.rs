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
        "{kind}/{name}: brings the node to {total} rules without addresses, protocols and ports or with very broad \
         ones, and distinct combinations of other fields; a node with more than 1,024 rules holds {limit} of these: \
         narrow rules down by address or port, or select fewer nodes",
        kind = object.kind, name = object.name
    )]
    TooManyWide { object: Box<ObjectRef>, total: usize, limit: usize },
    #[error(
        "{kind}/{name}: brings the node to {total} combinations of the addresses, protocols and ports in the lists of \
         its rules; a node with more than 1,024 rules holds {limit}: shorten lists, or select fewer nodes",
        kind = object.kind, name = object.name
    )]
    TooManyCombinations { object: Box<ObjectRef>, total: usize, limit: usize },
    #[error(
        "{kind}/{name}: {total} rules of the node match the same packets by addresses, protocols and ports; a node \
         with more than 1,024 rules holds {limit} of the kind: remove those that others shadow, or narrow them down",
        kind = object.kind, name = object.name
    )]
    TooManyAlike { object: Box<ObjectRef>, total: usize, limit: usize },
    #[error(
        "{kind}/{name}: overlaps so much with other rules of the node that these take {total} {what} in all, and a \
         node with more than 1,024 rules holds {limit}: narrow its broadest rules down, or select fewer nodes",
        kind = object.kind, name = object.name
    )]
    TooInvolved { object: Box<ObjectRef>, what: &'static str, total: usize, limit: usize },
    #[error(
        "{kind}/{name}: is filter {total} of the node, and it holds {limit}: join filters or select fewer nodes",
        kind = object.kind, name = object.name
    )]
    TooManyFilters { object: Box<ObjectRef>, total: usize, limit: usize },
    #[error(
        "{kind}/{name}: brings the node to {total} rules that packets go on from (action Count, RateLimit or Mark, or mode Audit), and it \
         holds {limit}: remove some, enforce those in Audit, or set their whole filter's mode to Audit",
        kind = object.kind, name = object.name
    )]
    TooManyContinuingRules { object: Box<ObjectRef>, total: usize, limit: usize },
    #[error(
        "{kind}/{name}: brings the node to {total} ranges of Ethernet addresses, and it holds {limit}: \
         free fewer upper bits in the masks of sourceMacs and destinationMacs",
        kind = object.kind, name = object.name
    )]
    TooManyMacRanges { object: Box<ObjectRef>, total: usize, limit: usize },
    #[error(
        "{kind}/{name}: brings the node to {total} address sets, and it holds {limit}: \
         join sets by spec.sets of an XdpAddressSet, or select fewer nodes",
        kind = object.kind, name = object.name
    )]
    TooManySets { object: Box<ObjectRef>, total: usize, limit: usize },
    #[error(
        "{kind}/{name}: brings the node to {total} different patterns of payload, and it holds {limit}: \
         use the same patterns in several rules, or select fewer nodes",
        kind = object.kind, name = object.name
    )]
    TooManyPatterns { object: Box<ObjectRef>, total: usize, limit: usize },
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
            | CompileError::TooManyWide { object, .. }
            | CompileError::TooManyCombinations { object, .. }
            | CompileError::TooManyAlike { object, .. }
            | CompileError::TooInvolved { object, .. }
            | CompileError::TooManyFilters { object, .. }
            | CompileError::TooManyContinuingRules { object, .. }
            | CompileError::TooManyMacRanges { object, .. }
            | CompileError::TooManyPatterns { object, .. }
            | CompileError::TooManySets { object, .. }
            | CompileError::TooManyBalancers { object, .. }
            | CompileError::TooManyCounters { object, .. }
            | CompileError::TooManyRingSlots { object, .. } => object,
        }
    }
}
