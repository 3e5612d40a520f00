//! Plain HTTP for probes and Prometheus.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use sluice_client::{Held, LinkState, Telemetry};
use sluice_plan::NodePlan;
use sluice_proto::v1::{VerdictStage, Verdicts};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::metrics::{self, Moment};

/// The agent as seen from outside.
#[derive(Clone)]
pub struct View {
    pub telemetry: watch::Receiver<Telemetry>,
    pub plan: watch::Receiver<Arc<NodePlan>>,
    pub held: watch::Receiver<Held>,
    pub verdicts: watch::Receiver<Verdicts>,
    pub link: watch::Receiver<LinkState>,
    pub received: Arc<AtomicU64>,
}

/// Serves until `stop`. `/healthz` answers while the process runs; `/readyz` once a plan is in force or an operator is
/// connected, so that a rollout of agents does not wait for an operator that is away.
pub async fn serve(listener: TcpListener, view: View, stop: CancellationToken) -> std::io::Result<()> {
    let router = Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics_text))
        .with_state(view);
    axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await
}

async fn readyz(State(view): State<View>) -> impl IntoResponse {
    let enforces = !view.held.borrow().resources.is_empty();
    match &*view.link.borrow() {
        LinkState::Connected(_) => (StatusCode::OK, "ok\n".to_owned()),
        _ if enforces => (StatusCode::OK, "enforcing the last plan; no operator connected\n".to_owned()),
        LinkState::Waiting(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("no operator: {reason}\n")),
        LinkState::Connecting => (StatusCode::SERVICE_UNAVAILABLE, "connecting to the operator\n".to_owned()),
    }
}

async fn metrics_text(State(view): State<View>) -> impl IntoResponse {
    let rejected = view.verdicts.borrow().resources.iter().any(|plan| plan.stage() == VerdictStage::Rejected);
    let moment = Moment {
        telemetry: view.telemetry.borrow().clone(),
        plan: view.plan.borrow().clone(),
        held: view.held.borrow().clone(),
        link: view.link.borrow().clone(),
        received: view.received.load(Ordering::Relaxed),
        rejected,
    };
    let content = [(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")];
    (content, metrics::text(moment))
}
