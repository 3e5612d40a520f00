//! The YAML in the tree is what the types say now.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::fs;
use std::path::Path;
use std::process::Command;

use sluice_crds::generated_files;

#[test]
fn generated_files_are_current() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (path, wanted) in generated_files() {
        let found = fs::read_to_string(root.join(&path)).unwrap_or_default();
        assert_eq!(found, wanted, "{} differs: run cargo run -p sluice-crds --bin crdgen", path.display());
    }
}

#[test]
fn crdgen_check_agrees() {
    let crdgen = Command::new(env!("CARGO_BIN_EXE_crdgen")).arg("--check").output().unwrap();
    assert!(crdgen.status.success(), "{}", String::from_utf8_lossy(&crdgen.stderr));
}

#[test]
fn crdgen_refuses_other_arguments() {
    let crdgen = Command::new(env!("CARGO_BIN_EXE_crdgen")).arg("--chek").output().unwrap();
    assert_eq!(crdgen.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&crdgen.stderr).contains("--check"));
}
