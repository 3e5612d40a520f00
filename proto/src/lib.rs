//! The agent protocol: what operator, agents and CLI say to each other (`sluice/v1.proto`).

/// Messages, clients and servers of `sluice.v1`.
#[allow(clippy::all, clippy::unwrap_used, reason = "generated code")]
pub mod v1 {
    tonic::include_proto!("sluice.v1");
}
