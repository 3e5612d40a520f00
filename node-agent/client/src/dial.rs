//! From the operator's name to a channel.

use std::net::SocketAddr;
use std::time::Duration;

use sluice_proto::OPERATOR_NAME;
use sluice_seal::Trust;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};

use crate::{ClientError, Config, Identity};

/// Silence after which the other side counts as gone.
const KEEP_ALIVE: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(5));

/// Every address behind `HOST:PORT`.
pub(crate) async fn resolve(operator: &str) -> Result<Vec<SocketAddr>, ClientError> {
    let is_address =
        operator.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    if !is_address {
        return Err(ClientError::Address(operator.into()));
    }
    let found = tokio::net::lookup_host(operator).await;
    Ok(found.map_err(|source| ClientError::Resolve { host: operator.into(), source })?.collect())
}

/// Over TLS against the operator's own CA; with the identity if there is one.
pub(crate) async fn connect(
    endpoint: SocketAddr,
    config: &Config,
    identity: Option<&Identity>,
) -> Result<Channel, ClientError> {
    let ca = read(&config.ca).await?;
    let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ca)).domain_name(OPERATOR_NAME);
    if let Some(identity) = identity {
        tls =
            tls.identity(tonic::transport::Identity::from_pem(&identity.certificate, &identity.private_key));
    }
    let failed = |source| ClientError::Connect { endpoint: endpoint.to_string(), source };
    Endpoint::from_shared(format!("https://{endpoint}"))
        .and_then(|endpoint| endpoint.tls_config(tls))
        .map_err(failed)?
        .connect_timeout(config.pace.connect)
        .http2_keep_alive_interval(KEEP_ALIVE.0)
        .keep_alive_timeout(KEEP_ALIVE.1)
        .keep_alive_while_idle(true)
        .connect()
        .await
        .map_err(failed)
}

/// Whose signature on plans counts: the same authority's.
pub(crate) async fn trust(config: &Config) -> Result<Trust, ClientError> {
    let trust = Trust::from_pem(&read(&config.ca).await?);
    trust.map_err(|source| ClientError::Authority { path: config.ca.clone(), source })
}

pub(crate) async fn read(path: &std::path::Path) -> Result<String, ClientError> {
    let read = tokio::fs::read_to_string(path).await;
    read.map_err(|source| ClientError::File { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_without_a_port_is_named() {
        for bad in ["operator", "operator:", ":9443", "operator:https"] {
            let error = resolve(bad).await.expect_err("no HOST:PORT");
            assert_eq!(error.to_string(), format!("operator address `{bad}` is no HOST:PORT"));
        }
        assert_eq!(
            resolve("[::1]:9443").await.expect("an address"),
            ["[::1]:9443".parse().expect("an address")]
        );
    }
}
