//! XdpLoadBalancer.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use sluice_crds::{
    Backends, Duration as ApiDuration, Forwarding, ForwardingMode, HealthCheck as ApiCheck, Kind,
    MAX_ADDRESSES, MAX_BACKENDS, MAX_PORTS, ServicePort, ServiceProtocol, StaticBackend, XdpLoadBalancer,
    XdpLoadBalancerSpec,
};
use sluice_policy::{Backend, Balancer, HealthCheck, ObjectRef, VipPort};

use crate::addresses::unicast;
use crate::filter::check_name;
use crate::refusal::{Checks, Refusal};
use crate::selection;

/// # Errors
/// Everything that is wrong with the object; whether it may have its addresses is [`crate::grant_claims`]'s to say.
pub fn admit_balancer(found: &XdpLoadBalancer) -> Result<Balancer, Vec<Refusal>> {
    let metadata = &found.metadata;
    let object = ObjectRef {
        kind: Kind::XdpLoadBalancer.name().to_owned(),
        namespace: metadata.namespace.clone().unwrap_or_default(),
        name: metadata.name.clone().unwrap_or_default(),
        uid: metadata.uid.clone().unwrap_or_default(),
        generation: metadata.generation.unwrap_or_default(),
    };
    let mut checks = Checks::new(object.clone());
    check_name(&object.name, &mut checks);
    let XdpLoadBalancerSpec {
        addresses,
        ports,
        node_selector,
        interfaces,
        backends,
        forwarding,
        hashing,
        health_check,
    } = &found.spec;
    let Forwarding { mode: ForwardingMode::Ipip } = forwarding;
    let Backends::Static(backends) = backends;
    checks.require(!addresses.is_empty(), "spec.addresses", "is empty: write at least one address");
    checks.at_most(addresses.len(), MAX_ADDRESSES, "spec.addresses");
    let parsed = addresses.iter().enumerate();
    let vips: Vec<IpAddr> = parsed
        .filter_map(|(index, text)| unicast(text, &format!("spec.addresses[{index}]"), &mut checks))
        .collect();
    refuse_repeated(&vips, "spec.addresses", "address", &mut checks);
    if !hashing.slots.is_power_of_two() || !(256..=131_072).contains(&hashing.slots) {
        let slots = hashing.slots;
        checks.refuse(
            "spec.hashing.slots",
            format!("{slots} is no power of two from 256 to 131072: write 65536"),
        );
    }
    let backends = admit_backends(backends, &vips, &mut checks);
    let balancer = Balancer {
        created: metadata.creation_timestamp.as_ref().map(|time| time.0.as_second()).unwrap_or_default(),
        nodes: selection::nodes(node_selector.as_ref(), "spec.nodeSelector", &mut checks),
        interfaces: selection::interfaces(interfaces, &mut checks),
        addresses: vips,
        ports: admit_ports(ports, &mut checks),
        backends,
        slots: hashing.slots,
        health_check: health_check.as_ref().and_then(|found| admit_check(found, &mut checks)),
        object,
    };
    checks.finish(balancer)
}

fn refuse_repeated<T: Ord + Copy>(values: &[T], path: &str, what: &str, checks: &mut Checks) {
    let mut seen = BTreeSet::new();
    for (index, value) in values.iter().enumerate() {
        if !seen.insert(*value) {
            checks.refuse(format!("{path}[{index}]"), format!("this {what} is there twice: remove one"));
        }
    }
}

fn admit_ports(found: &[ServicePort], checks: &mut Checks) -> Vec<VipPort> {
    checks.require(!found.is_empty(), "spec.ports", "is empty: write at least one port");
    checks.at_most(found.len(), MAX_PORTS, "spec.ports");
    let names: Vec<&str> = found.iter().map(|port| port.name.as_str()).collect();
    refuse_repeated(&names, "spec.ports", "name", checks);
    let numbers: Vec<_> = found.iter().map(|port| (port.protocol, port.port)).collect();
    refuse_repeated(&numbers, "spec.ports", "protocol and port number", checks);
    let ports = found.iter().enumerate().map(|(index, port)| {
        checks.label(&port.name, &format!("spec.ports[{index}].name"));
        checks.require(port.port > 0, &format!("spec.ports[{index}].port"), "0 is no port: write 1 to 65535");
        let protocol = match port.protocol {
            ServiceProtocol::Tcp => 6,
            ServiceProtocol::Udp => 17,
        };
        VipPort { name: port.name.clone(), protocol, port: port.port }
    });
    ports.collect()
}

fn admit_backends(found: &[StaticBackend], vips: &[IpAddr], checks: &mut Checks) -> Vec<Backend> {
    let path = "spec.backends.static";
    checks.require(!found.is_empty(), path, "is empty: write at least one backend");
    checks.at_most(found.len(), MAX_BACKENDS, path);
    let mut backends = Vec::new();
    for (index, backend) in found.iter().enumerate() {
        let weight = backend.weight();
        if weight > 256 {
            checks
                .refuse(format!("{path}[{index}].weight"), format!("{weight} is too large: write 0 to 256"));
        }
        let Some(address) = unicast(&backend.address, &format!("{path}[{index}].address"), checks) else {
            continue;
        };
        if vips.contains(&address) {
            let message =
                format!("{address}: a virtual address is its own backend: write the server's own address");
            checks.refuse(format!("{path}[{index}].address"), message);
        }
        backends.push(Backend { address, weight });
    }
    let addresses: Vec<IpAddr> = backends.iter().map(|backend| backend.address).collect();
    refuse_repeated(&addresses, path, "backend", checks);
    for v6 in [true, false] {
        let has = |all: &[IpAddr]| all.iter().any(|address| address.is_ipv6() == v6);
        if !vips.is_empty() && !addresses.is_empty() && has(vips) != has(&addresses) {
            let message = "addresses and backends differ in their families, IPv4 and IPv6, and a packet is forwarded \
                 within its own: add the missing address or backend, or remove the other side's";
            checks.refuse("spec", message);
            break;
        }
    }
    backends
}

fn admit_check(found: &ApiCheck, checks: &mut Checks) -> Option<HealthCheck> {
    let path = "spec.healthCheck";
    checks.require(found.tcp.port > 0, "spec.healthCheck.tcp.port", "0 is no port: write 1 to 65535");
    for (value, name) in [(found.rise, "rise"), (found.fall, "fall")] {
        if !(1..=32).contains(&value) {
            checks.refuse(format!("{path}.{name}"), format!("{value} is out of range: write 1 to 32"));
        }
    }
    let interval = duration(&found.interval, "spec.healthCheck.interval", checks)?;
    let timeout = duration(&found.timeout, "spec.healthCheck.timeout", checks)?;
    let message = "timeout is longer than interval, so checks would overlap: lower timeout or raise interval";
    checks.require(timeout <= interval, path, message);
    Some(HealthCheck { port: found.tcp.port, interval, timeout, rise: found.rise, fall: found.fall })
}

pub(crate) fn duration(found: &ApiDuration, path: &str, checks: &mut Checks) -> Option<Duration> {
    let text = found.as_str();
    let Some(length) = found.to_std() else {
        checks.refuse(
            path,
            format!("\"{text}\" is not a length of time: write \"2s\", \"500ms\" or \"1m30s\""),
        );
        return None;
    };
    if length < Duration::from_millis(50) || length > Duration::from_secs(3600) {
        checks.refuse(path, format!("\"{text}\" is out of range: write a time from 50ms to 1h"));
    }
    Some(length)
}
