//! The objects that a real API server refuses are refused here too, and those that it takes are taken.

use std::path::{Path, PathBuf};

use sluice_admit::{admit_address_set, admit_balancer, admit_filter};
use sluice_crds::{Kind, XdpAddressSet, XdpFilter, XdpLoadBalancer, unknown_fields};

/// Everything that directory mode would say of an object.
fn refusals(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).expect("a readable file");
    let value: serde_json::Value = serde_saphyr::from_str(&text).expect("YAML");
    let kind: Kind = value["kind"].as_str().and_then(|kind| kind.parse().ok()).expect("a kind");
    let unknown = unknown_fields(&value, kind);
    if !unknown.is_empty() {
        return unknown.into_iter().map(|field| format!("unknown field {}", field.path)).collect();
    }
    let lines = |refusals: Vec<sluice_admit::Refusal>| refusals.iter().map(ToString::to_string).collect();
    match kind {
        Kind::XdpFilter => match serde_json::from_value::<XdpFilter>(value) {
            Ok(filter) => admit_filter(&filter).err().map(lines).unwrap_or_default(),
            Err(error) => vec![error.to_string()],
        },
        Kind::XdpLoadBalancer => match serde_json::from_value::<XdpLoadBalancer>(value) {
            Ok(balancer) => admit_balancer(&balancer).err().map(lines).unwrap_or_default(),
            Err(error) => vec![error.to_string()],
        },
        Kind::XdpAddressSet => match serde_json::from_value::<XdpAddressSet>(value) {
            Ok(set) => admit_address_set(&set).err().map(lines).unwrap_or_default(),
            Err(error) => vec![error.to_string()],
        },
        Kind::XdpNode => Vec::new(),
    }
}

fn files(folder: &str) -> Vec<PathBuf> {
    in_folder(&format!("crds/tests/{folder}"))
}

fn in_folder(folder: &str) -> Vec<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(folder);
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(path).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    assert!(files.len() > 1, "{folder} holds the shared objects");
    files
}

#[test]
fn every_bad_object_is_refused() {
    let admitted: Vec<PathBuf> = files("bad").into_iter().filter(|file| refusals(file).is_empty()).collect();
    assert!(admitted.is_empty(), "an API server refuses these: {admitted:#?}");
}

#[test]
fn every_good_object_is_taken() {
    for file in files("good").into_iter().chain(in_folder("docs/examples")) {
        assert_eq!(refusals(&file), Vec::<String>::new(), "{}", file.display());
    }
}

#[test]
fn a_refusal_names_object_path_and_way_out() {
    let file = files("bad")
        .into_iter()
        .find(|file| file.ends_with("filter-cidr-host-bits.yaml"))
        .expect("the object");
    let refusal = refusals(&file).remove(0);
    for part in ["XdpFilter/", "spec.rules[0].match.sources.cidrs[0]", "has host bits set: write "] {
        assert!(refusal.contains(part), "{part:?} is missing in {refusal}");
    }
}
