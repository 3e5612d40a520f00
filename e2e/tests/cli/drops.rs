//! `drops`: what the fleet drops, packet by packet.

use std::path::Path;
use std::time::Instant;

use nix::sys::signal::Signal;
use serde_json::Value;
use sluice_e2e::fleet::Fleet;
use sluice_e2e::process::{Process, eventually, run};

use crate::fleet::{Cli, PATIENCE, send};
use crate::wireshark;

/// Samples of a rule in a second, and at once after a rest.
const A_SECOND: usize = 20;
const FLOOD: u64 = 2000;

pub fn are_seen_one_by_one(fleet: &Fleet, directory: &Path) {
    let cli = Cli(fleet);
    cli.run("drops --policy egde").fails(1, &["no policy is named \"egde\"", "kubectl sluice status"]);
    let nothing = cli.run("drops --for 1s --rule quiet");
    assert!(nothing.err.contains("no packet was dropped"), "{nothing:?}");
    assert_eq!(nothing.well(), "");

    let capture = directory.join("drops.pcapng");
    let begun = Instant::now();
    let flags = format!("drops -f -o json --policy edge --rule flood --write {} --data", capture.display());
    let mut command = cli.command(&flags);
    command.arg(fleet.data());
    let mut drops = Process::start("drops", directory, command).unwrap();
    until_it_says(fleet, &drops, "\"edge-1\"", 0);
    until_it_says(fleet, &drops, "\"edge-2\"", 1);
    send(fleet, 0, 5353, FLOOD);
    send(fleet, 0, 5354, 10);
    // Whoever stops looking is told how much more there was.
    until_it_says(fleet, &drops, "\"edge-2\"", 1);
    drops.signal(Signal::SIGINT).unwrap();
    assert!(drops.wait(PATIENCE).unwrap().success(), "{}", drops.log());

    let log = drops.log();
    let seen: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    for drop in &seen {
        let text = |name: &str| drop[name].as_str().unwrap_or_default();
        assert_eq!(
            ["interface", "verdict", "kind", "namespace", "policy", "rule", "stage"].map(text),
            ["eth0", "Drop", "XdpFilter", "", "edge", "flood", "Filter"],
            "{drop:#}"
        );
        let net = if text("node") == "edge-1" { 1 } else { 2 };
        assert_eq!(text("summary"), format!("IP 10.80.{net}.1.4000 > 10.80.{net}.2.5353: UDP"));
        assert_eq!((drop["length"].as_u64(), text("packet").len()), (Some(60), 120), "{drop:#}");
    }
    let first = seen.iter().filter(|drop| drop["node"] == "edge-1").count();
    let bound = A_SECOND * (begun.elapsed().as_secs() as usize + 2);
    assert!((A_SECOND..=bound).contains(&first), "{first} samples, at most {bound}");
    assert!(log.contains("more packets were dropped by rules that had their 20 samples a second"), "{log}");
    in_tcpdump(&capture, seen.len());
    in_wireshark(&capture, seen.len());

    in_text_until_there_are_enough(fleet, directory);
}

/// Sends a packet at a time until the command has one: it listens.
fn until_it_says(fleet: &Fleet, drops: &Process, what: &str, edge: usize) {
    let before = drops.log().matches(what).count();
    let said = eventually(PATIENCE, || {
        send(fleet, edge, 5353, 1);
        Ok((drops.log().matches(what).count() > before).then_some(()))
    });
    said.unwrap_or_else(|error| panic!("{what}: {error}: {}{}", drops.log(), fleet.last_words()));
}

fn in_tcpdump(capture: &Path, packets: usize) {
    let file = capture.display().to_string();
    let read = run("tcpdump", &["-nn", "-r", &file]).unwrap();
    let lines = read.lines().filter(|line| line.contains("10.80.") && line.contains(".5353: ")).count();
    assert_eq!(lines, packets, "{read}");
}

/// By the display filter that docs/drops.md names.
fn in_wireshark(capture: &Path, packets: usize) {
    let shown = wireshark::packets(capture, "frame.comment contains \"flood\"");
    assert_eq!(shown.len(), packets);
    for packet in &shown {
        assert!(["edge-1:eth0", "edge-2:eth0"].contains(&packet.interface.as_str()), "{packet:?}");
        assert_eq!((packet.action, packet.length, packet.captured), (1, 60, 60), "{packet:?}");
        assert_eq!(packet.comment, "Drop: rule flood of edge");
    }
    let of = |interface: &str| shown.iter().any(|packet| packet.interface == interface);
    assert!(of("edge-1:eth0") && of("edge-2:eth0"), "an interface for each of each node");
}

fn in_text_until_there_are_enough(fleet: &Fleet, directory: &Path) {
    let mut command = Cli(fleet).command("drops -f -c 2 --node edge-2 --data");
    command.arg(fleet.data());
    let mut drops = Process::start("few-drops", directory, command).unwrap();
    let ended = eventually(PATIENCE, || {
        send(fleet, 0, 5353, 1);
        send(fleet, 1, 5353, 1);
        Ok((!drops.is_running()).then_some(()))
    });
    ended.unwrap_or_else(|error| panic!("{error}: {}", drops.log()));
    let log = drops.log();
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines.len(), 2, "{log}");
    for line in lines {
        let (time, rest) = line.split_once(' ').unwrap();
        assert_eq!(time.len(), "12:00:00.000000".len(), "{line}");
        assert_eq!(
            rest,
            "edge-2 eth0 IP 10.80.2.1.4000 > 10.80.2.2.5353: UDP, length 60 -- edge: flood (Filter)"
        );
    }
}
