//! Our program on one interface: a pinned bpf_link, which outlives the agent.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use sluice_plan::{AttachMode, Hook};

use crate::bpf::{self, Kind, LinkMode, TcxOrder};
use crate::error::{Context, Error, Result};
use crate::pin;
use crate::query::{self, Place as XdpPlace};
use crate::select::Place;

/// Dropping it leaves the program attached; only [`Link::detach`] takes it off.
#[derive(Debug)]
pub struct Link {
    fd: OwnedFd,
    pin: PathBuf,
    ifindex: u32,
    mode: LinkMode,
    /// What the driver said when Auto ended behind it, if that was in this process.
    fallback: Option<String>,
}

impl Link {
    /// Attaches where nothing is attached yet, and pins. Another's program gives [`Error::ForeignProgram`].
    pub fn attach(
        dir: &Path,
        program: BorrowedFd<'_>,
        interface: &str,
        ifindex: u32,
        hook: Hook,
        mode: AttachMode,
    ) -> Result<Link> {
        let (fd, mode, fallback) = match hook {
            Hook::Xdp => create(program, interface, ifindex, mode)?,
            Hook::TcIngress => create_tcx(program, interface, ifindex, LinkMode::TcIngress)?,
            Hook::TcEgress => create_tcx(program, interface, ifindex, LinkMode::TcEgress)?,
        };
        let pin = dir.join(pin_name_at(interface, ifindex, hook));
        // A pin of this name can only be left from an interface that is gone: a living link would have been adopted.
        pin::ensure(&pin, fd.as_fd(), Kind::Link)?;
        Ok(Link { fd, pin, ifindex, mode, fallback })
    }

    /// Every link pinned in `dir`; those whose interface is gone are unpinned.
    pub fn adopt_all(dir: &Path) -> Result<Vec<Link>> {
        let mut links = Vec::new();
        for entry in fs::read_dir(dir).context(|| format!("listing {}", dir.display()))? {
            let pin = entry.context(|| format!("listing {}", dir.display()))?.path();
            let fd = bpf::get(&pin, Kind::Link).context(|| format!("opening the link {}", pin.display()))?;
            let info = bpf::link_info(fd.as_fd()).context(|| format!("asking the link {}", pin.display()))?;
            if info.ifindex == 0 {
                pin::remove(&pin)?;
                continue;
            }
            let mode = if info.kind == bpf::LINK_TYPE_TCX {
                let is_egress = info.attach_type == bpf::ATTACH_TCX_EGRESS;
                Some(if is_egress { LinkMode::TcEgress } else { LinkMode::TcIngress })
            } else {
                mode_of(info.ifindex)
            };
            match mode {
                Some(mode) => links.push(Link { fd, pin, ifindex: info.ifindex, mode, fallback: None }),
                // Unpinning would detach it, and it may belong to another network namespace.
                None => {
                    tracing::warn!(pin = %pin.display(), "the pinned link is on no interface of this namespace")
                }
            }
        }
        Ok(links)
    }

    pub fn hook(&self) -> Hook {
        self.mode.hook()
    }

    pub fn place(&self) -> Place {
        (self.ifindex, self.hook())
    }

    pub fn mode(&self) -> LinkMode {
        self.mode
    }

    /// Whether this link already runs the way `wanted` asks.
    pub fn satisfies(&self, wanted: AttachMode) -> bool {
        match wanted {
            _ if self.hook() != Hook::Xdp => true,
            AttachMode::Auto => true,
            AttachMode::Native => self.mode == LinkMode::Native,
            AttachMode::Generic => self.mode == LinkMode::Generic,
        }
    }

    /// Why the program runs behind the driver although Auto would have it inside.
    pub fn fallback(&self, wanted: AttachMode) -> Option<String> {
        let fell_back = wanted == AttachMode::Auto && self.mode == LinkMode::Generic;
        let earlier = || "it was attached behind the driver by an earlier start of the agent".into();
        fell_back.then(|| self.fallback.clone().unwrap_or_else(earlier))
    }

    /// The interface is gone and the link with it, or somebody detached it.
    pub fn is_dead(&self) -> bool {
        bpf::link_info(self.fd.as_fd()).map_or(true, |info| info.ifindex == 0)
    }

    pub fn is_pinned(&self) -> bool {
        pin::is_of(&self.pin, self.fd.as_fd(), Kind::Link)
    }

    /// Pins again where somebody removed the pin.
    pub fn ensure_pinned(&self) -> Result<()> {
        pin::ensure(&self.pin, self.fd.as_fd(), Kind::Link)
    }

    pub fn program_id(&self) -> Result<u32> {
        let info =
            bpf::link_info(self.fd.as_fd()).context(|| format!("asking the link {}", self.pin.display()))?;
        Ok(info.program_id)
    }

    /// One atomic swap, refused unless the link runs `old`, where that is known.
    pub fn replace(&self, new: BorrowedFd<'_>, old: Option<BorrowedFd<'_>>) -> Result<()> {
        bpf::link_update(self.fd.as_fd(), new, old)
            .context(|| format!("swapping the program of {} from the one expected there", self.pin.display()))
    }

    /// Removes what is left of a link whose interface is gone.
    pub fn forget(self) {
        if let Err(error) = pin::remove(&self.pin) {
            tracing::warn!(%error, "the pin of a dead link stays");
        }
    }

    pub fn detach(self) -> Result<()> {
        pin::remove(&self.pin)?;
        match bpf::link_detach(self.fd.as_fd()) {
            Err(error) if !matches!(error.raw_os_error(), Some(libc::ENODEV | libc::ENOLINK)) => {
                Err(error).context(|| format!("detaching {}", self.pin.display()))
            }
            _ => Ok(()),
        }
    }
}

fn create_tcx(
    program: BorrowedFd<'_>,
    interface: &str,
    ifindex: u32,
    mode: LinkMode,
) -> Result<(OwnedFd, LinkMode, Option<String>)> {
    let egress = mode == LinkMode::TcEgress;
    let attach_type = if egress { bpf::ATTACH_TCX_EGRESS } else { bpf::ATTACH_TCX_INGRESS };
    match bpf::tcx_link_create(program, ifindex, attach_type, TcxOrder::Last) {
        Ok(fd) => Ok((fd, mode, None)),
        Err(source) => match source.raw_os_error() {
            Some(libc::ENODEV) => Err(Error::InterfaceMissing { interface: interface.to_owned() }),
            Some(libc::EPERM | libc::EACCES) => Err(Error::NoPrivilege { missing: vec!["CAP_NET_ADMIN"] }),
            _ => Err(Error::HookRefused { interface: interface.to_owned(), hook: mode.hook(), source }),
        },
    }
}

fn create(
    program: BorrowedFd<'_>,
    interface: &str,
    ifindex: u32,
    mode: AttachMode,
) -> Result<(OwnedFd, LinkMode, Option<String>)> {
    let first = if mode == AttachMode::Generic { LinkMode::Generic } else { LinkMode::Native };
    let refused = match bpf::link_create(program, ifindex, first) {
        Ok(fd) => return Ok((fd, first, None)),
        Err(error) => explain(error, interface, ifindex, first),
    };
    if mode != AttachMode::Auto || !matches!(refused, Error::AttachRefused { .. }) {
        return Err(refused);
    }
    match bpf::link_create(program, ifindex, LinkMode::Generic) {
        Ok(fd) => Ok((fd, LinkMode::Generic, Some(refused.to_string()))),
        Err(error) => Err(explain(error, interface, ifindex, LinkMode::Generic)),
    }
}

fn explain(error: io::Error, interface: &str, ifindex: u32, mode: LinkMode) -> Error {
    let interface = interface.to_owned();
    match error.raw_os_error() {
        Some(libc::ENODEV) => Error::InterfaceMissing { interface },
        Some(libc::EPERM | libc::EACCES) => Error::NoPrivilege { missing: vec!["CAP_NET_ADMIN"] },
        _ => match query::attached(ifindex) {
            Ok(Some(found)) => Error::ForeignProgram { interface, found },
            _ => Error::AttachRefused { interface, mode, source: error },
        },
    }
}

fn mode_of(ifindex: u32) -> Option<LinkMode> {
    match query::attached(ifindex) {
        Ok(Some(attached)) if attached.place == XdpPlace::Generic => Some(LinkMode::Generic),
        Ok(Some(_)) => Some(LinkMode::Native),
        _ => None,
    }
}

/// One for each hook of an interface.
fn pin_name_at(interface: &str, ifindex: u32, hook: Hook) -> String {
    let name = pin_name(interface, ifindex);
    match hook {
        Hook::Xdp => name,
        Hook::TcIngress => format!("{name}-ingress"),
        Hook::TcEgress => format!("{name}-egress"),
    }
}

/// The index keeps names apart across renames; bpffs refuses dots.
pub(crate) fn pin_name(interface: &str, ifindex: u32) -> String {
    format!("{}-{ifindex}", interface.replace('.', "_"))
}
