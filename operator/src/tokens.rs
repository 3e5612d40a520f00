//! Agents' ServiceAccount tokens, reviewed by the API server.

use std::time::Duration;

use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, TokenReviewStatus};
use kube::Client;
use kube::api::{Api, PostParams};
use sluice_distribute::{TokenCheck, TokenRefused};
use sluice_pki::NodeName;
use tokio::time::timeout;

/// Audience of the projected token; a token for the API server itself is not accepted.
pub const AUDIENCE: &str = "sluice-operator";
const NODE_NAME: &str = "authentication.kubernetes.io/node-name";
const CALL: Duration = Duration::from_secs(5);

pub struct ReviewedTokens {
    client: Client,
    /// `system:serviceaccount:NAMESPACE:sluice-agent`
    username: String,
}

impl ReviewedTokens {
    pub fn new(client: Client, namespace: &str) -> ReviewedTokens {
        ReviewedTokens { client, username: format!("system:serviceaccount:{namespace}:sluice-agent") }
    }

    fn node(&self, status: TokenReviewStatus) -> Result<NodeName, TokenRefused> {
        let denied = |reason: String| Err(TokenRefused::Denied(reason));
        if status.authenticated != Some(true) {
            return denied(format!("the API server refuses the token: {}", status.error.unwrap_or_default()));
        }
        if !status.audiences.unwrap_or_default().iter().any(|audience| audience == AUDIENCE) {
            return denied(format!("the token is not for audience {AUDIENCE}"));
        }
        let user = status.user.unwrap_or_default();
        if user.username.as_deref() != Some(&self.username) {
            return denied(format!("{} is not {}", user.username.unwrap_or_default(), self.username));
        }
        let extra = user.extra.unwrap_or_default();
        // Only a token that is bound to a pod or a node says which node it is for.
        let Some(node) = extra.get(NODE_NAME).and_then(|names| names.first()) else {
            return denied("the token is bound to no node: project it into the agent's pod".to_owned());
        };
        NodeName::parse(node).map_err(|error| TokenRefused::Denied(error.to_string()))
    }
}

#[tonic::async_trait]
impl TokenCheck for ReviewedTokens {
    async fn node_of(&self, token: &str, _: &[u8]) -> Result<NodeName, TokenRefused> {
        let spec = TokenReviewSpec {
            token: Some(token.trim().to_owned()),
            audiences: Some(vec![AUDIENCE.to_owned()]),
        };
        let review = TokenReview { spec, ..TokenReview::default() };
        let api: Api<TokenReview> = Api::all(self.client.clone());
        match timeout(CALL, api.create(&PostParams::default(), &review)).await {
            Ok(Ok(answer)) => self.node(answer.status.unwrap_or_default()),
            Ok(Err(error)) => {
                Err(TokenRefused::Unavailable(format!("the API server cannot review tokens: {error}")))
            }
            Err(_) => Err(TokenRefused::Unavailable("the API server does not answer".to_owned())),
        }
    }
}
