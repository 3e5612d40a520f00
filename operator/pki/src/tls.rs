//! The operator's port.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::ring::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::WebPkiClientVerifier;
use rustls::version::TLS13;
use rustls::{RootCertStore, ServerConfig};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;

use crate::{Credentials, PkiError};

/// For one handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// For who was refused.
const PARTING: Duration = Duration::from_secs(1);
/// Handshakes at once: a bound on what strangers can have the operator hold.
const HANDSHAKES: usize = 512;
/// A host that acknowledges nothing any more counts as gone after [`UNHEARD`]; if all is quiet it is asked this often.
const PROBE: Duration = Duration::from_secs(3);
const UNHEARD: Duration = Duration::from_secs(9);
/// When the system has no room for another connection.
const TRY_AGAIN: Duration = Duration::from_millis(50);

/// TLS for the operator's port. A client certificate is verified when it is given and may be absent, because an agent
/// that joins has none yet: each service decides by [`Peer::of`](crate::Peer::of).
pub fn server_tls(credentials: Arc<Credentials>) -> Result<Arc<ServerConfig>, PkiError> {
    let unfit = |reason: String| PkiError::Authority { part: "certificate", reason };
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(credentials.authority().pem().as_bytes()) {
        let root = root.map_err(|error| unfit(error.to_string()))?;
        roots.add(root).map_err(|error| unfit(error.to_string()))?;
    }
    let provider = Arc::new(default_provider());
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    let clients = clients.allow_unauthenticated().build().map_err(|error| unfit(error.to_string()))?;
    let config = ServerConfig::builder_with_provider(provider).with_protocol_versions(&[&TLS13]);
    let config = config.map_err(|error| unfit(error.to_string()))?;
    let mut config = config.with_client_cert_verifier(clients).with_cert_resolver(credentials);
    config.alpn_protocols = vec![b"h2".to_vec()];
    // Who comes back proves anew who it is.
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

/// Connections whose handshake is done. Handshakes go on side by side, so that a slow one holds up nobody; the port is
/// closed once the stream is dropped.
pub fn accept(
    listener: TcpListener,
    tls: Arc<ServerConfig>,
) -> ReceiverStream<io::Result<TlsStream<TcpStream>>> {
    let (ready, connections) = mpsc::channel(1);
    tokio::spawn(async move {
        tokio::select! {
            () = ready.closed() => {}
            () = accept_all(&listener, TlsAcceptor::from(tls), &ready) => {}
        }
    });
    ReceiverStream::new(connections)
}

/// Leaves who was refused the time to read why. A client has begun to talk by then: if nobody listened any more, its next
/// word would break the connection before it has read the alert, and it would not know that its certificate is at fault.
async fn part(mut stream: TcpStream) {
    let listen = async {
        _ = stream.shutdown().await;
        let mut unheard = [0; 4096];
        while stream.read(&mut unheard).await.is_ok_and(|read| read > 0) {}
    };
    // Who goes on talking is hung up on.
    _ = timeout(PARTING, listen).await;
}

/// The kernel asks for hosts that are silent, which costs this process nothing, and nothing is held back for more data.
fn attend(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(PROBE).with_interval(PROBE))?;
    socket.set_tcp_user_timeout(Some(UNHEARD))
}

async fn accept_all(
    listener: &TcpListener,
    acceptor: TlsAcceptor,
    ready: &mpsc::Sender<io::Result<TlsStream<TcpStream>>>,
) {
    let handshakes = Arc::new(Semaphore::new(HANDSHAKES));
    // The semaphore is never closed.
    while let Ok(permit) = handshakes.clone().acquire_owned().await {
        let Ok((stream, _)) = listener.accept().await else {
            sleep(TRY_AGAIN).await;
            continue;
        };
        if let Err(error) = attend(&stream) {
            tracing::debug!(%error, "a connection that broke at once");
            continue;
        }
        let (acceptor, ready) = (acceptor.clone(), ready.clone());
        tokio::spawn(async move {
            match timeout(HANDSHAKE, acceptor.accept(stream).into_fallible()).await {
                // Nobody waits for it any more where the port is being closed.
                Ok(Ok(stream)) => _ = ready.send(Ok(stream)).await,
                Ok(Err((_, stream))) => part(stream).await,
                Err(_) => {}
            }
            drop(permit);
        });
    }
}
