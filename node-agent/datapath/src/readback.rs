//! What the kernel really holds, compared with the plan: the proof behind PROGRAMMED.

use std::collections::BTreeSet;
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};

use sluice_abi::{ControlPeer, failsafe_bit};
use sluice_plan::{ControlEndpoint, Hash, NodePlan};

use crate::bpf;
use crate::error::{Context, Result};
use crate::image::Image;
use crate::local::address_bytes;
use crate::program::Program;
use crate::shared::{Shared, map_id};

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
    /// The program uses a map that is neither a table pinned beside it nor one that the node's programs share.
    OtherMap {
        id: u32,
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
            Mismatch::OtherMap { id } => {
                write!(f, "the program uses map {id}, which is none of those that were read")
            }
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
    shared: &Shared,
) -> Result<std::result::Result<ReadBack, Mismatch>> {
    let found = Image::read(program).context(|| "reading the tables back".into())?;
    let (peers, ports) = (read_peers(shared.peers.set.as_fd())?, shared.peers.ports()?);
    let known = |peer: ControlPeer| peers.contains(&peer) && ports & failsafe_bit(peer.port.into()) != 0;
    let rebuilt = found.plan(plan, |endpoint| known(control_peer(endpoint)));
    let read = ReadBack { plan_hash: rebuilt.hash(), program_tag: program.tag() };
    let wanted = plan.hash();
    let mismatch = other_map(program, shared)?
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

/// The tables are only worth reading if the program's instructions refer to no others. It need not use all of them: code
/// that the plan has no use for is not part of it.
fn other_map(program: &Program, shared: &Shared) -> Result<Option<Mismatch>> {
    let mut known = shared.ids()?;
    for name in program.map_names() {
        known.insert(map_id(program.map(name), name)?);
    }
    let other = program.map_ids().iter().find(|id| !known.contains(id));
    Ok(other.map(|id| Mismatch::OtherMap { id: *id }))
}

fn read_peers(map: BorrowedFd<'_>) -> Result<BTreeSet<ControlPeer>> {
    let elements = bpf::read_all(map).context(|| "reading the control peers".into())?;
    Ok(elements.iter().map(|(key, _)| bytemuck::pod_read_unaligned(key)).collect())
}

fn tags(found: [u8; 8], expected: [u8; 8]) -> Mismatch {
    Mismatch::Tag { found: hex::encode(found), expected: hex::encode(expected) }
}
