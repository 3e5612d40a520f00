use std::time::Duration;

use tonic::transport::{Certificate, Identity, ServerTlsConfig};

use crate::{Authority, KeyAndCertificate};

/// TLS for the operator's port. A client certificate is verified when it is given and may be absent, because an agent
/// that joins has none yet: each service decides by [`Peer::of`](crate::Peer::of).
pub fn server_tls(authority: &Authority, server: &KeyAndCertificate) -> ServerTlsConfig {
    ServerTlsConfig::new()
        .identity(Identity::from_pem(&server.certificate, &server.key))
        .client_ca_root(Certificate::from_pem(authority.pem()))
        .client_auth_optional(true)
        .timeout(Duration::from_secs(10))
}
