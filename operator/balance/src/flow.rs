use std::net::IpAddr;

use crate::ring::Ring;

/// What tells one connection from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    pub source: IpAddr,
    pub source_port: u16,
    pub destination: IpAddr,
    pub destination_port: u16,
    /// 6 TCP, 17 UDP.
    pub protocol: u8,
}

/// Multipliers of MurmurHash3's 64-bit finaliser (Appleby, public domain).
const FIRST: u64 = 0xff51_afd7_ed55_8ccd;
const SECOND: u64 = 0xc4ce_b9fe_1a85_ec53;

impl Ring {
    /// The backend that the kernel's program sends the connection to: it has the same function.
    pub fn backend(&self, flow: &Flow) -> Option<IpAddr> {
        let slot = (hash(flow) >> 32) as usize & self.len().checked_sub(1)?;
        self.owner(slot)
    }
}

fn hash(flow: &Flow) -> u64 {
    let ports =
        u64::from(flow.source_port) << 32 | u64::from(flow.destination_port) << 16 | u64::from(flow.protocol);
    let ([source_high, source_low], [high, low]) = (halves(flow.source), halves(flow.destination));
    let mixed = [source_low, source_high, low, high].into_iter().fold(ports, |hash, word| {
        let mixed = (hash ^ word).wrapping_mul(FIRST);
        mixed ^ mixed >> 32
    });
    let finished = (mixed ^ mixed >> 33).wrapping_mul(SECOND);
    finished ^ finished >> 33
}

/// IPv4 as `::ffff:a.b.c.d`.
fn halves(address: IpAddr) -> [u64; 2] {
    let bits = match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    };
    [(bits >> 64) as u64, bits as u64]
}
