//! Token in, certificate out.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sluice_pki::{Authority, NodeName, Peer};
use sluice_proto::v1::enrollment_server::Enrollment;
use sluice_proto::v1::{EnrollRequest, EnrollResponse};
use sluice_raft::State;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;
use tonic::{Request, Response, Status};

use crate::service::admits;

/// Who a token belongs to: directory mode's own tokens, or the API server's TokenReview.
#[tonic::async_trait]
pub trait TokenCheck: Send + Sync + 'static {
    /// `request` is the certificate request that comes with it.
    async fn node_of(&self, token: &str, request: &[u8]) -> Result<NodeName, TokenRefused>;
}

#[derive(Debug, thiserror::Error)]
pub enum TokenRefused {
    /// Says why; the agent's log shows it.
    #[error("{0}")]
    Denied(String),
    /// Nobody can tell now; the agent tries again.
    #[error("{0}")]
    Unavailable(String),
}

pub struct Enroller {
    pub authority: Arc<Authority>,
    pub tokens: Arc<dyn TokenCheck>,
    /// Whose certificates were revoked.
    pub state: watch::Receiver<Arc<State>>,
    pub clock: fn() -> SystemTime,
    pub admission: Semaphore,
    /// So long a request waits for its turn.
    pub turn: Duration,
    /// Life of a certificate.
    pub valid: Duration,
}

impl Enroller {
    /// A valid certificate renews itself, so that a reconnecting agent needs no API server.
    async fn name(&self, request: &Request<EnrollRequest>) -> Result<NodeName, Status> {
        let token = &request.get_ref().token;
        if token.is_empty() {
            return match Peer::of(request) {
                Ok(Some(Peer::Node(holder))) => {
                    admits(&self.state.borrow(), &holder)?;
                    NodeName::parse(&holder.node).map_err(|error| denied(&error))
                }
                _ => Err(denied(&"give a join token, or renew with the node's client certificate")),
            };
        }
        self.tokens.node_of(token, &request.get_ref().csr).await.map_err(|refused| match refused {
            TokenRefused::Denied(_) => denied(&refused),
            TokenRefused::Unavailable(_) => Status::unavailable(refused.to_string()),
        })
    }
}

#[tonic::async_trait]
impl Enrollment for Enroller {
    async fn enroll(&self, request: Request<EnrollRequest>) -> Result<Response<EnrollResponse>, Status> {
        let turn = timeout(self.turn, self.admission.acquire()).await.ok().and_then(Result::ok);
        let _permit = turn.ok_or_else(|| Status::resource_exhausted("many nodes join now"))?;
        let node = self.name(&request).await.inspect_err(|status| {
            let claimed = sluice_pki::node_claimed_by(&request.get_ref().token).unwrap_or("?");
            tracing::warn!(claimed, peer = ?request.remote_addr(), reason = status.message(), "enrollment refused");
        })?;
        let (csr, series) = (&request.get_ref().csr, self.state.borrow().series(node.as_str()));
        let signed = self.authority.sign_node(csr, &node, series, (self.clock)(), self.valid);
        let signed = signed.map_err(|error| Status::invalid_argument(error.to_string()))?;
        let not_after = signed.not_after.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        tracing::info!(%node, peer = ?request.remote_addr(), "certificate issued");
        Ok(Response::new(EnrollResponse {
            node: node.to_string(),
            chain: signed.chain,
            not_after: i64::try_from(not_after).unwrap_or(i64::MAX),
        }))
    }
}

fn denied(reason: &dyn std::fmt::Display) -> Status {
    Status::unauthenticated(reason.to_string())
}
