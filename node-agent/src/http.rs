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
use sluice_telemetry::Pulse;
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
    pub sent: Arc<AtomicU64>,
    /// Of the engine.
    pub pulse: Pulse,
}

/// Serves until `stop`. `/healthz` answers as long as the engine goes on; `/readyz` while a plan is in force, whether an
/// operator is connected or not, so that a rollout of agents does not wait for one that is away, and does not go on past
/// agents that cannot put their plans in force.
pub async fn serve(listener: TcpListener, view: View, stop: CancellationToken) -> std::io::Result<()> {
    let router = Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics_text))
        .with_state(view);
    axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await
}

async fn healthz(State(view): State<View>) -> impl IntoResponse {
    match view.pulse.missed() {
        None => (StatusCode::OK, "ok\n".to_owned()),
        Some(silent) => {
            let words = format!("the engine has done nothing for {} s\n", silent.as_secs());
            (StatusCode::SERVICE_UNAVAILABLE, words)
        }
    }
}

async fn readyz(State(view): State<View>) -> impl IntoResponse {
    let ready = ready(&view.held.borrow(), &view.verdicts.borrow(), &view.link.borrow());
    match ready {
        Ok(words) => (StatusCode::OK, format!("{words}\n")),
        Err(missing) => (StatusCode::SERVICE_UNAVAILABLE, format!("{missing}\n")),
    }
}

/// A plan that is in force is all that counts; else what keeps it away.
fn ready(held: &Held, verdicts: &Verdicts, link: &LinkState) -> Result<&'static str, String> {
    if !held.resources.is_empty() {
        let is_connected = matches!(link, LinkState::Connected(_));
        return Ok(if is_connected { "ok" } else { "enforcing the last plan; no operator connected" });
    }
    let refused = verdicts.resources.iter().find(|plan| plan.stage() == VerdictStage::Rejected);
    Err(match (refused, link) {
        (Some(plan), _) => format!("no plan is in force: {}: {}", plan.reason, plan.detail),
        (None, LinkState::Connected(_)) => "connected; no plan has come yet".to_owned(),
        (None, LinkState::Waiting(reason)) => format!("no plan, and no operator: {reason}"),
        (None, LinkState::Connecting) => "no plan; connecting to the operator".to_owned(),
    })
}

async fn metrics_text(State(view): State<View>) -> impl IntoResponse {
    let rejected = view.verdicts.borrow().resources.iter().any(|plan| plan.stage() == VerdictStage::Rejected);
    let moment = Moment {
        telemetry: view.telemetry.borrow().clone(),
        plan: view.plan.borrow().clone(),
        held: view.held.borrow().clone(),
        link: view.link.borrow().clone(),
        received: view.received.load(Ordering::Relaxed),
        sent: view.sent.load(Ordering::Relaxed),
        rejected,
    };
    let content = [(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")];
    (content, metrics::text(moment))
}

#[cfg(test)]
mod tests {
    use sluice_plan::Hash;
    use sluice_proto::v1::ResourceVerdict;

    use super::*;

    #[test]
    fn only_a_plan_in_force_makes_ready() {
        let connected = LinkState::Connected(([127, 0, 0, 1], 9443).into());
        let waiting = LinkState::Waiting("refused".to_owned());
        let plan = Held { resources: [("plan".to_owned(), Hash::default())].into(), ..Held::default() };
        let refused = ResourceVerdict {
            stage: VerdictStage::Rejected.into(),
            reason: "VerifierRefused".to_owned(),
            ..ResourceVerdict::default()
        };
        let refused = Verdicts { resources: vec![refused], ..Verdicts::default() };
        let (none, nothing) = (Held::default(), Verdicts::default());
        for (held, verdicts, link, expected) in [
            (&plan, &nothing, &connected, Ok("ok")),
            // A newer plan that is refused takes nothing from the node.
            (&plan, &refused, &connected, Ok("ok")),
            (&plan, &nothing, &waiting, Ok("enforcing")),
            (&none, &nothing, &connected, Err("no plan has come yet")),
            (&none, &refused, &connected, Err("VerifierRefused")),
            (&none, &nothing, &waiting, Err("no operator: refused")),
            (&none, &nothing, &LinkState::Connecting, Err("connecting")),
        ] {
            let said = ready(held, verdicts, link);
            assert_eq!(said.is_ok(), expected.is_ok(), "{said:?}");
            let words = said.map_or_else(|missing| missing, str::to_owned);
            assert!(words.contains(expected.unwrap_or_else(|part| part)), "{words}");
        }
    }
}
