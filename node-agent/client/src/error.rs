use std::error::Error as _;
use std::io;
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("{}: {source}; --ca and --token-file name files that the agent can read", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("{}: {source}; --ca names the operator's ca.crt", path.display())]
    Authority { path: PathBuf, source: sluice_seal::Unreadable },
    #[error("operator address `{0}` is no HOST:PORT")]
    Address(String),
    #[error("cannot resolve `{host}`: {source}")]
    Resolve { host: String, source: io::Error },
    #[error("cannot connect to {endpoint}: {}", explain(&chain(source)))]
    Connect { endpoint: String, source: tonic::transport::Error },
    #[error("the operator refuses the certificate request: {}", .0.message())]
    Enroll(#[source] tonic::Status),
    #[error("the certificate does not fit: {0}")]
    Certificate(String),
    #[error("the stream broke: {}", .0.message())]
    Stream(#[source] tonic::Status),
    #[error("the operator closed the stream")]
    Closed,
    #[error("the data plane's part of the agent ended")]
    Ended,
}

impl ClientError {
    /// The operator does not take this certificate: another token exchange may mend it, waiting does not.
    ///
    /// With TLS 1.3 a server refuses the client's certificate only after the handshake, so the alert breaks the stream. On
    /// its way here it lost its type; what is left is the kind that TLS faults have and broken networks do not.
    pub(crate) fn is_unauthenticated(&self) -> bool {
        let (ClientError::Stream(status) | ClientError::Enroll(status)) = self else { return false };
        status.code() == tonic::Code::Unauthenticated || is_caused_by(status, io::ErrorKind::InvalidData)
    }

    /// Nothing came for too long.
    pub(crate) fn is_timeout(&self) -> bool {
        is_caused_by(self, io::ErrorKind::TimedOut)
    }
}

fn is_caused_by(error: &(dyn std::error::Error + 'static), kind: io::ErrorKind) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == kind) {
            return true;
        }
        next = error.source();
    }
    false
}

/// The way out where there is one besides waiting.
fn explain(cause: &str) -> String {
    if cause.contains("invalid peer certificate") {
        format!("{cause}: the file given with --ca is of another authority; copy ca.crt from this operator")
    } else {
        cause.to_owned()
    }
}

/// tonic says "transport error" and keeps the cause to itself.
fn chain(error: &tonic::transport::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
