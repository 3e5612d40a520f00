//! Packets through a loaded program by `BPF_PROG_TEST_RUN`: nothing needs to be attached, and live counters stay
//! untouched, because a run on interface 1 counts in the staged half of the maps.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use sluice_abi::{NO_TARGET, Trace};

use sluice_plan::{Hook, NodePlan};

use crate::bpf;
use crate::load::{LoadError, Loaded, TestRun, test_run, test_run_behind_metadata};
use crate::local::{Local, Peers};

/// The kernel runs nothing shorter than an Ethernet header (`ETH_HLEN`).
pub const MIN_FRAME: usize = 14;

/// Interface of test runs: the loopback, which nothing is ever attached to.
pub(crate) const STAGED: u32 = 1;

/// When time begins for test runs that have one, in ns.
const EPOCH: u64 = 1_000_000_000;

/// What a program of tcx returns.
const TCX_NEXT: u32 = -1i32 as u32;
const TCX_DROP: u32 = 2;

/// Key of the only element.
const FIRST: [u8; 4] = [0; 4];

/// Room that a tunnel header may take in front.
const HEADROOM: usize = 256;

/// Verdict of an XDP program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum XdpAction {
    Aborted,
    Drop,
    Pass,
    Tx,
    Redirect,
}

/// What one packet met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub verdict: XdpAction,
    pub trace: Trace,
    /// The frame as the program left it.
    pub frame_out: Vec<u8>,
}

#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// No kernel runs it; such a frame is malformed and has no fields, so only an interpreter can judge it.
    #[error("the frame has {0} bytes; the kernel runs test frames from {MIN_FRAME} bytes on")]
    TooShort(usize),
    #[error("the program returned {0}, which is no action of its hook")]
    Action(u32),
    #[error("BPF_PROG_TEST_RUN")]
    Run(#[source] io::Error),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error("trace of the run")]
    Trace(#[source] io::Error),
}

impl Loaded {
    /// Runs one frame, staged, within every rate.
    pub fn run(&self, frame: &[u8]) -> Result<Outcome, RunError> {
        self.run_timed(frame, 0)
    }

    /// Runs one frame, staged, as if it came at this time, and takes what it costs from the buckets of rate limits. Only
    /// for private maps.
    pub fn run_at(&self, frame: &[u8], time: Duration) -> Result<Outcome, RunError> {
        // Not 0, which is no time.
        self.run_timed(frame, time.as_nanos() as u64 + EPOCH)
    }

    fn run_timed(&self, frame: &[u8], now: u64) -> Result<Outcome, RunError> {
        self.prepare_trace(now)?;
        let mut frame_out = vec![0; frame.len() + HEADROOM];
        let result = self.test_run(frame, &mut frame_out, 1, STAGED)?;
        frame_out.truncate(result.size);
        let verdict = match (self.hook(), result.action) {
            (Hook::Xdp, action) => XdpAction::try_from(action)?,
            (_, TCX_NEXT) => XdpAction::Pass,
            (_, TCX_DROP) => XdpAction::Drop,
            (_, other) => return Err(RunError::Action(other)),
        };
        Ok(Outcome { verdict, trace: self.trace()?, frame_out })
    }

    /// Runs one frame as if it came in on interface `ingress` and had so many bytes of metadata in front, which `bytes` begin
    /// with. It counts as live unless `ingress` is 1.
    pub fn run_behind_metadata(
        &self,
        metadata: u32,
        bytes: &[u8],
        ingress: u32,
    ) -> Result<XdpAction, RunError> {
        let result = test_run_behind_metadata(self.program_fd(), metadata, bytes, ingress);
        XdpAction::try_from(result.map_err(RunError::Run)?.action)
    }

    /// What a node knows beside its plan: its own addresses, and the plan's control endpoints as peers.
    pub fn set_surroundings(&self, plan: &NodePlan, addresses: &[IpAddr]) -> Result<(), crate::error::Error> {
        let local = Local { addresses: addresses.iter().copied().collect(), ..Local::default() };
        let fd = |name| self.map_fd(name).expect("every program has the shared maps");
        local.write_addresses(fd("NODE_ADDRS"))?;
        let peers = Peers { set: fd("PEERS"), ports: fd("PEER_PORTS") };
        local.write_peers(&peers, &plan.failsafe.control_endpoints)
    }

    fn test_run(
        &self,
        frame: &[u8],
        frame_out: &mut [u8],
        repeat: u32,
        ingress: u32,
    ) -> Result<TestRun, RunError> {
        if frame.len() < MIN_FRAME {
            return Err(RunError::TooShort(frame.len()));
        }
        let ingress = (self.hook() == Hook::Xdp).then_some(ingress);
        test_run(self.program_fd(), frame, frame_out, repeat, ingress).map_err(RunError::Run)
    }

    fn prepare_trace(&self, now: u64) -> Result<(), RunError> {
        let empty = Trace { entry: u16::MAX, audited: u16::MAX, target: NO_TARGET, now, ..Trace::default() };
        bpf::update(self.map_fd("TRACE")?, &FIRST, bytemuck::bytes_of(&empty)).map_err(RunError::Trace)
    }

    fn trace(&self) -> Result<Trace, RunError> {
        let mut trace = Trace::default();
        bpf::lookup(self.map_fd("TRACE")?, &FIRST, bytemuck::bytes_of_mut(&mut trace))
            .map_err(RunError::Trace)?;
        Ok(trace)
    }
}

impl TryFrom<u32> for XdpAction {
    type Error = RunError;

    fn try_from(value: u32) -> Result<Self, RunError> {
        Ok(match value {
            0 => XdpAction::Aborted,
            1 => XdpAction::Drop,
            2 => XdpAction::Pass,
            3 => XdpAction::Tx,
            4 => XdpAction::Redirect,
            other => return Err(RunError::Action(other)),
        })
    }
}
