use std::path::PathBuf;

/// Why logs or traces cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error("--log-level: {0}")]
    Level(String),
    #[error("--otlp-endpoint {endpoint}: {source}: write http://HOST:PORT or https://HOST:PORT")]
    Endpoint {
        endpoint: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("logs of this process are begun already")]
    Begun,
}

/// Why a process cannot be told its level.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    #[error("nothing that runs here listens at {socket}: {source}")]
    Nobody {
        socket: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{socket}: the process hung up: only who runs it, or root, may change its level")]
    Refused { socket: PathBuf },
    #[error("{0}")]
    Wrong(String),
}
