//! Connections to other replicas, one for each address.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sluice_pki::{Authority, KeyAndCertificate};
use sluice_proto::OPERATOR_NAME;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

/// Opens connections when they are first used, and again when they break.
#[derive(Clone)]
pub struct Channels {
    tls: ClientTlsConfig,
    open: Arc<Mutex<HashMap<String, Channel>>>,
}

impl Channels {
    /// `own` is an operator's certificate of the authority.
    pub fn new(authority: &Authority, own: &KeyAndCertificate) -> Channels {
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(authority.pem()))
            .domain_name(OPERATOR_NAME)
            .identity(Identity::from_pem(&own.certificate, &own.key));
        Channels { tls, open: Arc::default() }
    }

    /// A channel to the operator at `HOST:PORT`.
    ///
    /// # Errors
    /// That is no address.
    pub fn to(&self, address: &str) -> Result<Channel, tonic::transport::Error> {
        // No code that can panic runs under the lock.
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(channel) = open.get(address) {
            return Ok(channel.clone());
        }
        let channel = Endpoint::from_shared(format!("https://{address}"))?
            .tls_config(self.tls.clone())?
            .connect_timeout(CONNECT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(SILENCE)
            .keep_alive_timeout(SILENCE)
            .keep_alive_while_idle(true)
            .connect_lazy();
        open.insert(address.to_owned(), channel.clone());
        Ok(channel)
    }
}

/// Within an election.
const CONNECT: Duration = Duration::from_millis(500);
/// A replica that lost its power is noticed after twice this.
const SILENCE: Duration = Duration::from_secs(1);
