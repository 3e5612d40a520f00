use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use sluice_proto::v1::Capabilities;

/// What does not change while the agent runs.
#[derive(Clone, Debug)]
pub struct Config {
    pub node: String,
    /// `HOST:PORT`, or several with commas between; a host with several addresses stands for as many replicas.
    pub operator: String,
    /// Where the operator was before, for when its name cannot be resolved.
    pub known: Vec<SocketAddr>,
    /// PEM certificates of the operator's CA; read anew for each connection.
    pub ca: PathBuf,
    /// Shown once for a certificate; read anew each time, since bound tokens rotate.
    pub token: PathBuf,
    pub labels: BTreeMap<String, String>,
    pub version: String,
    pub boot_id: String,
    pub capabilities: Capabilities,
    pub pace: Pace,
}

/// How often and how patiently.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    pub report: Duration,
    /// Only for a process that hangs: a host that is gone the kernels notice.
    pub heartbeat: Duration,
    /// In place of it while the node waits for something: the operator's word on a plan on trial, or room on its disk.
    pub waiting: Duration,
    /// Bounds of the waits between attempts to connect.
    pub backoff: (Duration, Duration),
    /// For one TCP and TLS handshake, at first: it doubles after each that took longer.
    pub connect: Duration,
    /// A host that acknowledges nothing counts as gone after this, at first as well.
    pub unheard: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Pace {
            report: Duration::from_secs(1),
            heartbeat: Duration::from_secs(30),
            waiting: Duration::from_secs(1),
            backoff: (Duration::from_millis(200), Duration::from_secs(30)),
            connect: Duration::from_secs(5),
            unheard: Duration::from_secs(2),
        }
    }
}
