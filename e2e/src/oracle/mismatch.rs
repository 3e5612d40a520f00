//! A disagreement, with all that is needed to see it again.

use std::fmt;
use std::net::IpAddr;

use sluice_interpret::World;

use super::count::{Count, Key};
use super::seen::Seen;

#[derive(Clone, Debug)]
pub struct Mismatch {
    pub packet: String,
    pub frame: Vec<u8>,
    pub difference: Difference,
    pub world: World,
}

#[derive(Clone, Debug)]
pub enum Difference {
    Outcome {
        kernel: Seen,
        interpreter: Seen,
    },
    /// The balancer chose a backend that it must not.
    Backend {
        chosen: Option<IpAddr>,
        allowed: Vec<IpAddr>,
    },
    Counter {
        key: Key,
        kernel: Count,
        interpreter: Count,
    },
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "kernel and interpreter disagree on {}", self.packet)?;
        writeln!(f, "frame: {}", hex::encode(&self.frame))?;
        match &self.difference {
            Difference::Outcome { kernel, interpreter } => {
                writeln!(f, "kernel:      {kernel:?}\ninterpreter: {interpreter:?}")?;
            }
            Difference::Backend { chosen, allowed } => {
                writeln!(f, "kernel:      backend {chosen:?}\ninterpreter: one of {allowed:?}")?;
            }
            Difference::Counter { key: (policy, name, counted), kernel, interpreter } => {
                writeln!(f, "counter {policy} {name} {counted:?}")?;
                writeln!(f, "kernel:      {kernel:?}\ninterpreter: {interpreter:?}")?;
            }
        }
        for filter in &self.world.filters {
            let filter = serde_json::to_string(filter).map_err(|_| fmt::Error)?;
            writeln!(f, "filter: {filter}")?;
        }
        for service in &self.world.services {
            let balancer = serde_json::to_string(&service.balancer).map_err(|_| fmt::Error)?;
            writeln!(f, "balancer: {balancer} of which are healthy {:?}", service.healthy)?;
        }
        Ok(())
    }
}

impl std::error::Error for Mismatch {}
