//! Plain HTTP for probes and Prometheus.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::metrics;
use crate::view::View;

#[derive(Clone)]
struct Shared {
    view: watch::Receiver<Arc<View>>,
    ready: watch::Receiver<bool>,
}

/// Serves until `stop`. `/healthz` answers while the process runs, `/readyz` once the source was read and agents are
/// served.
pub async fn serve(
    listener: TcpListener,
    view: watch::Receiver<Arc<View>>,
    ready: watch::Receiver<bool>,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let router = Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics_text))
        .with_state(Shared { view, ready });
    axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await
}

async fn readyz(State(shared): State<Shared>) -> impl IntoResponse {
    if *shared.ready.borrow() {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the source is not read yet\n")
    }
}

async fn metrics_text(State(shared): State<Shared>) -> impl IntoResponse {
    let view = shared.view.borrow().clone();
    let content = [(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")];
    (content, metrics::text(&view))
}
