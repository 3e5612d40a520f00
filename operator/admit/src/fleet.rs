//! The fleet configuration: a mistake here would shut nodes off or leave balancers without addresses.

use sluice_plan::{AddressPool, Failsafe, FeedTarget, Fleet};
use sluice_policy::ObjectRef;

use crate::addresses::prefix;
use crate::refusal::{Checks, Refusal};

/// As many as the kernel program compares.
const MAX_PORTS: usize = 8;
const MAX_SOURCES: usize = 32;

/// # Errors
/// Everything that is wrong with it.
pub fn admit_fleet(found: Fleet) -> Result<Fleet, Vec<Refusal>> {
    let object =
        ObjectRef { kind: "Fleet".to_owned(), name: "configuration".to_owned(), ..ObjectRef::default() };
    let mut checks = Checks::new(object);
    check_failsafe(&found.failsafe, &mut checks);
    for (index, pool) in found.address_pools.iter().enumerate() {
        check_pool(pool, &format!("addressPools[{index}]"), &mut checks);
    }
    for (index, FeedTarget { prefix: text, ports }) in found.feed_targets.iter().enumerate() {
        let path = format!("feedTargets[{index}]");
        if let Err(message) = prefix(text) {
            checks.refuse(format!("{path}.prefix"), message);
        }
        checks.require(!ports.contains(&0), &format!("{path}.ports"), "0 is no port: write 1 to 65535");
    }
    checks.finish(found)
}

fn check_failsafe(found: &Failsafe, checks: &mut Checks) {
    let Failsafe { ports, packets_per_second, burst, control_endpoints } = found;
    checks.at_most(ports.len(), MAX_PORTS, "failsafe.ports");
    let sources: usize = ports.iter().map(|entry| entry.sources.len()).sum();
    let message = format!("{sources} prefixes over all ports: write at most {MAX_SOURCES}");
    checks.require(sources <= MAX_SOURCES, "failsafe.ports[*].sources", &message);
    for (index, entry) in ports.iter().enumerate() {
        let path = format!("failsafe.ports[{index}]");
        checks.require(entry.port > 0, &format!("{path}.port"), "0 is no port: write 1 to 65535");
        if !matches!(entry.protocol, 6 | 17) {
            let message = format!("{} has no ports: write 6 (TCP) or 17 (UDP)", entry.protocol);
            checks.refuse(format!("{path}.protocol"), message);
        }
        for (index, net) in entry.sources.iter().enumerate() {
            if let Err(message) = prefix(&net.to_string()) {
                checks.refuse(format!("{path}.sources[{index}]"), message);
            }
        }
    }
    for (rate, name) in [(*packets_per_second, "packetsPerSecond"), (*burst, "burst")] {
        let message = "0 lets nobody in: write at least 1; for no failsafe ports write ports: []";
        checks.require(rate > 0, &format!("failsafe.{name}"), message);
    }
    for (index, endpoint) in control_endpoints.iter().enumerate() {
        let path = format!("failsafe.controlEndpoints[{index}].port");
        checks.require(endpoint.port > 0, &path, "0 is no port: write 1 to 65535");
    }
}

fn check_pool(found: &AddressPool, path: &str, checks: &mut Checks) {
    let AddressPool { name, prefixes, namespaces } = found;
    checks.label(name, &format!("{path}.name"));
    let message = "is empty: write at least one prefix, as 203.0.113.0/24";
    checks.require(!prefixes.is_empty(), &format!("{path}.prefixes"), message);
    for (index, text) in prefixes.iter().enumerate() {
        if let Err(message) = prefix(text) {
            checks.refuse(format!("{path}.prefixes[{index}]"), message);
        }
    }
    for (index, namespace) in namespaces.iter().enumerate() {
        checks.label(namespace, &format!("{path}.namespaces[{index}]"));
    }
}
