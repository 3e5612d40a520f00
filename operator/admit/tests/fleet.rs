//! The fleet configuration, good and bad.

use sluice_admit::admit_fleet;
use sluice_plan::Fleet;

fn refused(yaml: &str) -> Vec<String> {
    let fleet: Fleet = serde_saphyr::from_str(yaml).expect("YAML of the right form");
    admit_fleet(fleet)
        .expect_err(yaml)
        .iter()
        .map(|refusal| format!("{}: {}", refusal.path, refusal.message))
        .collect()
}

#[test]
fn what_nothing_is_written_for_is_good() {
    assert_eq!(admit_fleet(Fleet::default()), Ok(Fleet::default()));
}

#[test]
fn pools_of_both_families_are_good() {
    let yaml =
        "addressPools:\n- {name: public, prefixes: [203.0.113.0/24, \"2001:db8::/64\"], namespaces: [web]}\n";
    let fleet: Fleet = serde_saphyr::from_str(yaml).expect("YAML of the right form");
    assert_eq!(admit_fleet(fleet.clone()), Ok(fleet));
}

#[test]
fn a_pool_says_which_prefix_to_write() {
    let pool = |prefix: &str| refused(&format!("addressPools: [{{name: public, prefixes: [\"{prefix}\"]}}]"));
    let host_bits = "addressPools[0].prefixes[0]: \"203.0.113.7/24\" has host bits set: write 203.0.113.0/24";
    assert_eq!(pool("203.0.113.7/24"), [host_bits]);
    for wrong in ["203.0.113.7", "203.0.113.0/33", "::ffff:203.0.113.0/120", "public"] {
        let [said] = &pool(wrong)[..] else { panic!("{wrong}") };
        assert!(
            said.starts_with("addressPools[0].prefixes[0]: ") && said.contains("as 192.0.2.0/24"),
            "{said}"
        );
    }
}

#[test]
fn a_pool_without_name_prefixes_or_with_a_namespace_that_cannot_be_is_refused() {
    let said = refused("addressPools: [{prefixes: [], namespaces: [Web]}]");
    let paths: Vec<&str> = said.iter().filter_map(|line| line.split(": ").next()).collect();
    assert_eq!(paths, ["addressPools[0].name", "addressPools[0].prefixes", "addressPools[0].namespaces[0]"]);
}

#[test]
fn what_would_shut_a_node_off_is_refused() {
    let said = refused("failsafe: {packetsPerSecond: 0, burst: 0}");
    assert!(said[0].starts_with("failsafe.packetsPerSecond: 0 lets nobody in"), "{said:?}");
    assert!(said[1].starts_with("failsafe.burst: 0 lets nobody in"), "{said:?}");
    let nine: Vec<String> = (1..10).map(|port| format!("{{port: {port}, protocol: 6}}")).collect();
    let said = refused(&format!("failsafe: {{ports: [{}]}}", nine.join(", ")));
    assert_eq!(said, ["failsafe.ports: has 9 entries: write at most 8"]);
    let said = refused("failsafe: {ports: [{port: 0, protocol: 132}]}");
    assert!(said[1].contains("132 has no ports: write 6 (TCP) or 17 (UDP)"), "{said:?}");
    let said = refused("failsafe: {controlEndpoints: [{address: 192.0.2.1, port: 0}]}");
    assert_eq!(said, ["failsafe.controlEndpoints[0].port: 0 is no port: write 1 to 65535"]);
}

#[test]
fn sources_of_a_failsafe_port_are_prefixes_and_not_too_many() {
    let port =
        |sources: &str| format!("failsafe: {{ports: [{{port: 22, protocol: 6, sources: [{sources}]}}]}}");
    let said = refused(&port("10.0.0.7/8"));
    assert_eq!(said, ["failsafe.ports[0].sources[0]: \"10.0.0.7/8\" has host bits set: write 10.0.0.0/8"]);
    let many: Vec<String> = (0..33).map(|number| format!("10.0.{number}.0/24")).collect();
    let said = refused(&port(&many.join(", ")));
    assert_eq!(said, ["failsafe.ports[*].sources: 33 prefixes over all ports: write at most 32"]);
    let good: Fleet =
        serde_saphyr::from_str(&port("10.0.0.0/8, \"2001:db8::/32\"")).expect("YAML of the right form");
    assert_eq!(admit_fleet(good.clone()), Ok(good));
}
