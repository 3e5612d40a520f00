use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// All that an agent must be told.
#[derive(Clone, Debug)]
pub struct Config {
    pub node: String,
    /// `HOST:PORT`.
    pub operator: String,
    /// PEM certificates of the operator's authority.
    pub ca: PathBuf,
    /// File with the join token.
    pub token: PathBuf,
    pub state: PathBuf,
    pub bpffs: PathBuf,
    pub labels: BTreeMap<String, String>,
    /// Where metrics and health are served; nowhere if `None`.
    pub metrics: Option<SocketAddr>,
    /// Most prefixes of all address sets together, IPv6 ones counted six times; by its memory if `None`.
    pub set_prefixes: Option<u64>,
    pub report_interval: Duration,
}
