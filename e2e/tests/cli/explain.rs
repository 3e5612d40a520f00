//! `explain`: the kernel's own answer, and why.

use std::path::Path;

use serde_json::Value;
use sluice_e2e::packets::corpus;
use sluice_e2e::packets::place::NODE4;

use crate::captures::Format;
use crate::run::{Said, cli};
use crate::simulate::Bench;

fn explain(bench: &Bench, flags: &[&str]) -> Said {
    let mut command = cli();
    command.args(["explain", "-f"]).arg(bench.policies()).args(["--node-address", &NODE4.to_string()]);
    Said::of(command.args(flags))
}

fn of_capture(bench: &Bench, capture: &Path, flags: &[&str]) -> Said {
    explain(bench, &[&["--pcap", capture.to_str().unwrap(), "-o", "json"], flags].concat())
}

#[test]
fn the_answer_is_the_kernels() {
    let bench = Bench::new();
    let frames: Vec<Vec<u8>> = corpus().into_iter().map(|named| named.frame).collect();
    let capture = bench.capture(&Format::default().pcap(&frames));
    let kernel = bench.simulate(&capture, &["-o", "json"]).well();
    let explained = of_capture(&bench, &capture, &[]).well();
    assert_eq!(kernel.lines().count(), frames.len());
    assert_eq!(explained.lines().count(), frames.len());
    for (kernel, explained) in kernel.lines().zip(explained.lines()) {
        let mut explained: Value = serde_json::from_str(explained).unwrap();
        let considered = explained.as_object_mut().unwrap().remove("considered").unwrap();
        explained.as_object_mut().unwrap().remove("failsafe");
        let kernel: Value = serde_json::from_str(kernel).unwrap();
        assert_eq!(explained, kernel, "{considered}");
        led_there(&kernel, considered.as_array().unwrap());
    }
}

/// What was considered is what leads to the verdict.
fn led_there(kernel: &Value, considered: &[Value]) {
    for rule in considered {
        let fits = rule["fields"].as_array().unwrap().iter().all(|field| field["fits"] == true);
        assert_eq!(rule["matches"], fits, "{rule}");
    }
    if kernel["stage"] == "Failsafe" {
        assert!(considered.is_empty(), "{kernel}");
    }
    if kernel["stage"] == "Filter" && kernel["mode"] == "Enforce" {
        let last = considered.last().unwrap();
        assert_eq!(
            (&last["policy"], &last["rule"], &last["matches"]),
            (&kernel["policy"], &kernel["rule"], &true.into())
        );
    }
}

#[test]
fn a_described_packet_is_explained_in_words_and_in_json() {
    let bench = Bench::new();
    let words =
        explain(&bench, &["ip src=100.64.0.1 dst=198.51.100.77 / tcp sport=4000 dport=443 flags=S"]).well();
    assert_eq!(
        words,
        "100.64.0.1 -> 198.51.100.77, TCP 4000 -> 443, SYN

probe: telnet does not match
  yes  protocols: TCP; wanted: TCP
  no   destinationPorts: 443; wanted: 23

edge: bad-nets does not match
  no   sources: 100.64.0.1; wanted: 198.51.100.0/24

edge: vip does not match
  no   destinations: 198.51.100.77; wanted: 203.0.113.10/32

edge: web matches: Pass
  yes  protocols: TCP; wanted: TCP
  yes  destinationPorts: 443; wanted: 443

Pass: rule web of edge
"
    );
    let json = explain(&bench, &["-o", "json", "ip6 / frag offset=8 / udp dport=19"]).json();
    let web = &json["considered"][3];
    assert_eq!((&web["rule"], &web["matches"]), (&"web".into(), &false.into()));
    assert_eq!(web["fields"][1]["packet"], "a later fragment carries none");
    assert_eq!(web["fields"][1]["wanted"], serde_json::json!(["443", "laterFragments: MatchL3"]));
    assert_eq!((&json["policy"], &json["stage"]), (&"last".into(), &"Default".into()));

    let kept = explain(&bench, &["arp"]).well();
    assert!(kept.ends_with("Pass: before every rule: ARP is failsafe traffic\n"), "{kept}");
    let audited = explain(&bench, &["ip / udp dport=19"]).well();
    assert!(audited.contains("edge: chargen matches: Drop (Audit: only counted)"), "{audited}");
    assert!(audited.ends_with("Pass: rule chargen of edge would drop it, but for Audit\n"), "{audited}");
}

#[test]
fn one_packet_of_a_capture_or_a_word_on_why_not() {
    let bench = Bench::new();
    let frames: Vec<Vec<u8>> = corpus().into_iter().map(|named| named.frame).take(5).collect();
    let capture = bench.capture(&Format::default().pcap(&frames));
    let third = of_capture(&bench, &capture, &["--packet", "3"]).json();
    assert_eq!(third["packet"], 3);
    of_capture(&bench, &capture, &["--packet", "9"]).fails(1, &["has 5 packets, and no packet 9"]);
    of_capture(&bench, &capture, &["--packet", "0"]).fails(2, &["--packet"]);
    explain(&bench, &["ip / tcpp dport=1"]).fails(1, &["packet: tcpp: no such layer", "did you mean tcp?"]);
    explain(&bench, &[]).fails(2, &["<PACKET|--pcap"]);
}
