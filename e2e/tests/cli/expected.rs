//! `test`: packets and what is expected of them.

use std::path::Path;

use crate::captures::Format;
use crate::run::{Said, cli};
use crate::simulate::Bench;

const TESTS: &str = "
tests:
- name: the web server is open
  packet: ip src=100.64.0.1 / tcp dport=443 flags=S
  expect: {verdict: Pass, policy: edge, rule: web, stage: Filter, mode: Enforce}
- name: <bad> networks are dropped
  pcap: {file: capture, packet: 2}
  interface: eth0
  expect: {verdict: Drop, rule: bad-nets}
- name: SSH to the node is kept
  packet: ip dst=198.51.100.1 / tcp dport=22
  nodeAddresses: [198.51.100.1]
  nodeLabels: {role: edge}
  expect: {verdict: Pass, stage: Failsafe}
";

fn test(bench: &Bench, text: &str, flags: &[&str]) -> Said {
    let tests = bench.file("tests.yaml", text);
    Said::of(cli().args(["test", "-f"]).arg(bench.policies()).arg(tests).args(flags))
}

fn with_capture() -> Bench {
    let bench = Bench::new();
    let frame = |source: [u8; 4]| {
        sluice_e2e::packets::Ipv4 { source: source.into(), ..Default::default() }
            .frame(17, &sluice_e2e::packets::udp(4000, 53))
    };
    bench.capture(&Format::default().pcap(&[frame([192, 0, 2, 1]), frame([198, 51, 100, 9])]));
    bench
}

#[test]
fn what_is_expected_holds_or_is_held_against_what_was_found() {
    let bench = with_capture();
    let said = test(&bench, TESTS, &[]).well();
    assert_eq!(said.lines().next(), Some("ok      the web server is open"));
    assert!(said.ends_with("3 of 3 tests hold, 0 failed\n"), "{said}");

    let wrong = TESTS
        .replace("rule: bad-nets", "rule: web, stage: Default")
        .replace("verdict: Drop", "verdict: Pass");
    let said = test(&bench, &wrong, &[]);
    assert_eq!(said.code, 1, "{said:?}");
    let why = "expected verdict Pass, rule web, stage Default; found Drop: rule bad-nets of edge";
    assert!(said.out.contains(why), "{said:?}");
    let json: serde_json::Value = serde_json::from_str(&test(&bench, &wrong, &["-o", "json"]).out).unwrap();
    assert_eq!(json["tests"][1]["passed"], false);
    assert_eq!(
        json["tests"][1]["differences"][1],
        serde_json::json!({"field": "rule", "expected": "web", "found": "bad-nets"})
    );
    let junit = test(&bench, &wrong, &["-o", "junit"]).out;
    assert!(junit.contains("tests=\"3\" failures=\"1\""), "{junit}");
    assert!(
        junit.contains("name=\"&lt;bad&gt; networks are dropped\"><failure message=\"expected"),
        "{junit}"
    );
}

#[test]
fn a_file_that_says_something_else_is_refused_with_what_to_write() {
    let bench = with_capture();
    for (from, to, says) in [
        (
            "verdict: Pass, policy",
            "verdikt: Pass, policy",
            "tests[0].expect.verdikt: no such field: did you mean verdict?",
        ),
        (
            "interface: eth0",
            "interfaces: eth0",
            "tests[1].interfaces: no such field: did you mean interface?",
        ),
        ("packet: 2", "number: 2", "tests[1].pcap.number: no such field"),
        ("packet: 2", "packet: 3", "capture has 2 packets, and no packet 3"),
        ("packet: 2", "packet: 0", "tests.yaml"),
        ("file: capture", "file: nowhere.pcap", "nowhere.pcap: No such file"),
        (
            "stage: Failsafe",
            "stage: failsafe",
            "tests[2].expect.stage: \"failsafe\" is none: write Failsafe, Filter",
        ),
        ("expect: {verdict: Pass, stage: Failsafe}", "expect: {}", "tests[2].expect: expects nothing"),
        ("  nodeLabels", "  pcap: {file: capture, packet: 1}\n  nodeLabels", "write either packet or pcap"),
        (
            "tcp dport=22",
            "tcp dport=ssh",
            "test \"SSH to the node is kept\": packet: tcp: dport=\"ssh\" is no number",
        ),
        ("[198.51.100.1]", "[node]", "tests.yaml"),
    ] {
        let text = TESTS.replacen(from, to, 1);
        assert_ne!(text, TESTS, "{from}");
        test(&bench, &text, &[]).fails(1, &[says]);
    }
    test(&bench, "tests: []", &[]).fails(1, &["no tests in it"]);
    let mut command = cli();
    command.args(["test", "-f"]).arg(bench.policies()).arg(Path::new("/nonexistent.yaml"));
    Said::of(&mut command).fails(1, &["/nonexistent.yaml: No such file"]);
}
