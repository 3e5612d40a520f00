//! What people save.

use std::fs;
use std::os::unix::fs::symlink;

use sluice_e2e::process::eventually;

use crate::{PATIENCE, assert_documented, fleet, policy, wait_message};

#[test]
fn a_file_that_is_not_taken_is_named_with_place_and_way_out() {
    let (mut fleet, _directory) = fleet("slbf", 0);
    let save = |file: &str, text: &str| fleet.write_policy(file, text).unwrap();
    let good = |name: &str| policy(name, "eth0", 1);
    save("yaml.yaml", &good("yaml").replace("interfaces: {names: [eth0]}", "interfaces: {names: [eth0}"));
    save("field.yaml", &good("field").replace("  rules:", "  ruls:"));
    save("kind.yaml", &good("kind").replace("XdpFilter", "XdpFiler"));
    save("large.yaml", &format!("{}#{}", good("large"), "x".repeat(10 << 20)));
    symlink("cycle.yaml", fleet.policies().join("cycle.yaml")).unwrap();
    save("twice-a.yaml", &good("twice"));
    save("twice-b.yaml", &good("twice"));
    save("fleet.yaml", "failsafe: {rate: much}\n");
    save("hosts.yaml", &good("hosts").replace("10.200.0.0/32", "192.0.2.7/24"));
    fleet.start_operator().unwrap();

    let file = fleet.data().join("status/problems.txt");
    let text = eventually(PATIENCE, || Ok(fs::read_to_string(&file).ok())).unwrap();
    for (item, wanted) in [
        (
            "unknown field, the nearest",
            "field.yaml:1: XdpFilter/field: unknown field spec.ruls: did you mean rules?",
        ),
        ("unknown kind", "kind.yaml:1: kind is \"XdpFiler\": did you mean XdpFilter?"),
        ("10 MB file", "large.yaml: the file has 10 MiB, more than the 4 MiB allowed: split it"),
        ("cyclic link", "cycle.yaml: a symbolic link that leads back to itself: point it at a file"),
        ("two of one name", "twice-b.yaml: XdpFilter/twice is already in "),
        (
            "fleet configuration",
            "fleet.yaml:1:12: unknown field `rate`, expected one of ports, packetsPerSecond",
        ),
    ] {
        let line = text.lines().find(|line| line.contains(wanted));
        assert_documented(line.unwrap_or_else(|| panic!("{item}: no {wanted:?} in\n{text}")));
    }
    // What the parser says differs; the place does not.
    let broken = text.lines().find(|line| line.contains("yaml.yaml:5:")).expect("unparsable YAML");
    let column = broken.split(':').nth(2).and_then(|column| column.parse::<u32>().ok());
    assert!(column.is_some_and(|column| column > 0), "line and column: {broken}");
    let message = wait_message(&fleet, "hosts", "host bits");
    assert!(message.contains("spec.rules[0].match.sources.cidrs[0]"), "{message}");
    assert!(message.contains("\"192.0.2.7/24\" has host bits set: write 192.0.2.0/24"), "{message}");
    assert_documented(&message);
    let _ = fleet.operator.as_mut().unwrap().stop(PATIENCE).unwrap();
}

#[test]
fn an_agents_refusal_is_in_status_in_its_own_words() {
    let (mut fleet, _directory) = fleet("slbm", 1);
    fleet.write_policy("gone.yaml", &policy("gone", "eth7", 1)).unwrap();
    fleet.write_policy("edge.yaml", &policy("edge", "eth0", 1)).unwrap();
    fleet.start().unwrap();
    fleet.wait_ready("edge", 1, "", PATIENCE).unwrap();
    let message = wait_message(&fleet, "gone", "edge-1: InterfaceMissing: ");
    let words = "interface eth7 does not exist on this node: create it, or change spec.interfaces";
    assert!(message.contains(words), "{message}");
    assert_documented(&message);
    let status = fleet.statuses().unwrap().into_iter().find(|status| status.name == "gone").unwrap();
    assert_eq!((status.ready.as_str(), status.reason.as_str(), status.rejected), ("False", "Rejected", 1));
}
