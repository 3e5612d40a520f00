use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::Duration;

/// How backends are tried: from every selected node, each backend at each interval.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(
    "!(self.interval.matches('^([0-9]{1,5}(ms|s|m|h)){1,3}$') && \
        self.timeout.matches('^([0-9]{1,5}(ms|s|m|h)){1,3}$')) \
     || duration(self.timeout) <= duration(self.interval)",
).message("timeout is longer than interval, so checks would overlap: lower timeout or raise interval"))]
pub struct HealthCheck {
    /// A connection is opened and closed again; the check passes when the backend accepts it.
    pub tcp: TcpProbe,
    /// From the start of one check to the start of the next, 50ms to 1h. Default: 2s.
    #[serde(default = "default_interval")]
    pub interval: Duration,
    /// How long an answer may take, at most interval. Default: 1s.
    #[serde(default = "default_timeout")]
    pub timeout: Duration,
    /// So many passes in a row make an unhealthy backend healthy, 1 to 32. Default: 2.
    #[serde(default = "default_rise")]
    #[schemars(range(min = 1, max = 32))]
    pub rise: u32,
    /// So many failures in a row make a healthy backend unhealthy, 1 to 32. Default: 3.
    #[serde(default = "default_fall")]
    #[schemars(range(min = 1, max = 32))]
    pub fall: u32,
}

fn default_interval() -> Duration {
    "2s".into()
}

fn default_timeout() -> Duration {
    "1s".into()
}

const fn default_rise() -> u32 {
    2
}

const fn default_fall() -> u32 {
    3
}

/// A check by TCP connection.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct TcpProbe {
    /// The port of the backend, 1 to 65535.
    #[schemars(range(min = 1, max = 65535))]
    pub port: u16,
}
