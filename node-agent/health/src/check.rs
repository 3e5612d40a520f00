use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// What to check, and how.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Check {
    /// The balancer's uid.
    pub policy: String,
    pub target: SocketAddr,
    pub interval: Duration,
    pub timeout: Duration,
    /// Successes in a row that bring a backend back.
    pub rise: u32,
    /// Failures in a row that take it out.
    pub fall: u32,
}

/// What is known of a backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    pub policy: String,
    pub address: IpAddr,
    pub healthy: bool,
    /// Why not.
    pub detail: String,
}
