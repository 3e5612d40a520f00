//! What running operators and agents say of themselves. Needs root.
#![allow(clippy::unwrap_used, reason = "a test says what failed by failing")]

mod levels;

use std::path::Path;
use std::time::Duration;

use sluice_e2e::fleet::{Fleet, Options};

const PATIENCE: Duration = Duration::from_secs(20);

/// Drops a port at every node.
fn filter(port: u16) -> String {
    format!(
        "apiVersion: sluice.dev/v1alpha1
kind: XdpFilter
metadata: {{name: edge}}
spec:
  interfaces: {{names: [eth0]}}
  rules: [{{name: flood, action: Drop, match: {{protocols: [UDP], destinationPorts: [\"{port}\"]}}}}]
"
    )
}

/// One node; nothing runs yet.
fn fleet(prefix: &str, directory: &Path) -> Fleet {
    let fleet = Fleet::build(Options::unique(prefix, 1, directory)).unwrap();
    fleet.write_policy("edge.yaml", &filter(5353)).unwrap();
    fleet
}
