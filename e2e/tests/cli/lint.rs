//! `lint`: warnings with names, and an exit code for pipelines.

use crate::run::{Said, cli};
use crate::simulate::Bench;

const SHADOWED: &str = "
apiVersion: sluice.dev/v1alpha1
kind: XdpFilter
metadata: {name: edge}
spec:
  interfaces: {names: [eth0]}
  rules:
  - {name: net, action: Drop, match: {sources: {cidrs: [192.0.2.0/24]}}}
  - {name: host, action: Pass, match: {sources: {cidrs: [192.0.2.7/32]}}}
  - {name: ssh, action: Drop, match: {protocols: [TCP], destinationPorts: [\"22\"]}}
  - {name: victim, action: Drop, match: {destinations: {cidrs: [198.51.100.0/24]}}}
---
apiVersion: sluice.dev/v1alpha1
kind: XdpFilter
metadata: {name: closed}
spec:
  interfaces: {names: [eth1]}
  defaultAction: Drop
";

fn lint(bench: &Bench, text: &str, flags: &[&str]) -> Said {
    let file = bench.file("lint.yaml", text);
    Said::of(cli().args(["lint", "-f"]).arg(file).args(flags))
}

#[test]
fn each_warning_names_its_rules_and_the_exit_code_says_whether_there_is_one() {
    let bench = Bench::new();
    let said = lint(&bench, SHADOWED, &["-o", "json", "--node-address", "198.51.100.1"]);
    assert_eq!(said.code, 1, "{said:?}");
    let found: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    let found: Vec<String> = found["warnings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| format!("{} {} {}", one["policy"], one["rule"], one["reason"]).replace('"', ""))
        .collect();
    assert_eq!(
        found,
        [
            "edge host Shadowed",
            "edge ssh ShadowedByFailsafe",
            "edge victim ShadowedByFailsafe",
            "closed null AllowListIncomplete"
        ]
    );
    assert!(said.out.contains("decided before by net"), "{said:?}");
    let table = lint(&bench, SHADOWED, &["-o", "wide"]).out;
    assert!(table.starts_with("POLICY  RULE  REASON"), "{table}");
    assert!(!table.contains("victim"), "no address of a node is known to be in it: {table}");

    let clean = SHADOWED.split("  - {name: host").next().unwrap();
    let said = lint(&bench, clean, &[]);
    assert_eq!((said.code, said.out.as_str()), (0, "no warnings\n"), "{said:?}");
    lint(&bench, "kind: XdpFilter\nspec: [", &[]).fails(1, &["lint.yaml"]);
    lint(&bench, SHADOWED, &["-o", "xml"]).fails(2, &["possible values"]);
}
