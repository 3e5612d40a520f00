//! The first act: an attack, a policy against it, an edit.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::{Duration, Instant};

use sluice_e2e::fleet::Fleet;
use sluice_e2e::frames;
use sluice_e2e::netns::mac;
use sluice_e2e::sender::Sender;

use crate::reader::Reader;
use crate::stage::{EDGES, FILTER, PATIENCE, Stage, step};
use crate::stop::Stop;

/// Of each flood and node; four floods run on each of three nodes.
const FRAMES_PER_SECOND: u64 = 2_000;

pub fn act(stage: &Stage, stop: &Stop) -> anyhow::Result<()> {
    let fleet = &stage.fleet;
    step(
        "attack: UDP, SYN from spoofed sources, VLAN-tagged and fragmented floods; and people who read a web page",
    );
    let floods = floods(fleet)?;
    let readers: Vec<Reader> =
        (1..=EDGES).map(|edge| Reader::start(&fleet.hub, format!("10.80.{edge}.2:80"))).collect();
    watch(fleet, &readers, 2, stop)?;
    step("docs/examples/xdpfilter.yaml is saved among the policies");
    fleet.write_policy("edge.yaml", FILTER)?;
    let first = fleet.wait_ready("edge", EDGES as u32, "", PATIENCE)?;
    println!("    Ready: {} (hash {})", first.message, first.hash);
    watch(fleet, &readers, 3, stop)?;
    step("edit: port 9 becomes port 10");
    let saved = Instant::now();
    fleet.write_policy("edge.yaml", &FILTER.replace("\"9\"", "\"10\""))?;
    let second = fleet.wait_ready("edge", EDGES as u32, &first.hash, PATIENCE)?;
    println!(
        "    {} ms from saving the file to the last node's confirmation (hash {})",
        saved.elapsed().as_millis(),
        second.hash
    );
    watch(fleet, &readers, 2, stop)?;
    floods.into_iter().try_for_each(|flood| flood.stop().map(|_| ()))
}

fn floods(fleet: &Fleet) -> anyhow::Result<Vec<Sender>> {
    let mut floods = Vec::new();
    for (index, edge) in fleet.edges.iter().enumerate() {
        let (from, to) = ([2, 0, 0, 0, 0, 9], mac(&edge.netns, "eth0")?);
        let (source, node) = ([10, 80, index as u8 + 1, 1], [10, 80, index as u8 + 1, 2]);
        let spoofed = |number: u64| [198, 18, (number >> 8) as u8, number as u8];
        let start = |frame: Box<dyn Fn(u64) -> Vec<u8> + Send>| {
            let wire = format!("to-{}", edge.name);
            let at_most = FRAMES_PER_SECOND * 120;
            Sender::start(&fleet.hub, &wire, FRAMES_PER_SECOND, at_most, move |number, buffer| {
                let frame = frame(number);
                buffer[..frame.len()].copy_from_slice(&frame);
                frame.len()
            })
        };
        floods.push(start(Box::new(move |_| frames::udp(from, to, source, node, 4000, 9))));
        floods.push(start(Box::new(move |number| frames::syn(from, to, spoofed(number), node, 1024, 23))));
        floods.push(start(Box::new(move |_| frames::tagged_udp(from, to, 100, source, node, 5000))));
        floods.push(start(Box::new(move |_| frames::later_fragment(from, to, source, node))));
    }
    Ok(floods)
}

/// The table, once a second.
fn watch(fleet: &Fleet, readers: &[Reader], seconds: u32, stop: &Stop) -> anyhow::Result<()> {
    for _ in 0..seconds {
        stop.pause(Duration::from_secs(1))?;
        let mut out = std::io::stdout().lock();
        writeln!(out, "    {:<8} {:<16} {:>10} {:>9}", "NODE", "RULE", "DROPPED", "ANSWERED")?;
        for (index, node) in fleet.counters()?.iter().enumerate() {
            let mut rules: BTreeMap<&str, u64> = BTreeMap::new();
            for counter in
                node.counters.iter().filter(|counter| counter.verdict == "drop" && counter.packets > 0)
            {
                *rules.entry(&counter.rule).or_default() += counter.packets;
            }
            let pages = readers.get(index).map(Reader::answered).unwrap_or_default();
            if rules.is_empty() {
                writeln!(out, "    {:<8} {:<16} {:>10} {:>9}", node.node, "-", "-", pages)?;
            }
            for (rule, packets) in rules {
                writeln!(out, "    {:<8} {rule:<16} {packets:>10} {pages:>9}", node.node)?;
            }
        }
    }
    Ok(())
}
