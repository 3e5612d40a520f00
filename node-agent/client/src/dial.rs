//! From the operator's name to a channel.

use std::net::SocketAddr;
use std::time::Duration;

use hyper_util::client::legacy::connect::HttpConnector;
use sluice_proto::OPERATOR_NAME;
use sluice_seal::Trust;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};

use crate::{ClientError, Config, Identity};

/// A process that does not answer any more counts as gone after both. It is heard more often than that, so that nothing is
/// asked of one that is well.
const KEEP_ALIVE: (Duration, Duration) = (Duration::from_secs(35), Duration::from_secs(15));
/// The kernel asks a host that is quiet this often.
const PROBE: Duration = Duration::from_secs(1);

/// Every address behind `HOST:PORT`, of which commas may separate several: those whose name is known.
pub(crate) async fn resolve(operators: &str) -> Result<Vec<SocketAddr>, ClientError> {
    let (mut found, mut failed) = (Vec::new(), None);
    for operator in operators.split(',') {
        let address = operator.rsplit_once(':');
        if !address.is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok()) {
            return Err(ClientError::Address(operator.into()));
        }
        match tokio::net::lookup_host(operator).await {
            Ok(addresses) => found.extend(addresses),
            Err(source) => failed = Some(ClientError::Resolve { host: operator.into(), source }),
        }
    }
    match failed {
        Some(error) if found.is_empty() => Err(error),
        _ => Ok(found),
    }
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
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(config.pace.connect));
    tcp.set_keepalive(Some(PROBE));
    tcp.set_keepalive_interval(Some(PROBE));
    tcp.set_tcp_user_timeout(Some(config.pace.unheard));
    Endpoint::from_shared(format!("https://{endpoint}"))
        .and_then(|endpoint| endpoint.tls_config(tls))
        .map_err(failed)?
        .connect_timeout(config.pace.connect)
        .http2_keep_alive_interval(KEEP_ALIVE.0)
        .keep_alive_timeout(KEEP_ALIVE.1)
        .keep_alive_while_idle(true)
        .connect_with_connector(tcp)
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
        let several = resolve("192.0.2.1:1,192.0.2.2:1").await.expect("addresses");
        assert_eq!(several, ["192.0.2.1:1", "192.0.2.2:1"].map(|one| one.parse().expect("an address")));
    }
}
