//! Whose address it is, from the saved file to the node and the status.

use serde_json::Value;
use sluice_e2e::fleet::{Fleet, Options};
use sluice_e2e::process::eventually;

use crate::shop::PATIENCE;

fn balancer(namespace: &str, name: &str, address: &str) -> String {
    format!(
        "apiVersion: sluice.dev/v1alpha1\nkind: XdpLoadBalancer\nmetadata: {{namespace: {namespace}, name: {name}}}\n\
         spec:\n  addresses: [{address}]\n  ports: [{{name: http, protocol: TCP, port: 80}}]\n  \
         interfaces: {{names: [eth0]}}\n  backends: {{static: [{{address: 192.0.2.11}}]}}\n"
    )
}

/// Status, reason and message of a condition in an object's status file.
fn condition(fleet: &Fleet, object: &str, kind: &str) -> Option<(String, String, String)> {
    let file = fleet.data().join(format!("status/xdploadbalancer-{object}.yaml"));
    let object: Value = serde_saphyr::from_str(&std::fs::read_to_string(file).ok()?).ok()?;
    let found = object["status"]["conditions"].as_array()?.iter().find(|one| one["type"] == kind)?;
    let text = |field: &str| found[field].as_str().map(str::to_owned);
    Some((text("status")?, text("reason")?, text("message")?))
}

fn wait(fleet: &Fleet, object: &str, reason: &str) -> String {
    let refused = |(status, why, _): &(String, String, String)| status == "False" && why == reason;
    let found = eventually(PATIENCE, || Ok(condition(fleet, object, "Accepted").filter(refused)));
    let found = found.unwrap_or_else(|error| {
        panic!(
            "{object} {reason}: {error:#}: {:?}{}",
            condition(fleet, object, "Accepted"),
            fleet.last_words()
        )
    });
    found.2
}

#[test]
fn an_address_is_given_once_from_a_pool_and_never_from_a_node() {
    let directory = tempfile::tempdir().unwrap();
    let mut fleet = Fleet::build(Options::unique("slcm", 1, directory.path())).unwrap();
    let pools =
        "addressPools: [{name: public, prefixes: [203.0.113.0/24, 10.80.1.0/24], namespaces: [shop]}]\n";
    fleet.write_policy("fleet.yaml", pools).unwrap();
    fleet.write_policy("first.yaml", &balancer("shop", "web", "203.0.113.10")).unwrap();
    fleet.start().unwrap();
    fleet.wait_ready("web", 1, "", PATIENCE).unwrap();

    fleet.write_policy("conflict.yaml", &balancer("shop", "also", "203.0.113.10")).unwrap();
    fleet.write_policy("foreign.yaml", &balancer("mail", "mx", "203.0.113.11")).unwrap();
    fleet.write_policy("node.yaml", &balancer("shop", "node", "10.80.1.2")).unwrap();
    let said = wait(&fleet, "shop-also", "Conflict");
    assert!(said.contains("203.0.113.10") && said.contains("XdpLoadBalancer/shop/web"), "{said}");
    let said = wait(&fleet, "mail-mx", "AddressNotGranted");
    assert!(said.contains("203.0.113.11") && said.contains("namespace mail"), "{said}");
    let said = wait(&fleet, "shop-node", "AddressInUse");
    assert!(said.contains("10.80.1.2: belongs to node edge-1"), "{said}");
    let ready = condition(&fleet, "shop-also", "Ready").unwrap();
    assert_eq!((ready.0.as_str(), ready.1.as_str()), ("False", "Conflict"));
    fleet.wait_ready("web", 1, "", PATIENCE).expect("the owner keeps what it has");

    // The owner goes, and the address is the next one's.
    std::fs::remove_file(fleet.policies().join("first.yaml")).unwrap();
    fleet.wait_ready("also", 1, "", PATIENCE).unwrap();

    // An edit that may not be leaves in force what is.
    fleet.write_policy("conflict.yaml", &balancer("shop", "also", "10.80.1.2")).unwrap();
    let said = wait(&fleet, "shop-also", "AddressInUse");
    assert!(said.ends_with("; generation 1 stays in force"), "{said}");
    fleet.write_policy("conflict.yaml", &balancer("shop", "also", "203.0.113.10")).unwrap();
    fleet.wait_ready("also", 1, "", PATIENCE).unwrap();

    // A pool that cannot be is named, and the last good one stays in force.
    fleet.write_policy("fleet.yaml", &pools.replace("203.0.113.0/24", "203.0.113.7/24")).unwrap();
    let problems = fleet.data().join("status/problems.txt");
    let said = eventually(PATIENCE, || Ok(std::fs::read_to_string(&problems).ok())).unwrap();
    assert!(
        said.contains("fleet.yaml: addressPools[0].prefixes[0]: ") && said.contains("write 203.0.113.0/24"),
        "{said}"
    );
    fleet.wait_ready("also", 1, "", PATIENCE).unwrap();
}
