//! The channels between the engine and the rest of the agent.

use std::sync::Arc;
use std::time::Duration;

use sluice_client::{Dialling, Held, Telemetry, Update};
use sluice_health::Health;
use sluice_netdev::Changes;
use sluice_plan::NodePlan;
use sluice_proto::v1;
use sluice_telemetry::Pulse;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;

/// What the engine hears.
pub struct Inlets {
    pub updates: mpsc::Receiver<Update>,
    pub dialling: mpsc::Receiver<Dialling>,
    pub changes: mpsc::Receiver<Changes>,
    pub health: watch::Receiver<Vec<Health>>,
    /// When the operator said something last.
    pub heard: watch::Receiver<Instant>,
    pub report_interval: Duration,
    /// Beats with each turn.
    pub pulse: Pulse,
}

/// What it tells.
pub struct Outlets {
    pub held: watch::Sender<Held>,
    pub verdicts: watch::Sender<v1::Verdicts>,
    pub telemetry: watch::Sender<Telemetry>,
    /// In force now.
    pub plan: watch::Sender<Arc<NodePlan>>,
    /// Marked when routes, neighbours or links changed.
    pub paths: watch::Sender<()>,
    /// Notified when an operator that could not be reached may be reached now.
    pub network: Arc<Notify>,
}
