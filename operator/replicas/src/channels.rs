//! Connections to other replicas, one for each address.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sluice_pki::{Credentials, KeyAndCertificate};
use sluice_proto::OPERATOR_NAME;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

/// Opens connections when they are first used, and again when they break.
#[derive(Clone)]
pub struct Channels {
    own: Arc<Credentials>,
    open: Arc<Mutex<HashMap<String, Open>>>,
}

struct Open {
    shows: Arc<KeyAndCertificate>,
    channel: Channel,
}

impl Channels {
    /// `own` is what this replica shows to others.
    pub fn new(own: Arc<Credentials>) -> Channels {
        Channels { own, open: Arc::default() }
    }

    /// A channel to the operator at `HOST:PORT`; a new one once this replica shows another certificate, beside calls that
    /// go on over the former.
    ///
    /// # Errors
    /// That is no address.
    pub fn to(&self, address: &str) -> Result<Channel, tonic::transport::Error> {
        let own = self.own.pair();
        // No code that can panic runs under the lock.
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = open.get(address).filter(|open| Arc::ptr_eq(&open.shows, &own)) {
            return Ok(found.channel.clone());
        }
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(self.own.authority().pem()))
            .domain_name(OPERATOR_NAME)
            .identity(Identity::from_pem(&own.certificate, &own.key));
        let channel = Endpoint::from_shared(format!("https://{address}"))?
            .tls_config(tls)?
            .connect_timeout(CONNECT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(SILENCE)
            .keep_alive_timeout(SILENCE)
            .keep_alive_while_idle(true)
            .connect_lazy();
        open.insert(address.to_owned(), Open { shows: own, channel: channel.clone() });
        Ok(channel)
    }
}

/// Within an election.
const CONNECT: Duration = Duration::from_millis(500);
/// A replica that lost its power is noticed after twice this.
const SILENCE: Duration = Duration::from_secs(1);
