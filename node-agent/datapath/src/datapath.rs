//! The data plane of one node.

mod adopt;
mod commit;
mod drift;
mod member;
mod recheck;
mod stage;
mod swap;

pub use drift::Drift;
pub use stage::Staged;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sluice_abi::{NextHop, Stat};
use sluice_plan::{ControlEndpoint, Hash, Hook, NodePlan};

use crate::bounds::ProgramBounds;
use crate::counters::{self, Counts, Stats};
use crate::drops::Dropped;
use crate::error::{Context, Result};
use crate::exceptions::Exceptions;
use crate::host;
use crate::link::Link;
use crate::load::SHARED;
use crate::local::Local;
use crate::marks::Marks;
use crate::outcome::Applied;
use crate::pin;
use crate::program::{self, NEXT_HOPS};
use crate::select::{LocalInterface, Place};
use crate::sets::KernelSets;
use crate::shared::Shared;
use crate::slots::SlotKey;
use crate::state::State;
use crate::unmarked::{Running, Unmarked};
use member::Member;
use recheck::Turns;

/// Holds what the kernel runs for us. Dropping it changes nothing there.
///
/// # Expected flow
/// [`Datapath::open`], the setters of what the node knows, then [`Datapath::adopt`] with the plan confirmed last, then
/// [`Datapath::apply`] for each new plan; address sets that are new to it go before, by [`Datapath::offer_sets`]. After each, the caller persists [`Datapath::state`].
///
/// # Guarantees
/// An error leaves the former plan in force on every interface. A plan is in force on an interface as a whole or not
/// at all; no packet meets a gap when it is replaced. Another's XDP program is never displaced.
///
/// # Assumptions
/// Called from a thread in the network namespace of the interfaces. One process per bpffs directory.
pub struct Datapath {
    root: PathBuf,
    state: State,
    local: Local,
    shared: Shared,
    links: BTreeMap<Place, Link>,
    marks: Marks,
    unmarked: Unmarked,
    /// Address sets of the plan in force.
    sets: KernelSets,
    /// For the next plan.
    offered: KernelSets,
    current: Option<Current>,
    /// Every program that a link may run: those of the current plan, and those that outlive it somewhere.
    members: Vec<Arc<Member>>,
    interfaces: Vec<LocalInterface>,
    turns: Turns,
    /// Sets whose maps held something else than their contents, until those made anew are at their places.
    altered: BTreeSet<String>,
    /// `None` where the kernel refuses.
    exceptions: Option<Exceptions>,
    /// Number of the next directory of pins.
    next_dir: u64,
    program_bounds: ProgramBounds,
}

/// The plan in force.
struct Current {
    plan: NodePlan,
    hash: Hash,
}

impl Datapath {
    /// Checks kernel, privileges and bpffs, opens what is pinned below `root` (`/sys/fs/bpf/sluice`), and makes the
    /// maps that programs share. Changes nothing on any interface.
    pub fn open(root: PathBuf, state: State) -> Result<Datapath> {
        host::check(&root)?;
        make_dirs(&root)?;
        let shared = Shared::open(&root)?;
        let links =
            Link::adopt_all(&root.join("links"))?.into_iter().map(|link| (link.place(), link)).collect();
        let marks = Marks::open(root.join("marks"))?;
        let unmarked = Unmarked::new(shared.stats.as_fd())?;
        let (members, next_dir) = adopt::pinned(&root.join("programs"))?;
        let exceptions = Exceptions::attach()
            .inspect_err(
                |error| tracing::warn!(%error, "XDP exceptions and failed transmits are not counted"),
            )
            .ok();
        Ok(Datapath {
            root,
            state: state.seeded(),
            local: Local::default(),
            shared,
            links,
            marks,
            unmarked,
            sets: KernelSets::new(),
            offered: KernelSets::new(),
            current: None,
            members,
            interfaces: Vec::new(),
            turns: Turns::default(),
            altered: BTreeSet::new(),
            exceptions,
            next_dir,
            program_bounds: ProgramBounds::default(),
        })
    }

    /// With other bounds of programs than those that are stated.
    #[must_use]
    pub fn with_program_bounds(self, program_bounds: ProgramBounds) -> Datapath {
        Datapath { program_bounds, ..self }
    }

    /// Address sets for the next plan, beside those in force; one that is in force already is replaced by its like of the
    /// same name. A plan that is refused forgets them.
    pub fn offer_sets(&mut self, sets: KernelSets) {
        self.offered = sets;
    }

    /// Those that the plan in force names.
    pub fn sets(&self) -> &KernelSets {
        &self.sets
    }

    /// Puts a plan in force: [`Datapath::stage`], then [`Datapath::commit`].
    pub fn apply(&mut self, plan: &NodePlan, interfaces: &[LocalInterface]) -> Result<Applied> {
        let staged = self.stage(plan, interfaces)?;
        self.commit(staged)
    }

    /// Puts the plan in force on interfaces that came, renamed themselves or lost their program, and forgets those
    /// that went. `None` before the first plan.
    pub fn interfaces_changed(&mut self, interfaces: &[LocalInterface]) -> Result<Option<Applied>> {
        let Some(plan) = self.current.as_ref().map(|current| current.plan.clone()) else { return Ok(None) };
        self.apply(&plan, interfaces).map(Some)
    }

    /// This node's own addresses that are no VIP. If that makes it a backend of other VIPs, the plan is applied again.
    pub fn set_node_addresses(&mut self, addresses: BTreeSet<IpAddr>) -> Result<Option<Applied>> {
        self.local.addresses = addresses;
        self.local.write_addresses(self.shared.node_addresses.as_fd())?;
        let interfaces = self.interfaces.clone();
        self.write_next_hops()?;
        self.interfaces_changed(&interfaces)
    }

    /// Remote ends of this node's own control connections (operator, API server); those of the plan are added.
    pub fn set_control_peers(&mut self, peers: BTreeSet<ControlEndpoint>) -> Result<()> {
        self.local.peers = peers;
        let plan = self.current.as_ref().map_or(&[][..], |current| &current.plan.failsafe.control_endpoints);
        self.local.write_peers(&self.shared.peers, plan)
    }

    /// How this node reaches each backend; those that are not named are unresolved.
    pub fn set_next_hops(&mut self, next_hops: BTreeMap<IpAddr, NextHop>) -> Result<()> {
        self.local.next_hops = next_hops;
        self.write_next_hops()
    }

    /// The hash of the plan in force.
    pub fn plan_hash(&self) -> Option<Hash> {
        self.current.as_ref().map(|current| current.hash)
    }

    pub fn state(&self) -> &State {
        &self.state
    }

    pub fn counters(&self) -> Result<BTreeMap<SlotKey, Counts>> {
        counters::read_counters(self.shared.counters.as_fd(), &self.state.slots)
    }

    pub fn stats(&self) -> Result<Stats> {
        counters::read_stats(self.shared.stats.as_fd())
    }

    /// Whether some interface has come to leave packets without their mark. Policies that mark there get a note when the plan
    /// is applied the next time.
    pub fn find_unmarked(&mut self) -> Result<bool> {
        self.unmarked.look(self.shared.stats.as_fd(), running_xdp(&self.links))
    }

    /// Has drops sampled for so long from now on; not at all ends it.
    pub fn sample_drops(&mut self, how_long: Duration) -> Result<()> {
        let statistics = self.sample_statistics()?;
        self.shared.drops.listen(how_long, statistics)
    }

    /// The samples since the last time.
    pub fn dropped(&mut self) -> Result<Dropped> {
        let statistics = self.sample_statistics()?;
        self.shared.drops.take(&self.state.slots, statistics)
    }

    /// The end of the process. What is in force stays; where no plan ever was, what [`Datapath::open`] made goes again.
    pub fn leave(self) {
        let used = !self.links.is_empty() || !self.members.is_empty() || !self.state.is_unused();
        if !used
            && self.current.is_none()
            && let Err(error) = self.detach_all()
        {
            tracing::warn!(%error, "empty pins stay");
        }
    }

    /// Takes our program off every interface and removes every pin: for uninstalling. Returns the interfaces' indices.
    pub fn detach_all(mut self) -> Result<Vec<u32>> {
        let interfaces: BTreeSet<u32> = self.links.keys().map(|(ifindex, _)| *ifindex).collect();
        for link in self.links.into_values() {
            link.detach()?;
        }
        self.marks.retain(&BTreeSet::new())?;
        for dir in ["links", "programs", "marks"] {
            program::remove_dir(&self.root.join(dir))?;
        }
        for (_, pin) in SHARED {
            pin::remove(&self.root.join(pin))?;
        }
        match fs::remove_dir(&self.root) {
            // It is a mount point, or holds what is not ours.
            Err(error)
                if !matches!(error.raw_os_error(), Some(libc::EBUSY | libc::ENOTEMPTY | libc::EPERM)) =>
            {
                Err(error).context(|| format!("removing {}", self.root.display()))
            }
            _ => Ok(interfaces.into_iter().collect()),
        }
    }

    /// What XDP failed at on this node since [`Datapath::open`], by reason; `None` where the kernel does not tell.
    pub fn exceptions(&self) -> Result<Option<BTreeMap<String, u64>>> {
        self.exceptions.as_ref().map(Exceptions::read).transpose()
    }

    /// Puts back what others removed and every plan needs.
    fn keep_shared(&self) -> Result<()> {
        // It may have been unmounted since.
        host::check_bpffs(&self.root)?;
        make_dirs(&self.root)?;
        self.shared.ensure_pinned()
    }

    fn sample_statistics(&self) -> Result<[u64; 2]> {
        let stats = self.stats()?;
        Ok([Stat::SamplesLost, Stat::SamplesSuppressed].map(|stat| stats.get(stat)))
    }

    fn write_next_hops(&self) -> Result<()> {
        let Some(current) = &self.current else { return Ok(()) };
        for member in self.members.iter().filter(|member| member.plan_hash() == Some(current.hash)) {
            self.local.write_next_hops(member.program.map(NEXT_HOPS), &current.plan)?;
        }
        Ok(())
    }
}

fn make_dirs(root: &Path) -> Result<()> {
    for dir in ["links", "programs", "marks"].map(|dir| root.join(dir)) {
        fs::create_dir_all(&dir).context(|| format!("making {}", dir.display()))?;
    }
    Ok(())
}

/// What each interface runs in front of the network stack, by its index.
fn running_xdp(links: &BTreeMap<Place, Link>) -> impl Fn(u32) -> Option<Running> + '_ {
    |ifindex| {
        let link = links.get(&(ifindex, Hook::Xdp))?;
        Some(Running { program_id: link.program_id().ok()?, mode: link.mode() })
    }
}
