//! The agent's certificate: there is one, and it is exchanged for a new one at half of its life, beside the stream.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::sleep;

use crate::enroll::{Request, enroll, token};
use crate::run::connect;
use crate::{ClientError, Config, Identity, Vault};

/// When a renewal failed, while the certificate is still good.
const RENEW_AGAIN: Duration = Duration::from_secs(60);
/// However short a certificate's life is.
const LEAST_WAIT: Duration = Duration::from_secs(1);

pub(crate) struct Papers {
    vault: Arc<dyn Vault>,
    identity: Option<Identity>,
    /// Next try of a renewal that failed.
    renew_at: Option<SystemTime>,
    /// Sent with a token, and again with it until there is an answer: a token is good for one request.
    request: Option<Request>,
}

impl Papers {
    pub fn new(vault: Arc<dyn Vault>) -> Papers {
        let identity = vault.load();
        Papers { vault, identity, renew_at: None, request: None }
    }

    pub fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    /// The operator does not take it.
    pub fn discard(&mut self) {
        self.identity = None;
    }

    /// Sees to it that there is a certificate, and to a fresh one from half-life on.
    pub async fn certify(&mut self, config: &Config, endpoints: &[SocketAddr]) -> Result<(), ClientError> {
        let now = SystemTime::now();
        let valid = self.identity.as_ref().is_some_and(|identity| identity.is_valid(now));
        if valid && now < self.renewal() {
            return Ok(());
        }
        let fresh = if valid {
            // Needs no token and nobody who could judge one.
            match renew(endpoints, config, self.identity.as_ref()).await {
                Err(error) if error.is_unauthenticated() => self.join(endpoints, config).await,
                other => other,
            }
        } else {
            self.join(endpoints, config).await
        };
        match fresh {
            Ok(identity) => {
                tracing::info!("the operator certified this node");
                self.vault.save(&identity);
                self.identity = Some(identity);
                (self.renew_at, self.request) = (None, None);
            }
            Err(error) if valid => {
                tracing::warn!(%error, "the certificate could not be renewed yet");
                self.renew_at = Some(now + RENEW_AGAIN);
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// As long as a stream lives, which the next one follows with the newest certificate.
    pub async fn keep_fresh(&mut self, config: &Config, endpoints: &[SocketAddr]) -> Infallible {
        loop {
            let left = self.renewal().duration_since(SystemTime::now()).unwrap_or_default();
            // Clocks are set, and machines sleep.
            sleep(left.clamp(LEAST_WAIT, RENEW_AGAIN)).await;
            if let Err(error) = self.certify(config, endpoints).await {
                tracing::warn!(%error, "the certificate is over and there is no new one yet");
                self.renew_at = Some(SystemTime::now() + RENEW_AGAIN);
            }
        }
    }

    async fn join(&mut self, endpoints: &[SocketAddr], config: &Config) -> Result<Identity, ClientError> {
        let token = token(config).await?;
        let request = match self.request.take() {
            Some(request) => request,
            None => Request::new(config)?,
        };
        let request = self.request.insert(request);
        let (_, channel) = connect(endpoints, config, None).await?;
        enroll(channel, config, request, token).await
    }

    fn renewal(&self) -> SystemTime {
        let half_life =
            self.identity.as_ref().and_then(Identity::half_life).unwrap_or(SystemTime::UNIX_EPOCH);
        self.renew_at.map_or(half_life, |again| again.max(half_life))
    }
}

async fn renew(
    endpoints: &[SocketAddr],
    config: &Config,
    identity: Option<&Identity>,
) -> Result<Identity, ClientError> {
    let request = Request::new(config)?;
    let (_, channel) = connect(endpoints, config, identity).await?;
    enroll(channel, config, &request, String::new()).await
}
