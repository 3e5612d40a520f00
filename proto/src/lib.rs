//! The agent protocol: what operator, agents and CLI say to each other (`sluice/v1.proto`).

mod codec;

/// Messages, clients and servers of `sluice.v1`.
#[allow(clippy::all, clippy::unwrap_used, reason = "generated code")]
pub mod v1 {
    tonic::include_proto!("sluice.v1");
}

/// The DNS name that every operator's server certificate carries, whatever the address it is reached at. Agents and CLI
/// verify this name against the operator's own CA, so that an operator may move without new certificates.
pub const OPERATOR_NAME: &str = "operator.sluice.internal";

/// Key of a node's plan among the resources.
pub const PLAN: &str = "plan";
/// What the key of an address set's resource begins with; its name follows.
pub const SET: &str = "set/";

pub fn set_key(name: &str) -> String {
    format!("{SET}{name}")
}

/// What the key of a successor begins with; the moment at which it takes the plan's place follows, in Unix milliseconds.
pub const SUCCESSOR: &str = "successor/";
/// Successors of a plan that an operator makes, and that an agent keeps.
pub const MAX_SUCCESSORS: usize = 4;

pub fn successor_key(moment: i64) -> String {
    format!("{SUCCESSOR}{moment}")
}

/// Of a successor's key, and of no other.
pub fn moment_of(key: &str) -> Option<i64> {
    key.strip_prefix(SUCCESSOR)?.parse().ok()
}

impl From<sluice_plan::Epoch> for v1::Epoch {
    fn from(epoch: sluice_plan::Epoch) -> v1::Epoch {
        let sluice_plan::Epoch { incarnation, term, index } = epoch;
        v1::Epoch { incarnation, term, index }
    }
}

impl From<v1::Epoch> for sluice_plan::Epoch {
    fn from(epoch: v1::Epoch) -> sluice_plan::Epoch {
        let v1::Epoch { incarnation, term, index } = epoch;
        sluice_plan::Epoch { incarnation, term, index }
    }
}
