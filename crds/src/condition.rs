//! Conditions as kstatus reads them, and the reasons that this operator gives.

use schemars::{Schema, SchemaGenerator, json_schema};

pub use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

/// Room for the five types used now and for what others add.
pub const MAX_CONDITIONS: usize = 16;

/// The values of a condition's `type`.
pub mod condition_type {
    /// The object is valid and compiles, and no other object has the better claim.
    pub const ACCEPTED: &str = "Accepted";
    /// Nodes have read back exactly this generation from their kernels.
    pub const PROGRAMMED: &str = "Programmed";
    /// Every selected node that can be reached enforces exactly this generation.
    pub const READY: &str = "Ready";
    /// Present, and True, only while a change is on its way to the nodes (kstatus).
    pub const RECONCILING: &str = "Reconciling";
    /// Present, and True, only while no progress is possible without a change by the user (kstatus).
    pub const STALLED: &str = "Stalled";
}

/// The values of a condition's `reason`.
pub mod reason {
    /// Accepted is True: the object compiles.
    pub const ACCEPTED: &str = "Accepted";
    /// Accepted is True: the object compiles, and drops of it do not reach failsafe traffic, which passes
    /// before every rule; the message names the rules.
    pub const SHADOWED_BY_FAILSAFE: &str = "ShadowedByFailsafe";
    /// Accepted is False: a field has a value that cannot be compiled; the message names it.
    pub const INVALID: &str = "Invalid";
    /// Accepted is False: a rule or a set names a set that is not there, or that has no contents yet.
    pub const UNKNOWN_SET: &str = "UnknownSet";
    /// Accepted is False: sets are made of each other in a circle, which the message names.
    pub const SET_CYCLE: &str = "SetCycle";
    /// Accepted is False: a list of the set has not been readable yet; the message says which and why.
    pub const UNREAD_LIST: &str = "UnreadList";
    /// Accepted is True, of a set: a list of it has a fault, and its last good reading is in force.
    pub const LAST_GOOD: &str = "LastGood";
    /// Ready is True, of a set: no filter that is in force uses it, so no node needs it.
    pub const UNUSED: &str = "Unused";
    /// Accepted is False: an older object claims the same address.
    pub const CONFLICT: &str = "Conflict";
    /// Accepted is False: the address lies in no pool that is granted to this namespace.
    pub const ADDRESS_NOT_GRANTED: &str = "AddressNotGranted";
    /// Accepted is False: the address belongs to a node, Service, pod or failsafe entry.
    pub const ADDRESS_IN_USE: &str = "AddressInUse";
    /// Ready is True, Programmed is False, of a filter: its expiresAt has passed, and no node enforces it any more.
    pub const EXPIRED: &str = "Expired";
    /// Programmed or Ready is True.
    pub const PROGRAMMED: &str = "Programmed";
    /// Programmed or Ready is False: nodes have not confirmed this generation yet.
    pub const PENDING: &str = "Pending";
    /// Programmed or Ready is False: this generation has not come to all nodes yet, as its rollout wants it.
    pub const ROLLING_OUT: &str = "RollingOut";
    /// Programmed or Ready is False: somebody wants the rollout to wait.
    pub const PAUSED: &str = "Paused";
    /// Programmed or Ready is False: a gate of the rollout does not hold, and autoRollback is false.
    pub const HALTED: &str = "Halted";
    /// Programmed or Ready is False: this generation was taken back, and the one before is in force again.
    pub const ROLLED_BACK: &str = "RolledBack";
    /// Programmed or Ready is False: at least one node refused it; `status.nodes.failing` has the reasons.
    pub const REJECTED: &str = "Rejected";
    /// Ready is False: more nodes are silent than may be.
    pub const UNREACHABLE: &str = "Unreachable";
    /// Ready is False: the node selector or the interface selection matches nothing.
    pub const NO_NODES: &str = "NoNodes";
    /// Ready is False: no backend of the balancer passes its health check.
    pub const NO_HEALTHY_BACKENDS: &str = "NoHealthyBackends";
    /// The source lost most of its objects at once; the last good state is held until it is confirmed.
    pub const MASS_DELETION: &str = "MassDeletion";
    /// A node rejects: its kernel has no tcx, which the filter's hook needs.
    pub const HOOK_REFUSED: &str = "HookRefused";
    /// A node rejects: its kernel has no tcx, which marks need.
    pub const MARKS_REFUSED: &str = "MarksRefused";
    /// A node rejects: with the filter there would be more rules than its agent takes.
    pub const TOO_MANY_RULES: &str = "TooManyRules";
    /// A node rejects: with the filter there would be larger address sets than its agent takes.
    pub const TOO_MANY_PREFIXES: &str = "TooManyPrefixes";
    /// A node rejects: its agent reads no encoding of plans that the operator writes, or none that can say what the filter
    /// asks for.
    pub const UNKNOWN_SCHEMA: &str = "UnknownSchema";
    /// Of one node: the object's selector does not select it.
    pub const NOT_SELECTED: &str = "NotSelected";
    /// Of one node: no agent was ever heard of there.
    pub const NO_AGENT: &str = "NoAgent";
    /// Of one node: it enforces an epoch that the operator's store never agreed on.
    pub const EPOCH_AHEAD: &str = "EpochAhead";
    /// Stalled is True, or a node rejects: hardware takes VLAN tags off before XDP sees the frame.
    pub const VLAN_TAGS_STRIPPED: &str = "VlanTagsStripped";
}

/// The upstream type lacks the list map, without which two writers would replace each other's conditions.
pub(crate) fn conditions_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "description": "Accepted, Programmed and Ready; Reconciling and Stalled while abnormal. Each \
            carries the \
            generation it speaks of.",
        "maxItems": MAX_CONDITIONS,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "required": ["type", "status", "lastTransitionTime", "reason", "message"],
            "properties": {
                "type": {
                    "type": "string", "maxLength": 316,
                    "description": "Accepted, Programmed, Ready, Reconciling or Stalled."
                },
                "status": {
                    "type": "string", "enum": ["True", "False", "Unknown"],
                    "description": "Whether it holds: True, False or Unknown."
                },
                "observedGeneration": {
                    "type": "integer", "format": "int64", "minimum": 0,
                    "description": "The metadata.generation that this condition speaks of."
                },
                "lastTransitionTime": {
                    "type": "string", "format": "date-time",
                    "description": "When status changed last."
                },
                "reason": {
                    "type": "string", "minLength": 1, "maxLength": 1024,
                    "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
                    "description": "One word for programs."
                },
                "message": {
                    "type": "string", "maxLength": 32768,
                    "description": "A sentence for people, with the way out."
                }
            }
        }
    })
}
