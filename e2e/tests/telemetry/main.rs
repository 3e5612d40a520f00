//! What running operators and agents say of themselves. Needs root.
#![allow(clippy::unwrap_used, reason = "a test says what failed by failing")]

mod collector;
mod levels;
mod probes;
mod traces;

use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use sluice_e2e::fleet::{Fleet, Options};
use sluice_e2e::netns::Netns;

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

/// Status line and body of a page on loopback there.
fn page(netns: &Netns, port: u16, path: &'static str) -> Option<String> {
    let asked = netns.spawn(move || {
        use std::io::{Read, Write};
        let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    });
    asked.join().unwrap()
}
