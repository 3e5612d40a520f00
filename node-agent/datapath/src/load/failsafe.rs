//! Failsafe ports and their sources, to the program's constants and back.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use sluice_abi::{
    Config, FailsafePort, FailsafeSource, MAX_FAILSAFE_PORTS, MAX_FAILSAFE_SOURCES, PROTOCOL_PORTS,
    failsafe_bit, kind,
};
use sluice_plan::{Failsafe, FailsafeEntry};

use super::LoadError;

pub fn put(failsafe: &Failsafe, config: &mut Config) -> Result<(), LoadError> {
    let ports = &failsafe.ports;
    let sources: usize = ports.iter().map(|port| port.sources.len()).sum();
    for (table, found, most) in [
        ("failsafe.ports", ports.len(), MAX_FAILSAFE_PORTS),
        ("failsafe.ports.sources", sources, MAX_FAILSAFE_SOURCES),
    ] {
        if found > most {
            return Err(LoadError::Plan { table, problem: format!("{found} elements, at most {most}") });
        }
    }
    let mut next = 0;
    config.failsafe_filter =
        PROTOCOL_PORTS.into_iter().fold(0, |bits, port| bits | failsafe_bit(port.into()));
    for (index, from) in ports.iter().enumerate() {
        config.failsafe_ports[index] = FailsafePort { port: from.port, protocol: from.protocol, reserved: 0 };
        config.failsafe_filter |= failsafe_bit(from.port.into());
        config.failsafe_open |= u32::from(from.sources.is_empty()) << index;
        for net in &from.sources {
            config.failsafe_sources[next] = source(*net, index);
            next += 1;
        }
    }
    config.failsafe_rate = failsafe.packets_per_second;
    config.failsafe_burst = failsafe.burst;
    Ok(())
}

/// What the constants say of the ports.
pub fn ports(config: &Config) -> Vec<FailsafeEntry> {
    let ports = config.failsafe_ports.iter().enumerate();
    let used = ports.filter(|(_, port)| port.port != 0 || port.protocol != 0);
    used.map(|(index, port)| {
        let sources = config.failsafe_sources.iter().filter(|source| source.ports >> index & 1 == 1);
        FailsafeEntry { port: port.port, protocol: port.protocol, sources: sources.map(prefix).collect() }
    })
    .collect()
}

fn source(net: IpNet, port: usize) -> FailsafeSource {
    let (family, address, length) = match net {
        IpNet::V4(net) => (kind::FAMILY_V4, net.network().to_ipv6_mapped(), net.prefix_len() + 96),
        IpNet::V6(net) => (kind::FAMILY_V6, net.network(), net.prefix_len()),
    };
    let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or_default();
    FailsafeSource { address: halves(address.into()), mask: halves(mask), family, ports: 1 << port }
}

fn halves(number: u128) -> [u64; 2] {
    [(number >> 64) as u64, number as u64]
}

fn prefix(source: &FailsafeSource) -> IpNet {
    let whole = |[high, low]: [u64; 2]| u128::from(high) << 64 | u128::from(low);
    let (address, length) = (Ipv6Addr::from(whole(source.address)), whole(source.mask).leading_ones() as u8);
    let (address, length): (IpAddr, u8) = match source.family {
        kind::FAMILY_V4 => (Ipv4Addr::from(source.address[1] as u32).into(), length.saturating_sub(96)),
        _ => (address.into(), length),
    };
    IpNet::new_assert(address, length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_comes_back() {
        let nets = |texts: &[&str]| texts.iter().map(|text| text.parse().expect("a prefix")).collect();
        let entry = |port, sources: &[&str]| FailsafeEntry { port, protocol: 6, sources: nets(sources) };
        let failsafe = Failsafe {
            ports: vec![
                entry(22, &["0.0.0.0/0", "10.0.0.0/8", "192.0.2.7/32", "::/0", "2001:db8::/33", "::1/128"]),
                entry(10250, &[]),
                entry(9443, &["10.0.0.0/8"]),
            ],
            ..Failsafe::default()
        };
        let mut config = Config::EMPTY;
        put(&failsafe, &mut config).expect("within the bounds");
        assert_eq!(ports(&config), failsafe.ports);
        assert_eq!(config.failsafe_open, 0b010);
    }
}
