//! Every right that the chart gives to anybody, held against docs/security.md.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::render;

/// Everything that makes the chart render a right.
const OPTIONS: [&str; 3] = [
    r#"fleet.addressPools=[{"name": "public", "prefixes": ["203.0.113.0/24"]}]"#,
    "agent.readinessTaint=true",
    r#"addressSets.configMapNamespaces=["security"]"#,
];

#[test]
fn each_right_has_its_reason_and_none_is_a_wildcard() {
    let page = include_str!("../../../docs/security.md");
    let (mut said, mut reasons) = (BTreeSet::new(), 0);
    for row in page.lines().filter(|row| row.starts_with("| sluice-")) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [role, verb, resources, reason, missed] = cells[..] else { panic!("{row}: five cells") };
        assert!(!reason.is_empty() && !missed.is_empty(), "{row}: what for, and what is missed without it?");
        for resource in resources.split(", ") {
            assert!(said.insert(format!("{role} {verb} {resource}")), "{row}: twice");
            reasons += 1;
        }
    }
    let granted = granted();
    assert!(granted.iter().all(|line| !line.contains('*')), "{granted:?}");
    let (unsaid, gone): (Vec<_>, Vec<_>) =
        (granted.difference(&said).collect(), said.difference(&granted).collect());
    assert!(
        unsaid.is_empty() && gone.is_empty(),
        "docs/security.md lacks {unsaid:?}, and has {gone:?} too many"
    );
    assert!(reasons > 50, "{reasons}");
}

/// Role, verb, and group and resource, as `sluice-operator list sluice.dev/xdpfilters`.
fn granted() -> BTreeSet<String> {
    let mut granted = BTreeSet::new();
    for role in render(&OPTIONS).unwrap() {
        if !role["kind"].as_str().is_some_and(|kind| kind.ends_with("Role")) {
            continue;
        }
        let name = role["metadata"]["name"].as_str().unwrap();
        for rule in role["rules"].as_array().unwrap() {
            assert!(rule["nonResourceURLs"].is_null(), "{rule}");
            for (group, resource, verb) in each(rule) {
                granted.insert(format!("{name} {verb} {group}/{resource}"));
            }
        }
    }
    granted
}

fn each(rule: &Value) -> Vec<(String, String, String)> {
    let words = |field: &str| -> Vec<String> {
        rule[field].as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect()
    };
    let mut all = Vec::new();
    for group in words("apiGroups") {
        for resource in words("resources") {
            all.extend(words("verbs").into_iter().map(|verb| (group.clone(), resource.clone(), verb)));
        }
    }
    all
}
