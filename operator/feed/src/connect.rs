//! A connection to what was checked.

use std::net::SocketAddr;
use std::sync::Arc;

use hyper_util::rt::TokioIo;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use crate::fetch::FetchError;
use crate::target::Targets;

pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// Trusts the authorities that browsers do, those of the host, and these.
pub fn tls(authorities: impl IntoIterator<Item = CertificateDer<'static>>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots.add_parsable_certificates(authorities);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has the default versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

pub async fn connect(
    url: &Url,
    targets: &Targets,
    tls: &Arc<ClientConfig>,
) -> Result<TokioIo<Box<dyn Stream>>, FetchError> {
    let stream = dial(url, &resolve(url, targets).await?).await?;
    if url.scheme() == "http" {
        return Ok(TokioIo::new(Box::new(stream)));
    }
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let name = ServerName::try_from(host.clone()).map_err(|_| FetchError::Url(url.to_string()))?;
    let secured = TlsConnector::from(tls.clone()).connect(name, stream).await;
    let stream = secured.map_err(|source| FetchError::Connect { host, source })?;
    Ok(TokioIo::new(Box::new(stream)))
}

/// The addresses that may be connected to; at least one.
async fn resolve(url: &Url, targets: &Targets) -> Result<Vec<SocketAddr>, FetchError> {
    let host = url.host_str().unwrap_or_default().to_owned();
    let port = url.port_or_known_default().unwrap_or(443);
    let found: Vec<SocketAddr> = match url.host() {
        Some(Host::Ipv4(address)) => vec![(address, port).into()],
        Some(Host::Ipv6(address)) => vec![(address, port).into()],
        Some(Host::Domain(name)) => {
            let resolved = tokio::net::lookup_host((name, port)).await;
            resolved.map_err(|source| FetchError::Resolve { host: host.clone(), source })?.collect()
        }
        None => return Err(FetchError::Url(url.to_string())),
    };
    let mut refused = None;
    let mut allowed = Vec::new();
    for address in found {
        match targets.check(address) {
            Ok(()) => allowed.push(address),
            Err(kind) => refused = Some(FetchError::Forbidden { host: host.clone(), address, kind }),
        }
    }
    match refused {
        Some(refused) if allowed.is_empty() => Err(refused),
        _ => Ok(allowed),
    }
}

async fn dial(url: &Url, addresses: &[SocketAddr]) -> Result<TcpStream, FetchError> {
    let host = url.host_str().unwrap_or_default().to_owned();
    let none = || std::io::Error::new(std::io::ErrorKind::NotFound, "the name has no address");
    let mut last = none();
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(FetchError::Connect { host, source: last })
}
