//! What frames meet at the other end: nothing, programs in the driver, or the network stack's own filters.

use std::os::fd::AsFd;

use sluice_datapath::measure::{Fate, Generator, Repeatable, pass};

use super::counters::Counts;
use super::receiver::Receiver;
use crate::bench::frames::udp;
use crate::bench::rows::{self, Bar, Label, Objects, Reference};
use crate::process::run;

/// UDP ports: of frames that are dropped, and of the socket.
pub const DROPPED: u16 = 1000;
pub const PASSED: u16 = 60_000;

/// Each half is the other's complement, as the generator wants it.
const SOURCE: [u8; 4] = [64, 0, 191, 255];
/// Behind Ethernet and an IPv4 header without options.
const UDP_CHECKSUM: std::ops::Range<usize> = 40..42;

pub struct Row {
    pub label: Label,
    pub family: Family,
    pub verdict: Verdict,
    pub generator: Generator,
    pub receiver: Receiver,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    Drops,
    /// To the socket.
    Passes,
}

impl Family {
    /// Runs of the generator in a cell, and frames of a run. A socket has to be read before it is full.
    pub fn shape(self) -> (u32, u32) {
        match self {
            Family::Drops => (2, 50_000),
            Family::Passes => (8, 1_000),
        }
    }
}

/// Where frames end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    BeforeTheStack,
    InTheStack,
    AtTheSocket,
}

impl Verdict {
    /// What `total` frames must have counted.
    pub fn counts(self, total: u64) -> Counts {
        let (received, delivered) = match self {
            Verdict::BeforeTheStack => (0, 0),
            Verdict::InTheStack => (total, 0),
            Verdict::AtTheSocket => (total, total),
        };
        Counts { device: total, received, delivered }
    }
}

pub struct Rows {
    /// The empty program in the driver: the unit.
    pub drop: Row,
    /// The empty program that passes: the unit of rows that pass.
    pub pass: Row,
    pub rows: Vec<Row>,
    /// In words.
    pub missing: Vec<String>,
}

pub fn all() -> anyhow::Result<Rows> {
    let mut cables = (0..).map(|number| Receiver::new(&format!("cable{number}")));
    let mut cable = || cables.next().expect("it does not end");
    let empty = Repeatable::empty()?;
    let drop = dropped("XDP drop, empty program", false, cable()?.with_program(empty.program_fd())?)?;
    let passing = |name: &str, ours, receiver| row(name, ours, Verdict::AtTheSocket, receiver);
    let empty_pass = passing("UDP socket, empty XDP pass", false, cable()?.with_program(pass()?.as_fd())?)?;

    let sluice = rows::loaded(&rows::one_port(DROPPED)?, 1)?;
    let again =
        dropped("XDP drop, empty program, another cable", false, cable()?.with_program(empty.program_fd())?)?;
    let mut all = vec![again, dropped("Sluice, 1 rule", true, cable()?.with_program(sluice.program_fd())?)?];
    let mut missing = Vec::new();
    match Objects::find() {
        Some(objects) => {
            let program = objects.one_port(DROPPED)?;
            let row = dropped("xdp-filter, 1 port", false, cable()?.with_program(program.program_fd())?)?;
            all.push(row.reference("xdp-filter", 1.39));
        }
        None => missing.push(rows::MISSING.to_owned()),
    }
    for make in [nft_ingress, nft_prerouting, iptables] {
        match make(cable()?) {
            Ok(row) => all.push(row),
            Err(error) => missing.push(format!("{error:#}")),
        }
    }
    let many = rows::loaded(&rows::ten_thousand()?, 1)?;
    all.push(passing(
        "UDP socket, empty XDP pass, another cable",
        false,
        cable()?.with_program(pass()?.as_fd())?,
    )?);
    all.push(passing("UDP socket, no program", false, cable()?)?);
    let mut filtered =
        passing("UDP socket, Sluice with 10,000 rules", true, cable()?.with_program(many.program_fd())?)?;
    filtered.label.bar = Some(Bar::Empties(1.15));
    all.push(filtered);
    Ok(Rows { drop, pass: empty_pass, rows: all, missing })
}

fn nft_ingress(receiver: Receiver) -> anyhow::Result<Row> {
    let chain = "type filter hook ingress device eth0 priority 0;";
    let row = row("nft, netdev ingress", false, Verdict::BeforeTheStack, nft(receiver, "netdev", chain)?)?;
    Ok(row)
}

fn nft_prerouting(receiver: Receiver) -> anyhow::Result<Row> {
    let chain = "type filter hook prerouting priority raw;";
    let row = row("nft, prerouting", false, Verdict::InTheStack, nft(receiver, "ip", chain)?)?;
    Ok(row.reference("nft", 4.5))
}

/// Without a counter, which nft does not need.
fn nft(receiver: Receiver, family: &str, chain: &str) -> anyhow::Result<Receiver> {
    let commands = format!(
        "add table {family} bench; add chain {family} bench first {{ {chain} }}; \
         add rule {family} bench first udp dport {DROPPED} drop"
    );
    receiver.with_tool("nft", &[&commands])
}

fn iptables(receiver: Receiver) -> anyhow::Result<Row> {
    let version = run("iptables", &["-V"])?;
    let kind = version.split(['(', ')']).nth(1).unwrap_or("legacy");
    let rule = ["-t", "raw", "-A", "PREROUTING", "-p", "udp", "--dport", &DROPPED.to_string(), "-j", "DROP"];
    let receiver = receiver.with_tool("iptables", &rule)?;
    let row = row(&format!("iptables ({kind}), raw PREROUTING"), false, Verdict::InTheStack, receiver)?;
    Ok(row.reference("iptables", 4.7))
}

fn dropped(name: &str, ours: bool, receiver: Receiver) -> anyhow::Result<Row> {
    row(name, ours, Verdict::BeforeTheStack, receiver)
}

fn row(name: &str, ours: bool, verdict: Verdict, receiver: Receiver) -> anyhow::Result<Row> {
    let passes = verdict == Verdict::AtTheSocket;
    Ok(Row {
        label: Label { name: name.to_owned(), ours, bar: None, references: Vec::new() },
        family: if passes { Family::Passes } else { Family::Drops },
        verdict,
        generator: Generator::new(&frame(if passes { PASSED } else { DROPPED }), Fate::Sent)?,
        receiver,
    })
}

impl Row {
    /// One run of the generator; how many datagrams were read.
    pub fn run(&self) -> anyhow::Result<u64> {
        let (_, frames) = self.family.shape();
        self.generator.run(frames, self.receiver.egress)?;
        self.receiver.read(if self.family == Family::Passes { frames } else { 0 })
    }

    fn reference(mut self, name: &str, times: f64) -> Row {
        self.label.references.push(Reference { name: name.to_owned(), times });
        self
    }
}

/// Without a UDP checksum, which would not hold for the generator's other sources.
pub fn frame(port: u16) -> Vec<u8> {
    let mut frame = udp(SOURCE, port);
    frame[UDP_CHECKSUM].fill(0);
    frame
}
