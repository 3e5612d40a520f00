//! What can go wrong, with the reason that conditions carry and the way out.

use std::io;
use std::path::{Path, PathBuf};

use sluice_plan::Hook;

use crate::bpf::LinkMode;
use crate::load::LoadError;
use crate::query::Attached;

/// Reasons of conditions, one word for programs.
pub mod reason {
    pub const INTERFACE_MISSING: &str = "InterfaceMissing";
    pub const INTERFACE_REFUSED: &str = "InterfaceRefused";
    pub const FOREIGN_PROGRAM: &str = "ForeignProgram";
    pub const ATTACH_REFUSED: &str = "AttachRefused";
    pub const ATTACH_MODE_CONFLICT: &str = "AttachModeConflict";
    pub const VERIFIER_REFUSED: &str = "VerifierRefused";
    pub const PROGRAM_TOO_LARGE: &str = "ProgramTooLarge";
    pub const SELF_TEST_FAILED: &str = "SelfTestFailed";
    pub const READ_BACK_MISMATCH: &str = "ReadBackMismatch";
    pub const NO_PRIVILEGE: &str = "NoPrivilege";
    pub const BPFFS_MISSING: &str = "BpffsMissing";
    pub const KERNEL_TOO_OLD: &str = "KernelTooOld";
    pub const KERNEL_ERROR: &str = "KernelError";
    pub const COUNTER_SLOTS_EXHAUSTED: &str = "CounterSlotsExhausted";
    pub const MARKS_REFUSED: &str = "MarksRefused";
    pub const HOOK_REFUSED: &str = "HookRefused";
    pub const LIMIT_REGIONS_EXHAUSTED: &str = "LimitRegionsExhausted";
    pub const SET_MISSING: &str = "SetMissing";
    pub const SET_PLACES_EXHAUSTED: &str = "SetPlacesExhausted";
    /// Of the agent: its address sets are more than its memory has room for.
    pub const TOO_MANY_PREFIXES: &str = "TooManyPrefixes";
    pub const INVALID_PLAN: &str = "InvalidPlan";
    /// Not an error: Auto runs the program behind the driver, and the message says why.
    pub const GENERIC_FALLBACK: &str = "GenericFallback";
    /// Not an error: the filter drops and counts as it should, and the message says where its marks are missing.
    pub const MARK_NOT_POSSIBLE: &str = "MarkNotPossible";
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "{} is not on a bpf file system: run `mount -t bpf bpf /sys/fs/bpf`; in a pod, add a hostPath volume of \
         /sys/fs/bpf with mountPropagation HostToContainer", path.display()
    )]
    BpffsMissing { path: PathBuf },
    #[error("Linux {found} is too old: Sluice needs 6.1 or later")]
    KernelTooOld { found: String },
    #[error(
        "the process lacks {}: run it as root, or give it CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON \
         (securityContext.capabilities.add: [BPF, NET_ADMIN, PERFMON])", missing.join(", ")
    )]
    NoPrivilege { missing: Vec<&'static str> },
    #[error("interface {interface} does not exist on this node: create it, or change spec.interfaces")]
    InterfaceMissing { interface: String },
    #[error("no interface of this node matches {selection}: change spec.interfaces or spec.nodeSelector")]
    NothingSelected { selection: String },
    #[error("interface {interface}: {detail}")]
    InterfaceRefused { interface: String, reason: String, detail: String },
    #[error(
        "interface {interface} already runs another's XDP program ({found}): it is not displaced; remove it \
         (`ip link set dev {interface} xdp off`, for a bpf_link `bpftool link detach`, or the tool that attached it) or \
         leave this interface out"
    )]
    ForeignProgram { interface: String, found: Attached },
    #[error(
        "interface {interface} already runs libxdp's dispatcher ({found}) for the programs of another tool: it is not \
         displaced; `xdp-loader status {interface}` shows them and `xdp-loader unload {interface} --all` takes them off; or \
         leave this interface out, or filter behind them with attach.hook TcIngress"
    )]
    Dispatcher { interface: String, found: Attached },
    #[error(
        "interface {interface} already runs a program of another Sluice on this node ({found}): it is not displaced; end \
         its agent if it still runs, then {}", unpin(pins.as_deref())
    )]
    OtherSluice { interface: String, found: Attached, pins: Option<PathBuf> },
    #[error("interface {interface} takes no XDP program in mode {mode:?}: {source}{}", hint(source))]
    AttachRefused { interface: String, mode: LinkMode, source: io::Error },
    #[error(
        "interface {interface} is selected with attach.mode Native by {native} and with Generic by {generic}: an \
         interface has one mode; give both the same, or Auto"
    )]
    AttachModeConflict { interface: String, native: String, generic: String },
    #[error("the kernel refused the program: {detail}")]
    VerifierRefused { detail: String },
    #[error(
        "the program for interface {interface} takes {found} {what}, and an agent takes {limit}: select the interface with \
         fewer filters, or use fewer kinds of fields in their rules; the former plan stays in force"
    )]
    ProgramTooLarge { interface: String, what: &'static str, found: u32, limit: u32 },
    #[error("self-test on interface {interface}: {detail}; the former plan stays in force")]
    SelfTestFailed { interface: String, detail: String },
    #[error("the kernel does not hold the plan on {interface}: {}", mismatch.to_string())]
    ReadBackMismatch { interface: String, mismatch: crate::readback::Mismatch },
    #[error(
        "{wanted} counter slots are needed and a node has {}: use fewer rules, ports or backends on it",
        sluice_abi::MAX_SLOTS
    )]
    CounterSlotsExhausted { wanted: usize },
    #[error(
        "{wanted} rules would limit rates, those of a plan that some interface still runs included, and a node has \
         room for {}: use fewer of them, or mend that interface",
        sluice_abi::LIMIT_REGIONS
    )]
    LimitRegionsExhausted { wanted: usize },
    #[error(
        "interface {interface} takes no program that marks packets ({source}): action Mark needs tcx, which Linux has \
         from 6.6 on; remove rules with it, or select other nodes"
    )]
    MarksRefused { interface: String, source: io::Error },
    #[error(
        "interface {interface} takes no program at {hook:?} ({source}): attach.hook TcIngress and TcEgress need tcx, which \
         Linux has from 6.6 on; use hook Xdp, or select other nodes"
    )]
    HookRefused { interface: String, hook: Hook, source: io::Error },
    #[error("the plan's address set {name} is not on this node; it stays unused until the operator sends it")]
    SetMissing { name: String },
    #[error(
        "{wanted} address sets would be in use, those of a plan that some interface still runs included, and a node has \
         room for {}: use fewer of them, or mend that interface",
        sluice_abi::SET_PLACES
    )]
    SetPlacesExhausted { wanted: usize },
    #[error("the plan is damaged: {table}: {detail}; it stays unused until the operator sends a new one")]
    InvalidPlan { table: &'static str, detail: String },
    #[error("{what} failed: {source}")]
    Kernel { what: String, source: io::Error },
}

impl Error {
    /// One of [`reason`], or the reason of the check that refused the interface.
    pub fn reason(&self) -> &str {
        match self {
            Error::BpffsMissing { .. } => reason::BPFFS_MISSING,
            Error::KernelTooOld { .. } => reason::KERNEL_TOO_OLD,
            Error::NoPrivilege { .. } => reason::NO_PRIVILEGE,
            Error::InterfaceMissing { .. } | Error::NothingSelected { .. } => reason::INTERFACE_MISSING,
            Error::InterfaceRefused { reason, .. } => reason,
            Error::ForeignProgram { .. } | Error::Dispatcher { .. } | Error::OtherSluice { .. } => {
                reason::FOREIGN_PROGRAM
            }
            Error::AttachRefused { .. } => reason::ATTACH_REFUSED,
            Error::AttachModeConflict { .. } => reason::ATTACH_MODE_CONFLICT,
            Error::VerifierRefused { .. } => reason::VERIFIER_REFUSED,
            Error::ProgramTooLarge { .. } => reason::PROGRAM_TOO_LARGE,
            Error::SelfTestFailed { .. } => reason::SELF_TEST_FAILED,
            Error::ReadBackMismatch { .. } => reason::READ_BACK_MISMATCH,
            Error::CounterSlotsExhausted { .. } => reason::COUNTER_SLOTS_EXHAUSTED,
            Error::LimitRegionsExhausted { .. } => reason::LIMIT_REGIONS_EXHAUSTED,
            Error::SetMissing { .. } => reason::SET_MISSING,
            Error::SetPlacesExhausted { .. } => reason::SET_PLACES_EXHAUSTED,
            Error::MarksRefused { .. } => reason::MARKS_REFUSED,
            Error::HookRefused { .. } => reason::HOOK_REFUSED,
            Error::InvalidPlan { .. } => reason::INVALID_PLAN,
            Error::Kernel { .. } => reason::KERNEL_ERROR,
        }
    }
}

impl From<LoadError> for Error {
    fn from(error: LoadError) -> Error {
        match error {
            LoadError::Plan { table, problem } => Error::InvalidPlan { table, detail: problem },
            LoadError::Map { name, action, source } => {
                Error::Kernel { what: format!("{action} map {name}"), source }
            }
            other => Error::VerifierRefused { detail: chain(&other) },
        }
    }
}

/// An error with its causes on one line; the end of a verifier's log, where it says why, is kept.
fn chain(error: &dyn std::error::Error) -> String {
    const LONGEST: usize = 600;
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    let text = causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"));
    match text.char_indices().rev().nth(LONGEST) {
        Some((at, _)) => format!("… {}", &text[at..]),
        None => text,
    }
}

/// Names the call that an I/O error came from.
pub(crate) trait Context<T> {
    fn context(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Context<T> for io::Result<T> {
    fn context(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|source| Error::Kernel { what: what(), source })
    }
}

/// How to remove what another Sluice left.
fn unpin(pins: Option<&Path>) -> String {
    match pins {
        Some(pins) => format!("`rm -r {}`", pins.display()),
        None => "`bpftool link` finds the link and `bpftool link detach id ID` removes it".into(),
    }
}

/// bpf(2) gives a number without words; these are what drivers mean by them.
fn hint(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::EOPNOTSUPP) => " (the driver has no native XDP; use attach.mode Auto or Generic)",
        Some(libc::ERANGE) => " (the MTU is too large for XDP on this driver; lower it)",
        Some(libc::EINVAL) => {
            " (the driver refuses it in its present set-up: look at MTU, LRO and queue count)"
        }
        _ => "",
    }
}
