//! A server on loopback that answers each request with the very bytes that a test says.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use rcgen::{CertificateParams, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// From the head of a request to the bytes of the answer; `None` keeps the client waiting.
type Answer = dyn Fn(&str) -> Option<Vec<u8>> + Send + Sync;

pub struct Server {
    pub address: SocketAddr,
    /// Heads of the requests so far.
    pub asked: Arc<Mutex<Vec<String>>>,
    /// Of a server with TLS.
    pub authority: Option<CertificateDer<'static>>,
}

impl Server {
    pub async fn http(answer: impl Fn(&str) -> Option<Vec<u8>> + Send + Sync + 'static) -> Server {
        Server::start(None, Arc::new(answer)).await
    }

    /// For `localhost`, by an authority of its own.
    pub async fn https(answer: impl Fn(&str) -> Option<Vec<u8>> + Send + Sync + 'static) -> Server {
        let (config, authority) = tls();
        let server = Server::start(Some(TlsAcceptor::from(Arc::new(config))), Arc::new(answer)).await;
        Server { authority: Some(authority), ..server }
    }

    async fn start(tls: Option<TlsAcceptor>, answer: Arc<Answer>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let heads = asked.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (answer, heads, tls) = (answer.clone(), heads.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, &answer, &heads).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, &answer, &heads).await;
                            }
                        }
                    }
                });
            }
        });
        Server { address, asked, authority: None }
    }

    pub fn requests(&self) -> usize {
        self.asked.lock().expect("no test panics with it").len()
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    answer: &Arc<Answer>,
    heads: &Mutex<Vec<String>>,
) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let head = String::from_utf8(head).expect("a head is text");
    heads.lock().expect("no test panics with it").push(head.clone());
    match answer(&head) {
        Some(bytes) => {
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
        }
        None => std::future::pending().await,
    }
}

fn tls() -> (ServerConfig, CertificateDer<'static>) {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let authority = params.self_signed(&key).expect("a certificate");
    let issuer = Issuer::new(params, key);
    let own = KeyPair::generate().expect("a key");
    let leaf = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    let leaf = leaf.signed_by(&own, &issuer).expect("a certificate");
    let key = PrivateKeyDer::try_from(own.serialize_der()).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has the default versions")
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)
        .expect("a certificate with its key");
    (config, authority.der().clone())
}

/// A whole answer with a body, and more headers.
pub fn ok(body: impl AsRef<[u8]>, headers: &[&str]) -> Option<Vec<u8>> {
    let body = body.as_ref();
    let headers: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n{headers}\r\n", body.len());
    Some([head.as_bytes(), body].concat())
}

pub fn status(line: &str, headers: &[&str]) -> Option<Vec<u8>> {
    let headers: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    Some(format!("HTTP/1.1 {line}\r\ncontent-length: 0\r\n{headers}\r\n").into_bytes())
}
