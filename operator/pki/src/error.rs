use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: std::io::Error },
    #[error(
        "{path}: {reason}; restore the file, or remove the whole pki directory to make a new authority (every agent must then join again)"
    )]
    Damaged { path: PathBuf, reason: String },
    #[error(
        "node name {found:?}: write lower-case letters, digits, '-' and '.', at most 253, as in a DNS name"
    )]
    NodeName { found: String },
    #[error("server name {found:?} is neither a DNS name nor an IP address")]
    ServerName { found: String },
    #[error("the certificate request is refused: {0}")]
    Request(String),
    #[error("the authority's {part} does not parse: {reason}")]
    Authority { part: &'static str, reason: String },
    #[error("the authority's key does not belong to its certificate; give the pair that was made together")]
    KeyMismatch,
    #[error("the certificate has no identity of this fleet: {0}")]
    Peer(String),
    #[error("the join token is not one of this operator's: print the node's with `kubectl sluice join NODE`")]
    Token,
    #[error("the join token of {node} is over: print a new one with `kubectl sluice join {node}`")]
    TokenOver { node: String },
}
