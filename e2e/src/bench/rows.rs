//! What is measured: a program, a frame for it, and the verdict that shows that the right thing was measured.

mod sets;
mod sluice;
mod xdp_filter;

use std::os::fd::AsFd;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use sluice_abi::{HopState, NextHop};
use sluice_datapath::load::{LoadSpec, Loaded, load};
use sluice_datapath::measure::{Flows, Foreign, Repeatable};
use sluice_datapath::test_run::XdpAction;
use sluice_plan::Hook;

use super::frames::{DESTINATION, MAC, udp};
use super::programs::Facts;
use crate::oracle::Node;
use crate::packets::place;

pub use sluice::{one_port, ten_thousand};
pub use xdp_filter::{MISSING, Objects};

/// A frame through a program.
pub struct Row {
    pub label: Label,
    pub frame: Vec<u8>,
    pub program: Repeatable,
    /// The empty program in the same wrapper.
    pub empty: Repeatable,
    pub expected: XdpAction,
}

/// What a reader is told of a row beside its cost.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Label {
    pub name: String,
    /// Sluice, and not what it is compared with.
    pub ours: bool,
    pub bar: Option<Bar>,
    pub references: Vec<Reference>,
}

/// What a row must not exceed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Bar {
    /// So many times the empty program.
    Empties(f64),
    /// So many times another row.
    Rows(f64, String),
}

/// What others took when they were measured in this way, in empty programs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Reference {
    pub name: String,
    pub times: f64,
}

/// A program and the packets that it is measured with.
struct Subject {
    name: String,
    program: Program,
    packets: Vec<Packet>,
}

enum Program {
    /// What an interface of this node would be given.
    Plan(Box<Node>),
    Foreign(Foreign),
    /// The empty program, for what the wrapper costs.
    Empty,
}

struct Packet {
    name: &'static str,
    frame: Vec<u8>,
    flows: Flows,
    expected: XdpAction,
    bar: Option<Bar>,
    references: Vec<Reference>,
}

/// All rows, what was loaded for them, and in words what could not be.
pub struct All {
    pub rows: Vec<Row>,
    pub facts: Vec<Facts>,
    pub missing: Vec<String>,
}

pub fn all(ingress: u32) -> anyhow::Result<All> {
    let mut all = All { rows: Vec::new(), facts: Vec::new(), missing: Vec::new() };
    let mut subjects = vec![wrapper()];
    subjects.extend(sluice::subjects()?);
    subjects.extend(sets::subjects()?);
    match Objects::find() {
        Some(objects) => subjects.extend(xdp_filter::subjects(&objects)?),
        None => all.missing.push(MISSING.to_owned()),
    }
    for subject in subjects {
        let name = subject.name.clone();
        subject.load(ingress, &mut all).context(name)?;
    }
    all.facts.extend(at_tcx()?);
    Ok(all)
}

/// Nothing is timed there: a test run of tcx makes a packet's buffer first, which costs more than the program.
fn at_tcx() -> anyhow::Result<Vec<Facts>> {
    let Node { plan, .. } = one_port(53)?;
    let hooks = [(Hook::TcIngress, "1 rule, tcx ingress"), (Hook::TcEgress, "1 rule, tcx egress")];
    let facts = hooks.map(|(hook, name)| {
        let loaded = load(&plan, &LoadSpec { hook, ..LoadSpec::everything(&plan) })?;
        Ok(Facts::of(name, &loaded.facts()?))
    });
    facts.into_iter().collect()
}

impl Subject {
    fn new(name: impl Into<String>, node: Node, packets: Vec<Packet>) -> Subject {
        Subject { name: name.into(), program: Program::Plan(Box::new(node)), packets }
    }

    fn load(self, ingress: u32, all: &mut All) -> anyhow::Result<()> {
        let Subject { name, program, packets } = self;
        let ours = matches!(program, Program::Plan(_));
        let program = match program {
            Program::Plan(node) => {
                let loaded = loaded(&node, ingress)?;
                all.facts.push(Facts::of(&name, &loaded.facts()?));
                loaded.program_fd().try_clone_to_owned()?
            }
            Program::Foreign(foreign) => {
                all.facts.push(Facts::of(&name, &foreign.facts()?));
                foreign.program_fd().try_clone_to_owned()?
            }
            Program::Empty => Repeatable::empty()?.program_fd().try_clone_to_owned()?,
        };
        for Packet { name: packet, frame, flows, expected, bar, references } in packets {
            all.rows.push(Row {
                label: Label { name: format!("{name}, {packet}"), ours, bar, references },
                program: Repeatable::wrapped(program.as_fd(), &frame, &flows)?,
                empty: Repeatable::wrapped_empty(&frame, &flows)?,
                frame,
                expected,
            });
        }
        Ok(())
    }
}

impl Packet {
    fn new(name: &'static str, frame: Vec<u8>, flows: Flows, expected: XdpAction) -> Packet {
        Packet { name, frame, flows, expected, bar: None, references: Vec::new() }
    }

    fn at_most(self, empties: f64) -> Packet {
        Packet { bar: Some(Bar::Empties(empties)), ..self }
    }

    fn at_most_rows(self, times: f64, row: &str) -> Packet {
        Packet { bar: Some(Bar::Rows(times, row.to_owned())), ..self }
    }

    fn reference(mut self, name: &str, times: f64) -> Packet {
        self.references.push(Reference { name: name.to_owned(), times });
        self
    }
}

/// What every other row includes.
fn wrapper() -> Subject {
    let packet = |name, flows| Packet::new(name, udp(DESTINATION, 53), flows, XdpAction::Drop);
    let packets = vec![packet("one flow", Flows::One), packet("another flow each", Flows::Many)];
    Subject { name: "empty, in the wrapper".to_owned(), program: Program::Empty, packets }
}

/// As an agent would, with next hops that exist.
pub fn loaded(node: &Node, ingress: u32) -> anyhow::Result<Loaded> {
    let loaded = load(&node.plan, &LoadSpec::everything(&node.plan))?;
    loaded.set_surroundings(&node.plan, &node.world.node_addresses)?;
    loaded.put_sets(&node.plan, &node.world.sets)?;
    let source = place::NODE4.to_ipv6_mapped().octets();
    let hop = NextHop {
        source,
        destination_mac: MAC,
        source_mac: MAC,
        ifindex: ingress,
        mtu: 1500,
        state: HopState::Resolved as u8,
        reserved: 0,
    };
    let targets = node.plan.balancers.parts.iter().map(|part| part.targets.len() as u32).sum();
    (0..targets).try_for_each(|target| loaded.set_next_hop(target, &hop))?;
    Ok(loaded)
}
