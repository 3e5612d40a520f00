//! Join tokens of directory mode: printed for an administrator, taken once.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sluice_distribute::{Limits, TokenCheck, TokenRefused};
use sluice_pki::{NodeName, PkiError, Ticket, Tokens};
use sluice_plan::Hash;
use sluice_proto::v1::{JoinRequest, JoinResponse};
use sluice_raft::{Command, Raft};
use tonic::Status;

use crate::tokens::ReviewedTokens;

/// What lets an agent in that has no certificate.
pub enum Joining {
    /// Directory mode.
    Tokens(Tokens),
    /// A cluster.
    Reviewed(ReviewedTokens),
}

impl Joining {
    /// What makes tokens, if something does; what judges them; the limits of those that they let in.
    pub fn parts(self, raft: &Raft) -> (Option<Tokens>, Arc<dyn TokenCheck>, Limits) {
        match self {
            Joining::Reviewed(tokens) => (None, Arc::new(tokens), Limits::default()),
            Joining::Tokens(tokens) => {
                let once = OnceTokens { tokens: tokens.clone(), raft: raft.clone() };
                (Some(tokens), Arc::new(once), Limits { certificate: CERTIFICATE, ..Limits::default() })
            }
        }
    }
}

/// Where no API server vouches for a node again, one that was away for longer has to be given a new token.
const CERTIFICATE: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// However long somebody wants one to be good.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// A token for the node, and when it ends.
pub fn token(tokens: &Tokens, request: &JoinRequest, now: SystemTime) -> Result<JoinResponse, Status> {
    let node = NodeName::parse(&request.node).map_err(|error| Status::invalid_argument(error.to_string()))?;
    let valid = match request.valid_seconds {
        0 => Tokens::VALIDITY,
        seconds => Duration::from_secs(seconds.into()),
    };
    if valid > LONGEST {
        return Err(Status::invalid_argument("a join token is good for a day at most"));
    }
    let until = now + valid;
    let token = tokens.token(&node, until);
    tracing::info!(%node, valid_seconds = valid.as_secs(), "join token made");
    Ok(JoinResponse { token, until: i64::try_from(unix(until)).unwrap_or(i64::MAX) })
}

/// Lets a token in once over all replicas: its use is agreed on before it counts. It is for one certificate request, which an
/// agent that heard no answer sends again.
struct OnceTokens {
    tokens: Tokens,
    raft: Raft,
}

#[tonic::async_trait]
impl TokenCheck for OnceTokens {
    async fn node_of(&self, token: &str, request: &[u8]) -> Result<NodeName, TokenRefused> {
        let now = SystemTime::now();
        let denied = |error: PkiError| TokenRefused::Denied(error.to_string());
        let Ticket { node, number, until } = self.tokens.check(token, now).map_err(denied)?;
        let command =
            Command::TakeToken { number, by: Hash::of(request), until: unix(until), now: unix(now) };
        match self.raft.propose(command).await {
            Ok(applied) if applied.void => Err(TokenRefused::Denied(format!(
                "the join token of {node} was used before: print a new one with `kubectl sluice join {node}`"
            ))),
            Ok(_) => {
                // A certificate of a series that was revoked meanwhile, elsewhere, would be refused, and the token be gone.
                self.raft.caught_up().await;
                Ok(node)
            }
            Err(error) => Err(TokenRefused::Unavailable(error.to_string())),
        }
    }
}

fn unix(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
