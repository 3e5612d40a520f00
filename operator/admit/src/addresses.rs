//! Addresses and prefixes as text.

use std::net::IpAddr;

use ipnet::IpNet;
use sluice_crds::{AddressMatch, Cidr, IpAddress, MAX_ENTRIES};
use sluice_policy::PrefixSet;

use crate::address_set::set_names;
use crate::refusal::Checks;

pub(crate) fn prefix_set(found: &AddressMatch, path: &str, checks: &mut Checks) -> PrefixSet {
    let AddressMatch { cidrs, sets, except } = found;
    if cidrs.is_empty() && sets.is_empty() && except.is_empty() {
        checks.refuse(path, "no prefix is named: write cidrs, sets or except, or remove the field");
    }
    let sets = set_names(sets, &format!("{path}.sets"), checks);
    let mut set = PrefixSet { sets, ..PrefixSet::default() };
    for net in prefixes(cidrs, &format!("{path}.cidrs"), checks) {
        set.push(net);
    }
    for net in prefixes(except, &format!("{path}.except"), checks) {
        match net {
            IpNet::V4(net) => set.except_v4.push(net),
            IpNet::V6(net) => set.except_v6.push(net),
        }
    }
    set
}

fn prefixes(found: &[Cidr], path: &str, checks: &mut Checks) -> Vec<IpNet> {
    checks.at_most(found.len(), MAX_ENTRIES, path);
    let parsed = found.iter().enumerate().filter_map(|(index, cidr)| {
        prefix(cidr.as_str()).map_err(|message| checks.refuse(format!("{path}[{index}]"), message)).ok()
    });
    parsed.collect()
}

/// The error says what to write.
pub(crate) fn prefix(text: &str) -> Result<IpNet, String> {
    let form = format!("\"{text}\" is not a prefix: write an address and a length, as 192.0.2.0/24");
    // Parts apart: both parsers refuse leading zeros, which some tools read as octal.
    let parts = text.split_once('/').filter(|(_, length)| *length == "0" || !length.starts_with(['0', '+']));
    let parsed = parts.and_then(|(address, length)| Some((address.parse().ok()?, length.parse().ok()?)));
    let net =
        parsed.and_then(|(address, length)| IpNet::new(address, length).ok()).ok_or_else(|| form.clone())?;
    // The API server's CEL library does not take IPv4 written as IPv6 either.
    if let IpAddr::V6(address) = net.addr()
        && address.to_ipv4_mapped().is_some()
    {
        return Err(form);
    }
    if net.trunc() != net {
        return Err(format!("\"{text}\" has host bits set: write {}", net.trunc()));
    }
    Ok(net)
}

/// A canonical global unicast address.
pub(crate) fn unicast(found: &IpAddress, path: &str, checks: &mut Checks) -> Option<IpAddr> {
    let text = found.as_str();
    let Ok(address) = text.parse::<IpAddr>() else {
        let message = format!("\"{text}\" is not an IP address: write one as 203.0.113.10 or 2001:db8::10");
        checks.refuse(path, message);
        return None;
    };
    if address.to_string() != text {
        checks.refuse(path, format!("\"{text}\" is not in canonical form: write {address}"));
    } else if !is_unicast(address) {
        let message = "is a loopback, link-local, multicast or unspecified address: write a unicast address";
        checks.refuse(path, format!("\"{text}\" {message}"));
    }
    Some(address)
}

fn is_unicast(address: IpAddr) -> bool {
    let special = match address {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_unicast_link_local() || v6.to_ipv4_mapped().is_some(),
    };
    !(special || address.is_loopback() || address.is_multicast() || address.is_unspecified())
}
