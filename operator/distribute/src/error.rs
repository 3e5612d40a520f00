/// Why the port is not served (any more).
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("certificate, key or authority of the listener is not accepted: {0}")]
    Tls(#[source] tonic::transport::Error),
    #[error("the listener failed: {0}")]
    Listener(#[source] tonic::transport::Error),
}
