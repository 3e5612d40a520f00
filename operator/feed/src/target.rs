//! Where feeds may be: an author of sets must not make the operator talk to what is inside.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;
use sluice_plan::FeedTarget;

/// What may be connected to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Targets {
    /// Of the fleet configuration.
    pub allowed: Vec<FeedTarget>,
    /// Addresses of the fleet itself: nodes, Services, pods, the API server.
    pub own: BTreeSet<IpAddr>,
}

impl Targets {
    /// # Errors
    /// What the address is that may not be connected to.
    pub fn check(&self, to: SocketAddr) -> Result<(), &'static str> {
        let named = |target: &FeedTarget| {
            let inside = target.prefix.parse::<IpNet>().is_ok_and(|prefix| prefix.contains(&to.ip()));
            inside && (target.ports.is_empty() || target.ports.contains(&to.port()))
        };
        if self.allowed.iter().any(named) {
            return Ok(());
        }
        if self.own.contains(&to.ip()) {
            return Err("an address of the fleet itself");
        }
        match forbidden(to.ip()) {
            Some(kind) => Err(kind),
            None => Ok(()),
        }
    }
}

/// Special-purpose addresses (IANA's registries, RFC 6890), and those that clouds answer their machines at.
fn forbidden(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(v4) => forbidden_v4(v4),
        IpAddr::V6(v6) => forbidden_v6(v6),
    }
}

fn forbidden_v4(address: Ipv4Addr) -> Option<&'static str> {
    let [a, b, c, _] = address.octets();
    let kind = match (a, b, c) {
        (127, ..) => "a loopback address",
        (10, ..) | (172, 16..=31, _) | (192, 168, _) => "a private address",
        (100, 64..=127, _) => "a private address (RFC 6598)",
        (169, 254, _) => "a link-local address",
        (0, ..) => "no address of a host",
        (168, 63, 129) => "a cloud's metadata address",
        (192, 0, 0) | (192, 0, 2) | (198, 18..=19, _) | (198, 51, 100) | (203, 0, 113) => {
            "an address for special purposes"
        }
        (192, 88, 99) => "an address for special purposes",
        (224..=239, ..) => "a multicast address",
        (240.., ..) => "a reserved address",
        _ => return None,
    };
    Some(kind)
}

fn forbidden_v6(address: Ipv6Addr) -> Option<&'static str> {
    if let Some(v4) = address.to_ipv4_mapped().or_else(|| translated(address)) {
        return forbidden_v4(v4);
    }
    let segments = address.segments();
    let kind = match segments {
        _ if address.is_loopback() => "a loopback address",
        _ if address.is_unspecified() => "no address of a host",
        [0xfe80..=0xfebf, ..] => "a link-local address",
        [0xfc00..=0xfdff, ..] | [0xfec0..=0xfeff, ..] => "a private address",
        [0xff00..=0xffff, ..] => "a multicast address",
        [0x2001, 0x0000..=0x01ff, ..] | [0x2001, 0x0db8, ..] => "an address for special purposes",
        [0x3fff, 0x0000..=0x0fff, ..] => "an address for special purposes",
        [0x2000..=0x3fff, ..] => return None,
        _ => "a reserved address",
    };
    Some(kind)
}

/// The IPv4 host that NAT64 (RFC 6052) or 6to4 (RFC 3056) leads to.
fn translated(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let octets = address.octets();
    let v4 = |at: usize| Some(Ipv4Addr::from(*octets[at..].first_chunk::<4>()?));
    match address.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => v4(12),
        [0x2002, ..] => v4(2),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(targets: &Targets, address: &str) -> Result<(), &'static str> {
        targets.check(SocketAddr::new(address.parse().expect("an address"), 443))
    }

    #[test]
    fn what_is_inside_is_refused_however_it_is_written() {
        let none = Targets::default();
        for (address, kind) in [
            ("127.0.0.1", "loopback"),
            ("127.255.255.254", "loopback"),
            ("::1", "loopback"),
            ("::ffff:127.0.0.1", "loopback"),
            ("64:ff9b::7f00:1", "loopback"),
            ("2002:7f00:1::1", "loopback"),
            ("10.0.0.1", "private"),
            ("172.16.0.1", "private"),
            ("172.31.255.255", "private"),
            ("192.168.1.1", "private"),
            ("::ffff:192.168.1.1", "private"),
            ("64:ff9b::a00:1", "private"),
            ("100.64.0.1", "private"),
            ("100.100.100.200", "private"),
            ("fd00:ec2::254", "private"),
            ("fec0::1", "private"),
            ("169.254.169.254", "link-local"),
            ("fe80::1", "link-local"),
            ("168.63.129.16", "metadata"),
            ("0.0.0.0", "no address"),
            ("::", "no address"),
            ("224.0.0.1", "multicast"),
            ("ff02::1", "multicast"),
            ("255.255.255.255", "reserved"),
            ("192.0.0.192", "special"),
            ("198.18.0.1", "special"),
            ("2001:db8::1", "special"),
            ("2001::1", "special"),
            ("100::1", "reserved"),
            ("::7f00:1", "reserved"),
        ] {
            let said = check(&none, address).expect_err(address);
            assert!(said.contains(kind), "{address}: {said}");
        }
        for address in [
            "1.1.1.1",
            "172.15.255.255",
            "172.32.0.1",
            "100.63.255.255",
            "2606:4700::1111",
            "64:ff9b::101:101",
        ] {
            assert_eq!(check(&none, address), Ok(()), "{address}");
        }
    }

    #[test]
    fn the_fleets_own_addresses_are_refused_and_what_is_named_is_not() {
        let own = [IpAddr::from([1, 1, 1, 1])].into();
        let target =
            |prefix: &str, ports: &[u16]| FeedTarget { prefix: prefix.to_owned(), ports: ports.to_vec() };
        let mut targets = Targets { allowed: vec![target("10.1.0.0/16", &[443])], own };
        assert_eq!(check(&targets, "1.1.1.1"), Err("an address of the fleet itself"));
        assert_eq!(check(&targets, "10.1.2.3"), Ok(()));
        assert!(check(&targets, "10.2.0.1").is_err());
        assert!(targets.check(SocketAddr::from(([10, 1, 2, 3], 80))).is_err(), "another port");
        targets.allowed = vec![target("1.1.1.1/32", &[])];
        assert_eq!(check(&targets, "1.1.1.1"), Ok(()));
    }
}
