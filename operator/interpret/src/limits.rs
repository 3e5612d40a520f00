//! Token buckets, one for each key of each rule, and exact: the kernel's keys may share one.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use ipnet::IpNet;
use sluice_policy::{Filter, LimitKey, Rate, RateLimit, Rule};

use crate::packet::Packet;

/// What was taken so far. One for each interface of a node would be wrong: a rate is the node's.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    /// When the bucket of a policy's rule and a key will be full again, in ns times the rate, so that nothing is rounded.
    full_at: HashMap<(String, String, u128), u128>,
}

const SECOND: u128 = 1_000_000_000;

/// One packet, as rates see it.
pub(crate) struct Arrival<'l> {
    /// `None`: within every rate.
    taken: Option<(&'l mut Limits, Duration)>,
    /// Of the frame.
    length: usize,
    source_mac: u128,
}

impl<'l> Arrival<'l> {
    pub fn new(frame: &[u8], taken: Option<(&'l mut Limits, Duration)>) -> Arrival<'l> {
        let source_mac = frame.get(6..12).unwrap_or_default();
        let source_mac = source_mac.iter().fold(0, |mac, byte| mac << 8 | u128::from(*byte));
        Arrival { taken, length: frame.len(), source_mac }
    }

    /// Takes what the packet costs; true if there is too little.
    pub fn is_above(&mut self, filter: &Filter, rule: &Rule, limit: &RateLimit, packet: &Packet) -> bool {
        let key = self.key(limit.per, packet);
        let Some((limits, time)) = &mut self.taken else { return false };
        let (per_second, amount) = match limit.rate {
            Rate::PacketsPerSecond(packets) => (packets, 1),
            Rate::BytesPerSecond(bytes) => (bytes, self.length),
        };
        let now = time.as_nanos() * u128::from(per_second);
        let bucket = (filter.object.uid.clone(), rule.name.clone(), key);
        let full_at = limits.full_at.entry(bucket).or_default();
        let next = (*full_at).max(now) + amount as u128 * SECOND;
        if next - now > u128::from(limit.burst) * SECOND {
            return true;
        }
        *full_at = next;
        false
    }

    fn key(&self, per: LimitKey, packet: &Packet) -> u128 {
        let (source, destination) = packet.ip.map(|ip| (ip.source, ip.destination)).unzip();
        match per {
            LimitKey::Rule => 0,
            LimitKey::Source => number(source),
            LimitKey::Destination => number(destination),
            LimitKey::SourcePrefix { v4, v6 } => {
                let length = if source.is_some_and(|source| source.is_ipv4()) { v4 } else { v6 };
                let network = source.and_then(|source| IpNet::new(source, length).ok());
                number(network.map(|network| network.network()))
            }
            LimitKey::SourceMac => self.source_mac,
        }
    }
}

/// An IPv4 address is its IPv6-mapped one; 0 where there is none.
fn number(address: Option<IpAddr>) -> u128 {
    match address {
        Some(IpAddr::V4(v4)) => v4.to_ipv6_mapped().to_bits(),
        Some(IpAddr::V6(v6)) => v6.to_bits(),
        None => Ipv6Addr::UNSPECIFIED.to_bits(),
    }
}
