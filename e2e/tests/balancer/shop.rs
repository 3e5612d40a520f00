//! One node that balances, three nodes with a web server each, and clients in the hub between them.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde_json::Value;
use sluice_e2e::fleet::{Fleet, Options, labelled};
use sluice_e2e::netns::mac;
use sluice_e2e::process::{Process, eventually, program};
use sluice_e2e::sender::Sender;

pub const PATIENCE: Duration = Duration::from_secs(20);
pub const VIP4: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 10);
pub const VIP6: &str = "2001:db8:f::10";
/// The balancing node as its neighbours know it.
pub const BALANCER: Ipv4Addr = Ipv4Addr::new(10, 80, 1, 2);
/// The clients.
pub const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 80, 1, 1);
/// Backends by the edge's number, and their weights.
pub const WEIGHTS: [(usize, u64); 3] = [(2, 2), (3, 1), (4, 1)];
pub const INTERVAL: Duration = Duration::from_millis(200);
pub const FALL: u32 = 2;
pub const RISE: u32 = 2;

const FLEET: &str =
    "addressPools:\n- {name: public, prefixes: [203.0.113.0/24, \"2001:db8:f::/64\"], namespaces: [shop]}\n";

pub struct Shop {
    pub fleet: Fleet,
    pub servers: BTreeMap<String, Process>,
    _directory: tempfile::TempDir,
}

impl Shop {
    /// Everything runs and the balancer is Ready.
    pub fn open() -> Shop {
        let directory = tempfile::tempdir().unwrap();
        let mut fleet = Fleet::build(Options::unique("slsh", 4, directory.path())).unwrap();
        for (number, edge) in (1..).zip(&mut fleet.edges) {
            edge.arguments = labelled(if number == 1 { "role=edge" } else { "role=backend" });
            // So that nobody waits long for a counter.
            edge.arguments.extend(["--report-interval", "250ms"].map(str::to_owned));
        }
        route(&fleet);
        fleet.write_policy("fleet.yaml", FLEET).unwrap();
        fleet.write_policy("web.yaml", &balancer()).unwrap();
        fleet.start().unwrap();
        let mut shop = Shop { fleet, servers: BTreeMap::new(), _directory: directory };
        WEIGHTS.iter().for_each(|(number, _)| shop.start_server(&format!("edge-{number}")));
        shop.fleet.wait_ready("web", 1, "", PATIENCE).unwrap();
        // Ready is the balancer's side; a backend serves the addresses once its agent has put them there.
        for (number, _) in WEIGHTS {
            eventually(PATIENCE, || Ok((shop.vips_on(number).len() == 2).then_some(())))
                .unwrap_or_else(|error| panic!("edge-{number}: {error:#}{}", shop.words()));
        }
        // An unknown backend counts as healthy, and IPv6 takes its time to come up.
        shop.wait_status("all backends known and healthy", |status| {
            let backends = status["backends"].as_array();
            backends.is_some_and(|all| all.len() == 6 && all.iter().all(|one| one["health"] == "Healthy"))
        });
        shop
    }

    /// A web server whose page is the node's name.
    pub fn start_server(&mut self, name: &str) {
        let edge = self.fleet.edges.iter().find(|edge| edge.name == name).unwrap();
        let mut command = edge.netns.command(program("demo").unwrap());
        command.args(["serve", "80", name]);
        let server = Process::start(&format!("web-{name}"), &self.fleet.options.directory, command).unwrap();
        self.servers.insert(name.to_owned(), server);
    }

    pub fn kill_server(&mut self, name: &str) {
        self.servers.remove(name).unwrap().kill().unwrap();
    }

    pub fn vip(family: &str) -> SocketAddr {
        let address: IpAddr = if family == "IPv4" { VIP4.into() } else { VIP6.parse().unwrap() };
        SocketAddr::new(address, 80)
    }

    /// Sends frames from the hub to an edge and waits until they are out.
    pub fn send(&self, edge: usize, count: u64, frame: impl Fn(u64) -> Vec<u8> + Send + 'static) {
        let to = mac(&self.fleet.edges[edge - 1].netns, "eth0").unwrap();
        let wire = format!("to-edge-{edge}");
        let sender = Sender::start(&self.fleet.hub, &wire, 20_000, count, move |number, buffer| {
            let mut frame = frame(number);
            frame[..6].copy_from_slice(&to);
            buffer[..frame.len()].copy_from_slice(&frame);
            frame.len()
        });
        assert_eq!(sender.finish().unwrap(), count);
    }

    /// Packets that a rule, a VIP or a backend counted on a node.
    pub fn counted(&self, node: &str, name: &str, verdict: &str) -> u64 {
        let nodes = self.fleet.counters().unwrap_or_default();
        let counters = nodes.iter().filter(|found| found.node == node).flat_map(|found| &found.counters);
        counters
            .filter(|found| found.rule == name && found.verdict == verdict)
            .map(|found| found.packets)
            .sum()
    }

    pub fn stat(&self, node: &str, name: &str) -> u64 {
        let nodes = self.fleet.counters().unwrap_or_default();
        let stats = nodes.iter().filter(|found| found.node == node).filter_map(|found| found.stats.get(name));
        stats.sum()
    }

    /// Waits until a number is the expected one; it must not go beyond.
    pub fn expect(&self, what: &str, expected: u64, read: impl Fn(&Shop) -> u64) {
        let reached = eventually(PATIENCE, || Ok((read(self) >= expected).then_some(())));
        let found = read(self);
        let stats = self.fleet.counters().unwrap_or_default().into_iter().map(|node| (node.node, node.stats));
        let stats: Vec<_> = stats.collect();
        assert!(
            reached.is_ok() && found == expected,
            "{what}: {found}, not {expected}: {stats:?}{}",
            self.words()
        );
    }

    /// The status file of the balancer.
    pub fn status(&self) -> Value {
        let file = self.fleet.data().join("status/xdploadbalancer-shop-web.yaml");
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let object: Value = serde_saphyr::from_str(&text).unwrap_or_default();
        object["status"].clone()
    }

    pub fn wait_status(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let found = eventually(PATIENCE, || Ok(Some(self.status()).filter(|status| holds(status))));
        found.unwrap_or_else(|error| panic!("{what}: {error:#}: {:#}{}", self.status(), self.words()))
    }

    /// VIPs on a backend's loopback.
    fn vips_on(&self, number: usize) -> Vec<&'static str> {
        let addresses = self.fleet.edges[number - 1].netns.ip(&["addr", "show", "dev", "lo"]).unwrap();
        let known = [" 203.0.113.10/32 ", " 2001:db8:f::10/128 "];
        known.into_iter().filter(|known| addresses.contains(known)).collect()
    }

    pub fn words(&self) -> String {
        self.fleet.last_words()
    }

    pub fn a_deleted_balancer_leaves_nothing_behind(&self) {
        for (number, _) in WEIGHTS {
            let netns = &self.fleet.edges[number - 1].netns;
            assert_eq!(self.vips_on(number).len(), 2, "edge-{number}");
            let output =
                netns.command("sysctl").args(["-n", "net.ipv4.conf.eth0.arp_ignore"]).output().unwrap();
            assert_eq!(
                String::from_utf8_lossy(&output.stdout).trim(),
                "1",
                "the VIP is the balancer's to answer for"
            );
        }
        std::fs::remove_file(self.fleet.policies().join("web.yaml")).unwrap();
        for (number, edge) in (1..).zip(&self.fleet.edges) {
            eventually(PATIENCE, || {
                let link = edge.netns.ip(&["-d", "link", "show", "dev", "eth0"])?;
                Ok((!link.contains("xdp") && self.vips_on(number).is_empty()).then_some(()))
            })
            .unwrap_or_else(|error| panic!("{}: something stays: {error:#}{}", edge.name, self.words()));
        }
    }
}

/// Clients reach the addresses by the balancing node, and the hub forwards between the nodes.
fn route(fleet: &Fleet) {
    fleet.route_between_edges().unwrap();
    fleet.hub.ip(&["route", "add", &format!("{VIP4}/32"), "via", "10.80.1.2"]).unwrap();
    fleet.hub.ip(&["route", "add", &format!("{VIP6}/128"), "via", "fd80:1::2"]).unwrap();
}

fn balancer() -> String {
    let backends: String = WEIGHTS
        .iter()
        .map(|(number, weight)| {
            format!(
                "    - {{address: 10.80.{number}.2, weight: {weight}}}\n    \
                 - {{address: \"fd80:{number}::2\", weight: {weight}}}\n"
            )
        })
        .collect();
    let interval = INTERVAL.as_millis();
    format!(
        "apiVersion: sluice.dev/v1alpha1\nkind: XdpLoadBalancer\nmetadata: {{namespace: shop, name: web}}\nspec:\n  \
         addresses: [{VIP4}, \"{VIP6}\"]\n  \
         ports: [{{name: http, protocol: TCP, port: 80}}, {{name: dns, protocol: UDP, port: 53}}]\n  \
         nodeSelector: {{matchLabels: {{role: edge}}}}\n  interfaces: {{names: [eth0]}}\n  \
         hashing: {{slots: 4096}}\n  backends:\n    static:\n{backends}  \
         healthCheck: {{tcp: {{port: 80}}, interval: {interval}ms, timeout: {interval}ms, rise: {RISE}, fall: {FALL}}}\n"
    )
}
