use sluice_plan::Epoch;
use sluice_proto::v1::{Hello, Report, Verdicts};

/// What an agent said, or what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct AgentEvent {
    /// From the client certificate.
    pub node: String,
    /// Grows with each stream of this process. A node's `Disconnected` counts only if no later session connected: a
    /// restarted agent may be back before the old stream is seen to end.
    pub session: u64,
    pub kind: AgentEventKind,
}

#[derive(Clone, Debug, PartialEq)]
pub enum AgentEventKind {
    Connected(Box<Hello>),
    Verdicts(Verdicts),
    Report(Box<Report>),
    /// Refused: it enforces what this store never agreed on. The volume was lost or replaced by an older copy; after
    /// a look at why, `recover` with the highest incarnation seen here moves our epochs above it.
    Ahead {
        epoch: Epoch,
        cluster_id: String,
    },
    Disconnected,
}
