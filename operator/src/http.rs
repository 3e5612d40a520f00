//! Plain HTTP for probes and Prometheus.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use sluice_index::Desired;
use sluice_raft::Raft;
use sluice_telemetry::Pulse;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::metrics;
use crate::view::View;

/// What has to be there before this replica counts as ready.
#[derive(Clone)]
pub struct Readiness {
    desired: watch::Receiver<Arc<Desired>>,
    raft: Arc<OnceLock<Raft>>,
    /// Once the others could do without any other replica than this one.
    caught_up: Arc<AtomicBool>,
    /// Of what decides, as long as it does so here.
    pulse: Pulse,
}

impl Readiness {
    pub fn new(desired: watch::Receiver<Arc<Desired>>, pulse: Pulse) -> Readiness {
        Readiness { desired, raft: Arc::default(), caught_up: Arc::default(), pulse }
    }

    /// From now on the port is served.
    pub fn opened(&self, raft: Raft) {
        let (raft, caught_up) = (self.raft.get_or_init(|| raft).clone(), self.caught_up.clone());
        tokio::spawn(async move {
            raft.caught_up().await;
            caught_up.store(true, Ordering::Relaxed);
        });
    }

    /// What is missing.
    fn check(&self) -> Result<(), &'static str> {
        let raft = self.raft.get().ok_or("the store waits for the other replicas")?;
        if !raft.votes() || !self.caught_up.load(Ordering::Relaxed) {
            return Err("this replica has no vote, or has not caught up with the others");
        }
        if !raft.is_led() {
            return Err("no replica decides: most of them are not reached");
        }
        self.desired.borrow().synced.then_some(()).ok_or("the source is not read yet")
    }
}

#[derive(Clone)]
struct Shared {
    view: watch::Receiver<Arc<View>>,
    readiness: Readiness,
}

/// Serves until it is dropped. `/healthz` answers as long as what decides here goes on, `/readyz` once the source was read,
/// agents are served and some replica decides.
pub async fn serve(
    listener: TcpListener,
    view: watch::Receiver<Arc<View>>,
    readiness: Readiness,
) -> std::io::Result<()> {
    let router = Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics_text))
        .with_state(Shared { view, readiness });
    axum::serve(listener, router).await
}

async fn healthz(State(shared): State<Shared>) -> impl IntoResponse {
    match shared.readiness.pulse.missed() {
        None => (StatusCode::OK, "ok\n".to_owned()),
        Some(silent) => {
            let words = format!("what decides has done nothing for {} s\n", silent.as_secs());
            (StatusCode::SERVICE_UNAVAILABLE, words)
        }
    }
}

async fn readyz(State(shared): State<Shared>) -> impl IntoResponse {
    match shared.readiness.check() {
        Ok(()) => (StatusCode::OK, "ok\n".to_owned()),
        Err(missing) => (StatusCode::SERVICE_UNAVAILABLE, format!("{missing}\n")),
    }
}

async fn metrics_text(State(shared): State<Shared>) -> impl IntoResponse {
    let view = shared.view.borrow().clone();
    let replica = shared.readiness.raft.get().map(Raft::report);
    let content = [(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")];
    (content, metrics::text(view, replica))
}
