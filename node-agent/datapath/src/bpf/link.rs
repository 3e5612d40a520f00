//! Links: created by interface index (a name may change meanwhile), and those of XDP swapped only from the program we
//! expect.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use super::{call, call_for_fd};

const PROG_QUERY: libc::c_int = 16;
const RAW_TRACEPOINT_OPEN: libc::c_int = 17;
const LINK_CREATE: libc::c_int = 28;
const LINK_UPDATE: libc::c_int = 29;
const LINK_DETACH: libc::c_int = 34;
const ATTACH_XDP: u32 = 37;
pub const ATTACH_TCX_INGRESS: u32 = 46;
pub const ATTACH_TCX_EGRESS: u32 = 47;
/// The update fails with `EPERM` unless the link runs the named old program.
const REPLACE: u32 = 4;
const BEFORE: u32 = 8;

/// Where an XDP program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkMode {
    /// In the driver.
    Native,
    /// Behind the driver, after the packet buffer was allocated.
    Generic,
    /// Not XDP: in the network stack, on packets that come in.
    TcIngress,
    /// Likewise, on packets that go out.
    TcEgress,
}

impl LinkMode {
    /// `XDP_FLAGS_DRV_MODE`, `XDP_FLAGS_SKB_MODE`.
    fn flags(self) -> u32 {
        match self {
            LinkMode::Native => 4,
            LinkMode::Generic => 2,
            LinkMode::TcIngress | LinkMode::TcEgress => 0,
        }
    }
}

impl From<LinkMode> for sluice_plan::AttachMode {
    fn from(mode: LinkMode) -> Self {
        match mode {
            LinkMode::Native => sluice_plan::AttachMode::Native,
            LinkMode::Generic => sluice_plan::AttachMode::Generic,
            LinkMode::TcIngress | LinkMode::TcEgress => sluice_plan::AttachMode::Auto,
        }
    }
}

impl LinkMode {
    pub fn hook(self) -> sluice_plan::Hook {
        match self {
            LinkMode::Native | LinkMode::Generic => sluice_plan::Hook::Xdp,
            LinkMode::TcIngress => sluice_plan::Hook::TcIngress,
            LinkMode::TcEgress => sluice_plan::Hook::TcEgress,
        }
    }
}

/// `EBUSY` or `EEXIST`: some program is there already; `EOPNOTSUPP`: the driver has no XDP; `ERANGE`: the MTU is too
/// large for it.
pub fn link_create(program: BorrowedFd<'_>, ifindex: u32, mode: LinkMode) -> io::Result<OwnedFd> {
    #[repr(C)]
    struct Create {
        program: u32,
        ifindex: u32,
        attach_type: u32,
        flags: u32,
    }
    let mut attr =
        Create { program: program.as_raw_fd() as u32, ifindex, attach_type: ATTACH_XDP, flags: mode.flags() };
    call_for_fd(LINK_CREATE, &mut attr)
}

/// Among the programs that are there now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TcxOrder {
    First,
    Last,
}

/// `EINVAL` before Linux 6.6, which has no tcx.
pub fn tcx_link_create(
    program: BorrowedFd<'_>,
    ifindex: u32,
    attach_type: u32,
    order: TcxOrder,
) -> io::Result<OwnedFd> {
    #[repr(C)]
    struct Create {
        program: u32,
        ifindex: u32,
        attach_type: u32,
        flags: u32,
        relative: u32,
        padding: u32,
        revision: u64,
    }
    let mut attr = Create {
        program: program.as_raw_fd() as u32,
        ifindex,
        attach_type,
        flags: if order == TcxOrder::First { BEFORE } else { 0 },
        relative: 0,
        padding: 0,
        revision: 0,
    };
    call_for_fd(LINK_CREATE, &mut attr)
}

/// Asks for the programs at a place; whether the kernel has such a place is all that is of interest here.
pub fn query(ifindex: u32, attach_type: u32) -> io::Result<()> {
    #[repr(C)]
    struct Query {
        ifindex: u32,
        attach_type: u32,
        flags: u32,
    }
    call(PROG_QUERY, &mut Query { ifindex, attach_type, flags: 0 }).map(drop)
}

/// Swaps the program in one step, without a packet in between; refused with `EPERM` if the link runs another than
/// `old`, if that is given.
pub fn link_update(link: BorrowedFd<'_>, new: BorrowedFd<'_>, old: Option<BorrowedFd<'_>>) -> io::Result<()> {
    #[repr(C)]
    struct Update {
        link: u32,
        new: u32,
        flags: u32,
        old: u32,
    }
    let mut attr = Update {
        link: link.as_raw_fd() as u32,
        new: new.as_raw_fd() as u32,
        flags: if old.is_some() { REPLACE } else { 0 },
        old: old.map_or(0, |old| old.as_raw_fd() as u32),
    };
    call(LINK_UPDATE, &mut attr).map(drop)
}

/// Takes the program off the interface whoever else holds the link.
pub fn link_detach(link: BorrowedFd<'_>) -> io::Result<()> {
    let mut fd = link.as_raw_fd() as u32;
    call(LINK_DETACH, &mut fd).map(drop)
}

/// Runs a program at a trace point until the descriptor is closed. Needs CAP_PERFMON. Since Linux 4.17.
pub fn raw_tracepoint_open(name: &str, program: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    #[repr(C)]
    struct Attr {
        name: u64,
        program: u32,
        padding: u32,
    }
    let name = CString::new(name)?;
    let mut attr = Attr { name: name.as_ptr() as u64, program: program.as_raw_fd() as u32, padding: 0 };
    call_for_fd(RAW_TRACEPOINT_OPEN, &mut attr)
}
