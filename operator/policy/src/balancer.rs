//! A layer-4 balancer: virtual addresses in front of weighted backends.

use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::selection::{Interfaces, NodeSelector, ObjectRef};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balancer {
    pub object: ObjectRef,
    /// `metadata.creationTimestamp` in seconds: of two claims on one address the older wins.
    pub created: i64,
    pub nodes: NodeSelector,
    pub interfaces: Interfaces,
    pub addresses: Vec<IpAddr>,
    pub ports: Vec<VipPort>,
    pub backends: Vec<Backend>,
    /// Power of two.
    pub slots: u32,
    pub health_check: Option<HealthCheck>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VipPort {
    pub name: String,
    /// 6 TCP, 17 UDP.
    pub protocol: u8,
    pub port: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backend {
    pub address: IpAddr,
    /// 0 takes no ring slot.
    pub weight: u16,
}

/// A TCP connect to the backend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthCheck {
    pub port: u16,
    pub interval: Duration,
    pub timeout: Duration,
    /// Successes in a row that make a backend healthy.
    pub rise: u32,
    /// Failures in a row that make it unhealthy.
    pub fall: u32,
}
