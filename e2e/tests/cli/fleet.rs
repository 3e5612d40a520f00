//! The commands that ask an operator, against a fleet of two nodes in namespaces.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use sluice_e2e::fleet::{Fleet, Options};
use sluice_e2e::frames;
use sluice_e2e::netns::{Netns, mac};
use sluice_e2e::process::{eventually, program};
use sluice_e2e::sender::Sender;

use crate::run::{Said, quiet};
use crate::{drops, metrics};

pub const PATIENCE: Duration = Duration::from_secs(20);
const EDGE: &str = "apiVersion: sluice.dev/v1alpha1
kind: XdpFilter
metadata: {name: edge}
spec:
  interfaces: {names: [eth0]}
  rules:
  - {name: flood, action: Drop, match: {protocols: [UDP], destinationPorts: [\"5353\"]}}
  - {name: watched, action: Drop, mode: Audit, match: {protocols: [UDP], destinationPorts: [\"5354\"]}}
  - {name: quiet, action: Drop, match: {protocols: [TCP], destinationPorts: [\"1\"]}}
";

const METRICS_PAGE: &str = include_str!("../../../docs/metrics.md");

/// An IPv4 UDP frame of `frames::udp`.
const FRAME: u64 = 60;

pub struct Cli<'f>(pub &'f Fleet);

impl Cli<'_> {
    /// In the operator's namespace, with its certificates.
    pub fn run(&self, line: &str) -> Said {
        let data = self.0.data();
        Said::of(self.command(line).arg("--data").arg(data))
    }

    fn with_pki(&self, line: &str, pki: &Path) -> Said {
        Said::of(self.command(line).arg("--pki").arg(pki))
    }

    pub fn command(&self, line: &str) -> Command {
        let mut command = quiet(self.0.hub.command(program("kubectl-sluice").unwrap()));
        command.args(line.split(' '));
        command
    }

    /// Polls until `found` is satisfied with the JSON that the command prints.
    pub fn until(&self, line: &str, found: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        let asked = eventually(PATIENCE, || {
            last = self.run(line).json();
            Ok(found(&last).then(|| last.clone()))
        });
        asked.unwrap_or_else(|error| panic!("{line}: {error}: {last:#}{}", self.0.last_words()))
    }
}

pub fn send(fleet: &Fleet, edge: usize, port: u16, count: u64) {
    let to = mac(&fleet.edges[edge].netns, "eth0").unwrap();
    let net = edge as u8 + 1;
    let frame = frames::udp([2, 0, 0, 0, 0, 9], to, [10, 80, net, 1], [10, 80, net, 2], 4000, port);
    assert_eq!(frame.len() as u64, FRAME);
    let interface = format!("to-edge-{net}");
    let sender = Sender::start(&fleet.hub, &interface, 20_000, count, move |_, buffer| {
        buffer[..frame.len()].copy_from_slice(&frame);
        frame.len()
    });
    assert_eq!(sender.finish().unwrap(), count);
}

/// Packets and bytes by node, rule and verdict.
type Table = BTreeMap<(String, String, String), (u64, u64)>;

fn counters(answer: &Value) -> Table {
    let nodes = answer["nodes"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let all = nodes.flat_map(|node| {
        node["counters"].as_array().unwrap().iter().map(move |counter| {
            let key = (text(&node["node"]), text(&counter["rule"]), text(&counter["verdict"]));
            (key, (counter["packets"].as_u64().unwrap(), counter["bytes"].as_u64().unwrap()))
        })
    });
    all.collect()
}

#[test]
fn a_network_engineer_sees_what_the_fleet_does() {
    let directory = tempfile::tempdir().unwrap();
    let mut fleet = Fleet::build(Options::unique("slcl", 2, directory.path())).unwrap();
    fleet.write_policy("edge.yaml", EDGE).unwrap();
    fleet.start().unwrap();
    fleet.wait_ready("edge", 2, "", PATIENCE).unwrap();

    counters_agree_with_what_was_sent(&fleet);
    metrics_agree_with_counters(&fleet);
    status_and_nodes(&fleet);
    drops::are_seen_one_by_one(&fleet, directory.path());
    what_is_hardly_meant_is_in_the_status(&fleet);
    a_deletion_waits_for_its_confirmation(&fleet);
    a_broken_file_is_named(&fleet);
    certificates_and_addresses(&fleet, directory.path());

    fleet.operator.as_mut().unwrap().stop(PATIENCE).unwrap();
    let cli = Cli(&fleet);
    cli.run("status").fails(1, &["no operator at 127.0.0.1:9443: is it running"]);
    cli.run("get counters -o json").fails(1, &["Connection refused"]);
    assert!(cli.run("version").well().contains("operator  not reached: no operator at"));
}

fn counters_agree_with_what_was_sent(fleet: &Fleet) {
    let cli = Cli(fleet);
    send(fleet, 0, 5353, 500);
    send(fleet, 0, 5354, 30);
    send(fleet, 1, 5353, 7);
    let row = |node: &str, rule: &str, verdict: &str, packets: u64| {
        ((node.to_owned(), rule.to_owned(), verdict.to_owned()), (packets, packets * FRAME))
    };
    let expected = Table::from([
        row("edge-1", "flood", "drop", 500),
        row("edge-1", "watched", "audited", 30),
        row("edge-1", "quiet", "drop", 0),
        row("edge-2", "flood", "drop", 7),
        row("edge-2", "watched", "audited", 0),
        row("edge-2", "quiet", "drop", 0),
    ]);
    let answer = cli.until("get counters -o json", |answer| counters(answer) == expected);
    assert!(answer["nodes"][0]["stats"]["packets"].as_u64().unwrap() >= 530);
    assert_eq!(counters(&cli.run("get counters edge -o json").json()), expected);
    cli.run("get counters egde").fails(1, &["no policy is named \"egde\"", "kubectl sluice status"]);

    let table = cli.run("get counters").well();
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines[0], "NODE    POLICY  RULE     VERDICT  PACKETS  BYTES");
    assert_eq!(lines[1], "edge-1  edge    flood    drop         500  30000", "in the order of the policy");
    assert_eq!(lines[3], "edge-1  edge    quiet    drop           0      0");
    assert_eq!(lines.len(), 7);
}

fn metrics_agree_with_counters(fleet: &Fleet) {
    let series = |text: &str, name: &str| metrics::series(text).remove(name).unwrap();
    let labels = |rule: &str, verdict: &str| {
        metrics::Labels::from(
            [
                ("kind", "XdpFilter"),
                ("namespace", ""),
                ("policy", "edge"),
                ("rule", rule),
                ("verdict", verdict),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
        )
    };
    let operator = metrics::scrape(&fleet.hub, 9090).unwrap();
    let agent = metrics::scrape(&fleet.edges[0].netns, 9500).unwrap();
    let table = METRICS_PAGE.lines().filter_map(|line| line.strip_prefix("| `sluice_")?.split_once('`'));
    let table: BTreeSet<String> = table.map(|(name, _)| format!("sluice_{name}")).collect();
    let announced = metrics::families(&operator).union(&metrics::families(&agent)).cloned().collect();
    assert_eq!(table, announced, "docs/metrics.md has all that is there, and nothing else");
    for (unit, size) in [("packets", 1), ("bytes", FRAME)] {
        let expected = [("flood", "drop", 507), ("watched", "audited", 30), ("quiet", "drop", 0)]
            .map(|(rule, verdict, packets)| (labels(rule, verdict), (packets * size) as f64));
        assert_eq!(series(&operator, &format!("sluice_rule_{unit}_total")), expected.into());
        let expected = [("flood", "drop", 500), ("watched", "audited", 30)]
            .map(|(rule, verdict, packets)| (labels(rule, verdict), (packets * size) as f64));
        assert_eq!(series(&agent, &format!("sluice_agent_rule_{unit}_total")), expected.into());
        assert_eq!(
            series(&agent, "sluice_agent_operator_connected").into_values().collect::<Vec<_>>(),
            [1.0]
        );
    }
    // The kernel's, so that other tests of the machine count too.
    let reasons = series(&agent, "sluice_xdp_exceptions_total");
    assert!(reasons.keys().any(|labels| labels["reason"] == "aborted"), "{reasons:?}");
    assert_eq!(series(&operator, "sluice_agents_connected").into_values().collect::<Vec<_>>(), [2.0]);
}

fn what_is_hardly_meant_is_in_the_status(fleet: &Fleet) {
    let cli = Cli(fleet);
    let odd = format!(
        "{EDGE}  - {{name: late, action: Pass, match: {{protocols: [UDP], destinationPorts: [\"5353\"]}}, \
         laterFragments: NoMatch}}
  - {{name: ssh, action: Drop, match: {{protocols: [TCP], destinationPorts: [\"22\"]}}}}\n"
    );
    let written = || -> Option<Value> {
        let file = fleet.data().join("status/xdpfilter-edge.yaml");
        let object: Value = serde_saphyr::from_str(&std::fs::read_to_string(file).ok()?).ok()?;
        Some(object["status"].clone())
    };
    let accepted = |status: &Value| {
        let accepted = status["conditions"].as_array()?.iter().find(|one| one["type"] == "Accepted")?;
        Some((accepted["status"].as_str()?.to_owned(), accepted["reason"].as_str()?.to_owned()))
    };
    let wait = |warnings: usize, reason: &str| {
        let found = eventually(PATIENCE, || {
            let status = written().unwrap_or_default();
            let count = status["warnings"].as_array().map_or(0, Vec::len);
            let is_there = count == warnings && accepted(&status) == Some(("True".into(), reason.into()));
            Ok(is_there.then_some(status))
        });
        found.unwrap_or_else(|error| {
            panic!("{error}: {:#}{}", written().unwrap_or_default(), fleet.last_words())
        })
    };
    wait(0, "Accepted");
    fleet.write_policy("edge.yaml", &odd).unwrap();
    let status = wait(2, "ShadowedByFailsafe");
    let said: Vec<_> =
        (0..2).map(|at| (&status["warnings"][at]["rule"], &status["warnings"][at]["reason"])).collect();
    assert_eq!(said, [(&"late".into(), &"Shadowed".into()), (&"ssh".into(), &"ShadowedByFailsafe".into())]);
    let table = cli.run("status").well();
    assert!(table.contains("edge: warning: Shadowed: late never matches"), "{table}");
    fleet.write_policy("edge.yaml", EDGE).unwrap();
    wait(0, "Accepted");
}

fn status_and_nodes(fleet: &Fleet) {
    let cli = Cli(fleet);
    // The flood has ended, so nothing is dropped any more.
    let status = cli.until("status -o json", |status| status["policies"][0]["droppedPerSecond"] == 0.0);
    let policy = &status["policies"][0];
    assert_eq!(policy["nodes"]["programmed"], 2);
    assert_eq!((&policy["mode"], &policy["rules"]), (&"Enforce".into(), &3.into()));
    assert_eq!((&policy["droppedPackets"], &policy["ready"]), (&507.into(), &"True".into()));
    let table = cli.run("status").well();
    assert_eq!(
        table,
        "FILTER  MODE     RULES  NODES  DROPPED/S  READY  REASON\n\
         edge    Enforce      3  2/2            0  True   Programmed\n"
    );
    let hash = policy["hash"].as_str().unwrap();
    assert!(cli.run("status -o wide").well().lines().nth(1).unwrap().ends_with(hash));
    assert!(cli.run("status -o yaml").well().contains("droppedPackets: 507"));

    let compile = cli.command("compile -o json -f").arg(fleet.policies()).output().unwrap();
    let compiled: Value = serde_json::from_slice(&compile.stdout).unwrap();
    assert_eq!(compiled["policies"][0]["hash"].as_str(), Some(hash), "compile says what nodes get");

    let nodes = cli.run("nodes -o json").json();
    for (node, name) in nodes["nodes"].as_array().unwrap().iter().zip(["edge-1", "edge-2"]) {
        assert_eq!((&node["name"], &node["connected"]), (&name.into(), &true.into()));
        assert_eq!(node["plan"], compiled["hash"]);
        assert_eq!((&node["takes"]["tcx"], &node["takes"]["rules"]), (&true.into(), &10_240.into()));
        assert!(
            node["program"]["verifiedInstructions"].as_u64().is_some_and(|walked| walked > 1000),
            "{node}"
        );
        let nic = &node["nics"].as_array().unwrap().iter().find(|nic| nic["name"] == "eth0").unwrap();
        assert_eq!((&nic["driver"], &nic["xdpMode"]), (&"veth".into(), &"native".into()));
    }
    let replicas = cli.run("replicas -o json").json();
    assert_eq!((&replicas["replicas"][0]["leads"], &replicas["replicas"][1]), (&true.into(), &Value::Null));
    assert!(cli.run("replicas").well().contains("decides"));
    for line in ["status", "nodes", "replicas", "get counters", "version"] {
        let table = cli.run(line).well();
        assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
        assert!(!table.contains('\x1b'), "colours are for terminals");
    }
    assert!(cli.run("version").well().contains("operator  0.1.0 (cluster "));
    assert!(cli.run("join edge-9 --valid-for 1").well().starts_with("edge-9."));
    cli.run("join edge_9").fails(1, &["node name \"edge_9\": write lower-case letters"]);
}

/// Four of five objects vanish at once.
fn a_deletion_waits_for_its_confirmation(fleet: &Fleet) {
    let cli = Cli(fleet);
    assert!(cli.run("confirm-deletion").well().starts_with("nothing is held"));
    let more = |name: &str| EDGE.replace("name: edge}", &format!("name: {name}}}")).replace("eth0", "spare0");
    fleet.write_policy("more.yaml", &["a", "b", "c", "d"].map(more).join("---\n")).unwrap();
    let count = |status: &Value| status["policies"].as_array().unwrap().len();
    cli.until("status -o json", |status| count(status) == 5);
    std::fs::remove_file(fleet.policies().join("more.yaml")).unwrap();
    let held = cli.until("status -o json", |status| status["policies"][0]["reason"] == "MassDeletion");
    assert_eq!(count(&held), 5);
    assert!(cli.run("status").well().contains("vanished from the source at once"));
    assert!(cli.run("confirm-deletion").well().starts_with("confirmed"));
    cli.until("status -o json", |status| count(status) == 1 && status["policies"][0]["ready"] == "True");
}

fn a_broken_file_is_named(fleet: &Fleet) {
    let cli = Cli(fleet);
    fleet
        .write_policy("new.yaml", &EDGE.replace("name: edge}", "name: new}").replace("[UDP]", "[UPD]"))
        .unwrap();
    cli.until("status -o json", |status| status.to_string().contains("UPD"));
    let status = cli.run("status").well();
    assert!(status.contains("UPD") && status.contains("spec.rules"), "{status}");
    std::fs::remove_file(fleet.policies().join("new.yaml")).unwrap();
    cli.until("status -o json", |status| !status.to_string().contains("UPD"));
}

fn certificates_and_addresses(fleet: &Fleet, directory: &Path) {
    let cli = Cli(fleet);
    let (own, foreign, mixed) =
        (fleet.data().join("pki"), directory.join("other/pki"), directory.join("mixed"));
    let made = Command::new(program("sluice-operator").unwrap())
        .args(["token", "x", "--data"])
        .arg(directory.join("other"))
        .output()
        .unwrap();
    assert!(made.status.success());
    cli.with_pki("status", &foreign)
        .fails(1, &["what listens at 127.0.0.1:9443 is not the operator", "--pki"]);

    std::fs::create_dir(&mixed).unwrap();
    let copy = |from: &Path, name: &str| std::fs::copy(from.join(name), mixed.join(name)).unwrap();
    copy(&own, "ca.crt");
    copy(&foreign, "admin.crt");
    copy(&foreign, "admin.key");
    cli.with_pki("status", &mixed).fails(1, &["does not know this client's certificate"]);
    copy(&own, "admin.crt");
    cli.with_pki("status", &mixed).fails(1, &["admin.crt and admin.key: copy both from the operator"]);
    std::fs::remove_file(mixed.join("admin.key")).unwrap();
    cli.with_pki("status", &mixed).fails(1, &["admin.key: No such file", "--data"]);

    cli.run("status --operator nowhere").fails(2, &["write HOST:PORT"]);
    cli.run("status --operator 127.0.0.1:1").fails(1, &["no operator at 127.0.0.1:1"]);
    cli.run("stauts").fails(2, &["unrecognized subcommand 'stauts'"]);
    let help = Said::of(&mut quiet(Command::new(program("kubectl-sluice").unwrap())));
    assert_eq!(help.code, 2, "no command at all");
}

#[test]
fn compile_is_deterministic_and_says_what_becomes_of_policies() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        std::fs::write(directory.path().join(name), text).unwrap();
        directory.path().join(name)
    };
    let compile = |files: &[&Path], flags: &[&str]| {
        let mut command = crate::run::cli();
        command.arg("compile").args(flags);
        files.iter().for_each(|file| {
            command.arg("-f").arg(file);
        });
        Said::of(&mut command)
    };
    let (edge, all) = (file("edge.yaml", EDGE), file("all.yaml", crate::simulate::POLICIES));
    let both = compile(&[&edge, &all], &["-o", "json"]);
    // The same object twice in two files is one too many.
    both.fails(1, &["XdpFilter/edge"]);
    let first = compile(&[&all], &["-o", "json"]).json();
    assert_eq!(compile(&[&all], &["-o", "json"]).json(), first, "equal policies, equal hash");
    assert_eq!(first["hash"].as_str().unwrap().len(), 12);
    let table =
        |name: &str| first["tables"].as_array().unwrap().iter().find(|table| table["name"] == name).cloned();
    assert_eq!(table("ring").unwrap()["elements"], 65_536);
    assert_eq!(table("entries").unwrap()["elements"], first["entries"]);
    let policies = first["policies"].as_array().unwrap();
    assert_eq!(
        policies.iter().map(|policy| policy["rules"].as_u64().unwrap()).collect::<Vec<_>>(),
        [1, 4, 1, 0]
    );
    let other = compile(&[&edge], &["-o", "json"]).json();
    assert_ne!(other["hash"], first["hash"]);
    let text = compile(&[&edge], &[]).well();
    assert!(text.starts_with(&format!("plan {}: ", other["hash"].as_str().unwrap())), "{text}");
    compile(&[&directory.path().join("none.yaml")], &[]).fails(1, &["none.yaml: No such file"]);
    compile(&[&file("empty.yaml", "# nothing\n")], &[]).fails(1, &["empty.yaml: no policy in it"]);
}

/// Kept out of the others' way.
pub fn lone_netns(name: &str) -> Netns {
    Netns::create(&format!("{name}-{}", std::process::id())).unwrap()
}
