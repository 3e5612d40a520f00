//! The operator's port while its certificate is replaced.
#![allow(clippy::unwrap_used, reason = "a helper's panic is the test's failure")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use sluice_pki::{Authority, Credentials, KeyAndCertificate, Peer, accept, server_tls};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy, split};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_stream::StreamExt;

const NAME: &str = "operator.example";
const LIFE: Duration = Duration::from_secs(3600);
/// Seconds that the operator's clock is behind: what it certifies must be good for clients, whose clock is right.
static BEHIND: AtomicU64 = AtomicU64::new(0);

fn clock() -> SystemTime {
    SystemTime::now() - Duration::from_secs(BEHIND.load(Ordering::Relaxed))
}

#[tokio::test]
async fn new_connections_see_a_new_certificate_and_old_ones_go_on() {
    BEHIND.store(40 * 60, Ordering::Relaxed);
    let authority = Arc::new(Authority::generate(clock()).unwrap().0);
    let own = Credentials::new(authority.clone(), &[NAME.to_owned()], LIFE, clock).unwrap();
    let first_pair = own.pair();
    assert!(Arc::ptr_eq(&first_pair, &own.pair()), "one for all");
    let address = echo(own.clone()).await;

    let mut first = connect(&authority, address).await;
    assert_eq!(said_back(&mut first, b"before").await, b"before");
    let shown = certificate(&first);
    assert_eq!(certificate(&connect(&authority, address).await), shown);
    BEHIND.store(0, Ordering::Relaxed);
    let mut second = connect(&authority, address).await;
    assert_ne!(certificate(&second), shown);
    assert!(!Arc::ptr_eq(&first_pair, &own.pair()), "towards other replicas, too");
    assert_eq!(said_back(&mut first, b"after").await, b"after");
    assert_eq!(said_back(&mut second, b"anew").await, b"anew");
    assert!(matches!(Peer::from_der(&certificate(&second)), Ok(Peer::Operator(_))));
}

#[tokio::test]
async fn a_client_that_says_nothing_holds_up_nobody() {
    let authority = Arc::new(Authority::generate(SystemTime::now()).unwrap().0);
    let own = Credentials::new(authority.clone(), &[NAME.to_owned()], LIFE, SystemTime::now).unwrap();
    let address = echo(own).await;
    let mut silent = Vec::new();
    for _ in 0..50 {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    let mut stream = connect(&authority, address).await;
    assert_eq!(said_back(&mut stream, b"hello").await, b"hello");
}

/// With TLS 1.3 a client has begun to talk when its certificate is looked at.
#[tokio::test]
async fn who_is_refused_is_told_so_whatever_it_says_meanwhile() {
    let authority = Arc::new(Authority::generate(SystemTime::now()).unwrap().0);
    let own = Credentials::new(authority.clone(), &[NAME.to_owned()], LIFE, SystemTime::now).unwrap();
    let address = echo(own).await;
    let stranger = Authority::generate(SystemTime::now()).unwrap().0;
    let shown = stranger.issue_admin("admin", SystemTime::now()).unwrap();
    for _ in 0..20 {
        let mut stream = connect_as(&authority, address, Some(&shown)).await;
        // The refusal is there by now, and unread.
        stream.get_ref().0.readable().await.unwrap();
        for _ in 0..10 {
            let said = stream.write_all(&[7; 1000]).await;
            assert!(said.is_ok(), "hung up on before it could read why: {said:?}");
            tokio::task::yield_now().await;
        }
        let told = stream.read(&mut [0]).await.unwrap_err();
        assert_eq!(told.kind(), std::io::ErrorKind::InvalidData, "{told}");
    }
}

async fn echo(own: Arc<Credentials>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut connections = accept(listener, server_tls(own).unwrap());
    tokio::spawn(async move {
        while let Some(Ok(stream)) = connections.next().await {
            tokio::spawn(async move {
                let (mut read, mut write) = split(stream);
                _ = copy(&mut read, &mut write).await;
            });
        }
    });
    address
}

async fn connect(authority: &Authority, address: SocketAddr) -> TlsStream<TcpStream> {
    connect_as(authority, address, None).await
}

async fn connect_as(
    authority: &Authority,
    address: SocketAddr,
    own: Option<&KeyAndCertificate>,
) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots);
    let mut config = match own {
        None => config.with_no_client_auth(),
        Some(own) => {
            let chain = CertificateDer::from_pem_slice(own.certificate.as_bytes()).unwrap();
            let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes()).unwrap();
            config.with_client_auth_cert(vec![chain], key).unwrap()
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    let tcp = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from(NAME).unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, tcp).await.unwrap()
}

fn certificate(stream: &TlsStream<TcpStream>) -> Vec<u8> {
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

async fn said_back(stream: &mut TlsStream<TcpStream>, words: &[u8]) -> Vec<u8> {
    stream.write_all(words).await.unwrap();
    stream.flush().await.unwrap();
    let mut back = vec![0; words.len()];
    stream.read_exact(&mut back).await.unwrap();
    back
}
