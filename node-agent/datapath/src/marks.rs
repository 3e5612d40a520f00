//! The program behind XDP that gives packets their mark, on each interface with rules that mark: a pinned link, so that
//! marks outlive the agent as everything does.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use sluice_abi::{Entry, EntryAction};
use sluice_plan::{FilterPart, Hook, NodePlan};

use crate::bpf::{self, Kind, TcxOrder};
use crate::error::{Context, Error, Result};
use crate::link::pin_name;
use crate::load::load_mark_program;
use crate::pin;
use crate::select::Selection;
use crate::tables;

#[derive(Debug)]
pub struct Marks {
    dir: PathBuf,
    /// By interface index.
    links: BTreeMap<u32, MarkLink>,
    program: Option<OwnedFd>,
}

#[derive(Debug)]
struct MarkLink {
    fd: OwnedFd,
    pin: PathBuf,
    /// It runs this build's program.
    current: bool,
}

/// Whether some rule leaves marks in front of the frames of an interface.
pub fn marks(plan: &NodePlan, selection: &Selection) -> Result<bool> {
    for filter in selection.filters.iter().filter_map(|position| plan.filters.parts.get(*position)) {
        if filter_marks(plan, filter)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether some rule of the filter does.
pub fn filter_marks(plan: &NodePlan, filter: &FilterPart) -> Result<bool> {
    // Behind XDP a packet has a mark that the program itself can set.
    if plan.filters.tables.marks.is_empty() || filter.hook != Hook::Xdp {
        return Ok(false);
    }
    let entries: Vec<Entry> = tables::elements("entries", &plan.filters.tables.entries)?;
    let own = entries.get(filter.first.into()..filter.end.into()).unwrap_or_default();
    Ok(own.iter().any(|entry| entry.action == EntryAction::Mark as u8))
}

impl Marks {
    /// With the links that are pinned there; those whose interface is gone are unpinned.
    pub fn open(dir: PathBuf) -> Result<Marks> {
        fs::create_dir_all(&dir).context(|| format!("making {}", dir.display()))?;
        let mut links = BTreeMap::new();
        for entry in fs::read_dir(&dir).context(|| format!("listing {}", dir.display()))? {
            let pin = entry.context(|| format!("listing {}", dir.display()))?.path();
            let fd = bpf::get(&pin, Kind::Link).context(|| format!("opening the link {}", pin.display()))?;
            match interface_of(fd.as_fd()) {
                None => pin::remove(&pin)?,
                Some(ifindex) => _ = links.insert(ifindex, MarkLink { fd, pin, current: false }),
            }
        }
        Ok(Marks { dir, links, program: None })
    }

    /// Attaches where nothing of ours is yet.
    pub fn ensure(&mut self, interface: &str, ifindex: u32) -> Result<()> {
        let program = program(&mut self.program)?;
        if let Some(link) = self.links.get_mut(&ifindex)
            && interface_of(link.fd.as_fd()).is_some()
        {
            return link.renew(program);
        }
        // Before whoever asks for the mark there, or makes one of its own of it.
        let fd = bpf::tcx_link_create(program, ifindex, bpf::ATTACH_TCX_INGRESS, TcxOrder::First)
            .map_err(|source| Error::MarksRefused { interface: interface.to_owned(), source })?;
        let pin = self.dir.join(pin_name(interface, ifindex));
        // One of an interface that is gone may be there.
        pin::ensure(&pin, fd.as_fd(), Kind::Link)?;
        self.links.insert(ifindex, MarkLink { fd, pin, current: true });
        Ok(())
    }

    /// Detaches from all other interfaces.
    pub fn retain(&mut self, keep: &BTreeSet<u32>) -> Result<()> {
        let gone: Vec<u32> = self.links.keys().copied().filter(|ifindex| !keep.contains(ifindex)).collect();
        gone.iter().filter_map(|ifindex| self.links.remove(ifindex)).try_for_each(detach)
    }

    /// Interfaces whose link somebody took away, or whose pin.
    pub fn lost(&self) -> impl Iterator<Item = u32> {
        let whole = |link: &MarkLink| {
            let fd = link.fd.as_fd();
            interface_of(fd).is_some() && pin::is_of(&link.pin, fd, Kind::Link)
        };
        self.links.iter().filter(move |(_, link)| !whole(link)).map(|(ifindex, _)| *ifindex)
    }
}

impl MarkLink {
    /// The program may be another build's, and somebody may have removed the pin.
    fn renew(&mut self, program: BorrowedFd<'_>) -> Result<()> {
        if !self.current {
            let updated = bpf::link_update(self.fd.as_fd(), program, None);
            updated.context(|| format!("replacing the program of {}", self.pin.display()))?;
            self.current = true;
        }
        pin::ensure(&self.pin, self.fd.as_fd(), Kind::Link)
    }
}

/// Loaded when it is needed first.
fn program(loaded: &mut Option<OwnedFd>) -> Result<BorrowedFd<'_>> {
    if loaded.is_none() {
        *loaded = Some(load_mark_program()?);
    }
    Ok(loaded.as_ref().expect("it was just loaded").as_fd())
}

/// `None` where the interface is gone, or somebody detached the link.
fn interface_of(link: BorrowedFd<'_>) -> Option<u32> {
    bpf::link_info(link).ok().map(|info| info.ifindex).filter(|ifindex| *ifindex != 0)
}

fn detach(link: MarkLink) -> Result<()> {
    pin::remove(&link.pin)?;
    match bpf::link_detach(link.fd.as_fd()) {
        Err(error) if !matches!(error.raw_os_error(), Some(libc::ENODEV | libc::ENOLINK)) => {
            Err(error).context(|| format!("detaching {}", link.pin.display()))
        }
        _ => Ok(()),
    }
}
