//! What a program costs is measured against an empty one, and on the same frame each time: a wrapper puts the frame
//! back as it was before it calls the program, which otherwise sees what it made of it the time before.

mod assembly;
mod foreign;
mod live;

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use aya::maps::MapData;

use sluice_plan::Hook;

use crate::bpf;
use crate::load::{LoadError, Loaded};
use crate::load::{
    ProgramKind, ProgramRequest, load_program, new_array, new_program_array, prepared_btf, test_run,
};
use crate::test_run::{RunError, XdpAction};

pub use foreign::Foreign;
pub use live::{Fate, Generator, attach, pass};

/// Bytes of a frame that a wrapper restores; a program under test may change no others.
pub const RESTORED: usize = 64;
/// The shortest frame that a wrapper takes: it counts flows behind what it restores.
pub const SHORTEST: usize = RESTORED + 8;

/// Where the frames of one measurement come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flows {
    One,
    /// Another IPv4 source address and source port each time; the frame has neither VLAN tags nor options.
    Many,
    /// One of these each time, in an order that looks random; the frame as above.
    Some(Vec<Flow>),
    /// One of these IPv6 source addresses each time, likewise.
    SomeV6(Vec<[u8; 16]>),
}

/// What is written into a frame.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Flow {
    pub source: [u8; 4],
    /// Network byte order, as is the next.
    pub source_port: [u8; 2],
    pub destination_port: [u8; 2],
}

/// A program that can be repeated.
#[derive(Debug)]
pub struct Repeatable {
    program: OwnedFd,
    /// What a wrapper calls; an array of programs empties with its last user.
    _chain: Option<MapData>,
}

/// Maps of a wrapper, by descriptor.
struct Maps {
    chain: i32,
    flows: Option<i32>,
}

impl Repeatable {
    /// Drops every packet: the unit of cost.
    pub fn empty() -> Result<Repeatable, LoadError> {
        Ok(Repeatable { program: load(&assembly::empty())?, _chain: None })
    }

    pub fn program_fd(&self) -> BorrowedFd<'_> {
        self.program.as_fd()
    }

    /// Restores `frame`, varies its flow if asked to, and calls the program.
    pub fn wrapped(program: BorrowedFd<'_>, frame: &[u8], flows: &Flows) -> Result<Repeatable, LoadError> {
        wrap(program, frame, flows)
    }

    /// The empty program in the same wrapper.
    pub fn wrapped_empty(frame: &[u8], flows: &Flows) -> Result<Repeatable, LoadError> {
        wrap(Repeatable::empty()?.program.as_fd(), frame, flows)
    }

    /// Runs `frame` `repeat` times as if it came in on interface `ingress` of this network namespace. It counts as live
    /// unless `ingress` is 1. The action is that of the last time.
    pub fn run(&self, frame: &[u8], repeat: u32, ingress: u32) -> Result<XdpAction, RunError> {
        repeat_run(self.program.as_fd(), frame, repeat, ingress)
    }
}

impl Loaded {
    /// As [`Repeatable::run`], without a wrapper: for programs that do not change the frame.
    pub fn repeat(&self, frame: &[u8], repeat: u32, ingress: u32) -> Result<XdpAction, RunError> {
        repeat_run(self.program_fd(), frame, repeat, ingress)
    }
}

fn repeat_run(
    program: BorrowedFd<'_>,
    frame: &[u8],
    repeat: u32,
    ingress: u32,
) -> Result<XdpAction, RunError> {
    let result = test_run(program, frame, &mut [], repeat, Some(ingress)).map_err(RunError::Run)?;
    XdpAction::try_from(result.action)
}

fn wrap(program: BorrowedFd<'_>, frame: &[u8], flows: &Flows) -> Result<Repeatable, LoadError> {
    if frame.len() < SHORTEST {
        let problem = format!("{} bytes, at least {SHORTEST} are needed", frame.len());
        return Err(LoadError::Object(format!("frame to restore: {problem}")));
    }
    let chain = new_program_array()?;
    let failed = |source| LoadError::Map { name: "chain".into(), action: "write", source };
    bpf::update(chain.fd().as_fd(), &0u32.to_ne_bytes(), &program.as_raw_fd().to_ne_bytes())
        .map_err(failed)?;
    let table = match flows {
        Flows::Some(flows) => Some(new_array("flows", bytemuck::cast_slice(flows), size_of::<Flow>())?),
        Flows::SomeV6(sources) => Some(new_array("flows", sources.as_flattened(), size_of::<[u8; 16]>())?),
        Flows::One | Flows::Many => None,
    };
    let maps = Maps {
        chain: chain.fd().as_fd().as_raw_fd(),
        flows: table.as_ref().map(|table| table.fd().as_fd().as_raw_fd()),
    };
    let wrapper = load(&assembly::wrapper(frame, flows, &maps))?;
    Ok(Repeatable { program: wrapper, _chain: Some(chain) })
}

fn load(instructions: &[aya_obj::generated::bpf_insn]) -> Result<OwnedFd, LoadError> {
    let request = ProgramRequest {
        kind: ProgramKind::Xdp,
        name: "measure",
        instructions,
        license: c"Dual MIT/GPL",
        btf: prepared_btf(Hook::Xdp)?,
        functions: &[],
        function_size: 0,
    };
    load_program(&request).map_err(|(source, log)| LoadError::Program { source, log })
}
