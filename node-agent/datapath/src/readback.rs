//! What the kernel really holds, compared with the plan: the proof behind PROGRAMMED.

use std::collections::BTreeSet;
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};

use sluice_abi::{ControlPeer, failsafe_bit};
use sluice_plan::{ControlEndpoint, Hash, NodePlan};

use crate::bpf;
use crate::error::{Context, Result};
use crate::image::Image;
use crate::local::{Peers, address_bytes};
use crate::program::{Program, RODATA, TABLES};

/// What was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadBack {
    /// Hash of the plan as rebuilt from the kernel's bytes.
    pub plan_hash: Hash,
    pub program_tag: [u8; 8],
}

/// The first thing that is not as the plan has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mismatch {
    Element {
        table: &'static str,
        index: usize,
        found: String,
        expected: String,
    },
    Length {
        table: &'static str,
        found: usize,
        expected: usize,
    },
    Constant {
        field: &'static str,
    },
    /// The program does not use the table that is pinned beside it.
    OtherTable {
        table: &'static str,
    },
    ControlEndpoints,
    Tag {
        found: String,
        expected: String,
    },
    /// The link runs another program than the one that was read.
    OtherProgram {
        found: u32,
        expected: u32,
    },
    /// Another map is at the place of this address set.
    OtherSet {
        set: String,
    },
    /// Every byte that was compared agrees and the hash does not.
    PlanHash {
        found: Hash,
        expected: Hash,
    },
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Mismatch::Element { table, index, found, expected } => {
                write!(f, "{table}[{index}] is {found}, the plan has {expected}")
            }
            Mismatch::Length { table, found, expected } => {
                write!(f, "{table} has {found} elements, the plan has {expected}")
            }
            Mismatch::Constant { field } => write!(f, "the constant {field} is another than the plan's"),
            Mismatch::OtherTable { table } => write!(f, "the program does not use the {table} that was read"),
            Mismatch::ControlEndpoints => {
                f.write_str("a control endpoint of the plan is not among the peers")
            }
            Mismatch::Tag { found, expected } => {
                write!(f, "the program's tag is {found}, loaded was {expected}")
            }
            Mismatch::OtherProgram { found, expected } => {
                write!(f, "the link runs program {found}, the plan's is {expected}")
            }
            Mismatch::OtherSet { set } => write!(f, "the place of the address set {set} holds another"),
            Mismatch::PlanHash { found, expected } => {
                write!(f, "the plan's hash is {found}, expected {expected}")
            }
        }
    }
}

/// Reads `program` and compares it with `expected`; the inner error is what differs.
pub fn read_back(
    program: &Program,
    plan: &NodePlan,
    expected: &Image,
    tag: [u8; 8],
    peers: &Peers,
) -> Result<std::result::Result<ReadBack, Mismatch>> {
    let found = Image::read(program).context(|| "reading the tables back".into())?;
    let (peers, ports) = (read_peers(peers.set.as_fd())?, peers.ports()?);
    let known = |peer: ControlPeer| peers.contains(&peer) && ports & failsafe_bit(peer.port.into()) != 0;
    let rebuilt = found.plan(plan, |endpoint| known(control_peer(endpoint)));
    let read = ReadBack { plan_hash: rebuilt.hash(), program_tag: program.tag() };
    let wanted = plan.hash();
    let mismatch = other_table(program)?
        .or_else(|| found.difference(expected))
        .or_else(|| (program.tag() != tag).then(|| tags(program.tag(), tag)))
        .or_else(|| (rebuilt.failsafe != plan.failsafe).then_some(Mismatch::ControlEndpoints))
        .or_else(|| {
            let found = read.plan_hash;
            (found != wanted).then_some(Mismatch::PlanHash { found, expected: wanted })
        });
    Ok(mismatch.map_or(Ok(read), Err))
}

pub fn control_peer(endpoint: &ControlEndpoint) -> ControlPeer {
    ControlPeer { address: address_bytes(endpoint.address), port: endpoint.port, reserved: [0; 2] }
}

/// The tables are only worth reading if the program's instructions refer to these very maps.
fn other_table(program: &Program) -> Result<Option<Mismatch>> {
    for table in TABLES.into_iter().chain([RODATA]) {
        let info = bpf::map_info(program.map(table)).context(|| format!("asking the map {table}"))?;
        if !program.map_ids().contains(&info.id) {
            return Ok(Some(Mismatch::OtherTable { table }));
        }
    }
    Ok(None)
}

fn read_peers(map: BorrowedFd<'_>) -> Result<BTreeSet<ControlPeer>> {
    let elements = bpf::read_all(map).context(|| "reading the control peers".into())?;
    Ok(elements.iter().map(|(key, _)| bytemuck::pod_read_unaligned(key)).collect())
}

fn tags(found: [u8; 8], expected: [u8; 8]) -> Mismatch {
    Mismatch::Tag { found: hex::encode(found), expected: hex::encode(expected) }
}
