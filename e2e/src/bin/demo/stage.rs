//! What both acts play on: a hub, three edge nodes with an agent and a web server each, and the operator.

use std::path::PathBuf;
use std::time::Duration;

use sluice_e2e::fleet::{Fleet, Options};
use sluice_e2e::process::{Process, program};

pub const PREFIX: &str = "sldemo";
pub const EDGES: usize = 3;
pub const PATIENCE: Duration = Duration::from_secs(30);
pub const FILTER: &str = include_str!("../../../../docs/examples/xdpfilter.yaml");
pub const BALANCER: &str = include_str!("../../../../docs/examples/xdploadbalancer.yaml");
/// The balancer's virtual address.
pub const VIP: &str = "203.0.113.10";

const FLEET: &str = "addressPools:\n- {name: public, prefixes: [203.0.113.0/24], namespaces: [default]}\n";

pub struct Stage {
    pub servers: Vec<Process>,
    pub fleet: Fleet,
    kept: bool,
}

pub fn directory() -> PathBuf {
    std::env::temp_dir().join("sluice-demo")
}

pub fn step(text: &str) {
    println!("==> {text}");
}

impl Stage {
    pub fn build() -> anyhow::Result<Stage> {
        let _ = std::fs::remove_dir_all(directory());
        step("three edge nodes, a hub, cables between them");
        let options = Options { prefix: PREFIX.to_owned(), edges: EDGES, directory: directory() };
        let mut stage = Stage { servers: Vec::new(), fleet: Fleet::build(options)?, kept: false };
        stage.route()?;
        step("the operator on a directory of policies, an agent and a web server in each node");
        stage.fleet.write_policy("fleet.yaml", FLEET)?;
        stage.fleet.start()?;
        for edge in &stage.fleet.edges {
            let mut command = edge.netns.command(program("demo")?);
            command.args(["serve", "80", &edge.name]);
            stage.servers.push(Process::start(&format!("web-{}", edge.name), &directory(), command)?);
        }
        Ok(stage)
    }

    /// Each node has the address of a backend, and each is a way to the virtual address.
    fn route(&self) -> anyhow::Result<()> {
        let hub = &self.fleet.hub;
        self.fleet.route_between_edges()?;
        let mut to_vip: Vec<String> = ["route", "add", VIP].map(str::to_owned).to_vec();
        for (number, edge) in (1..).zip(&self.fleet.edges) {
            let (backend, node) = (backend(number), format!("10.80.{number}.2"));
            edge.netns.ip(&["addr", "add", &format!("{backend}/32"), "dev", "eth0"])?;
            hub.ip(&["route", "add", &backend, "via", &node])?;
            to_vip.extend(["nexthop", "via", &node].map(str::to_owned));
        }
        // By ports too, so that one client host uses all ways.
        hub.sysctl("net.ipv4.fib_multipath_hash_policy", "1")?;
        hub.ip(&to_vip.iter().map(String::as_str).collect::<Vec<_>>())?;
        Ok(())
    }

    /// Leaves everything running when this value goes; the pids to end it by.
    pub fn keep(&mut self) -> Vec<String> {
        self.kept = true;
        let mut pids = Vec::new();
        for server in &mut self.servers {
            pids.push(server.pid().to_string());
            server.keep();
        }
        self.fleet.keep(&mut pids);
        pids
    }
}

/// A node's address as the example's backend.
pub fn backend(number: usize) -> String {
    format!("192.0.2.1{number}")
}

impl Drop for Stage {
    fn drop(&mut self) {
        if !self.kept {
            let _ = std::fs::remove_dir_all(directory());
        }
    }
}
