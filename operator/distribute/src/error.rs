/// Why the port is not served (any more).
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("the listener failed: {0}")]
    Listener(#[source] tonic::transport::Error),
}
