//! Objects as users write them: read, written again, and their unknown fields found.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sluice_crds::{
    AttachMode, DefaultAction, Kind, LaterFragments, MalformedAction, Mode, XdpAddressSet, XdpFilter,
    XdpLoadBalancer, XdpNode, unknown_fields,
};

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder);
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn read(path: &Path) -> Value {
    yaml(&fs::read_to_string(path).unwrap())
}

fn good(name: &str) -> Value {
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/good").join(name))
}

/// Reads an object as its type and writes it again.
fn again<T: Serialize + DeserializeOwned>(object: &Value) -> Value {
    let typed: T = serde_json::from_value(object.clone()).unwrap();
    serde_json::to_value(typed).unwrap()
}

#[test]
fn full_objects_survive_a_round_trip() {
    let filter = good("filter-full.yaml");
    let mut written = again::<XdpFilter>(&filter);
    // An empty match and an absent one are the same.
    written["spec"]["rules"][17]["match"] = serde_json::json!({});
    assert_eq!(written, filter);
    let balancer = good("balancer-full.yaml");
    assert_eq!(again::<XdpLoadBalancer>(&balancer), balancer);
    let set = good("set-full.yaml");
    assert_eq!(again::<XdpAddressSet>(&set), set);
    let node = good("node.yaml");
    assert_eq!(again::<XdpNode>(&node), node);
}

#[test]
fn directory_mode_gets_the_defaults_of_the_schema() {
    let filter: XdpFilter = serde_json::from_value(good("filter-minimal.yaml")).unwrap();
    assert_eq!(filter.spec.attach.mode, AttachMode::Auto);
    assert_eq!(filter.spec.mode, Mode::Enforce);
    assert_eq!(filter.spec.default_action, DefaultAction::Next);
    assert_eq!(filter.spec.malformed, MalformedAction::Pass);
    assert!(!filter.spec.allow_established);
    assert_eq!(filter.spec.priority, 0);

    let mut balancer = good("balancer-minimal.yaml");
    balancer["spec"]["healthCheck"] = serde_json::json!({"tcp": {"port": 80}});
    let balancer: XdpLoadBalancer = serde_json::from_value(balancer).unwrap();
    assert_eq!(balancer.spec.hashing.slots, 65536);
    let check = balancer.spec.health_check.unwrap();
    assert_eq!(check.interval.to_std(), Some(std::time::Duration::from_secs(2)));
    assert_eq!(check.timeout.to_std(), Some(std::time::Duration::from_secs(1)));
    assert_eq!((check.rise, check.fall), (2, 3));
}

#[test]
fn later_fragments_default_by_action() {
    let filter: XdpFilter = serde_json::from_value(good("filter-full.yaml")).unwrap();
    let of = |name: &str| filter.spec.rules.iter().find(|rule| rule.name == name).unwrap().later_fragments();
    assert_eq!(of("not-ours"), LaterFragments::NoMatch);
    assert_eq!(of("syn-flood"), LaterFragments::Drop);
    let mut pass = filter.spec.rules[2].clone();
    pass.later_fragments = None;
    assert_eq!(pass.later_fragments(), LaterFragments::MatchL3);
}

#[test]
fn good_objects_have_no_unknown_field() {
    for path in files("good") {
        let object = read(&path);
        let kind: Kind = object["kind"].as_str().unwrap().parse().unwrap();
        assert_eq!(unknown_fields(&object, kind), [], "{}", path.display());
    }
}

#[test]
fn bad_objects_say_what_is_expected() {
    for path in files("bad") {
        let text = fs::read_to_string(&path).unwrap();
        let expected = text.lines().next().unwrap().strip_prefix("# expect: ");
        assert!(
            expected.is_some_and(|text| text.len() > 10),
            "{}: no first line `# expect: …`",
            path.display()
        );
        let kind = yaml(&text)["kind"].as_str().unwrap().parse::<Kind>();
        assert!(matches!(kind, Ok(kind) if kind != Kind::XdpNode), "{}", path.display());
    }
}

#[test]
fn unknown_fields_have_a_path_and_the_nearest_known_name() {
    let object = yaml(
        "{apiVersion: sluice.dev/v1alpha1, kind: XdpFilter, metadata: {name: a, lables: {}}, spec: {intefaces: {}, \
         interfaces: {names: [eth0]}, rules: [{name: a, action: Drop}, {name: b, action: Drop, match: {SourcePorts: [], \
         icmp: [{typ: 8}], sources: {zzz: 1}}}]}, sepc: {}}",
    );
    let found: Vec<(String, Option<String>)> = unknown_fields(&object, Kind::XdpFilter)
        .into_iter()
        .map(|field| (field.path, field.nearest))
        .collect();
    let wanted = [
        ("metadata.lables", Some("labels")),
        ("sepc", Some("spec")),
        ("spec.intefaces", Some("interfaces")),
        ("spec.rules[1].match.SourcePorts", Some("sourcePorts")),
        ("spec.rules[1].match.icmp[0].typ", Some("type")),
        ("spec.rules[1].match.sources.zzz", None),
    ];
    for (path, nearest) in wanted {
        let wanted = (path.to_owned(), nearest.map(str::to_owned));
        assert!(found.contains(&wanted), "{wanted:?} is not in {found:?}");
    }
    assert_eq!(found.len(), wanted.len(), "{found:?}");
}

/// An operator must go on reading objects of a newer schema.
#[test]
fn types_tolerate_fields_of_a_newer_schema() {
    let mut object = good("filter-minimal.yaml");
    object["spec"]["laterField"] = serde_json::json!({"some": "1%"});
    let filter: XdpFilter = serde_json::from_value(object).unwrap();
    assert!(filter.spec.interfaces.default_route);
}
