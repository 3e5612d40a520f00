//! The kernel's side: a node's plan, loaded.

use std::cell::OnceCell;
use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context, ensure};
use sluice_abi::{
    Counted as AbiCounted, Counter, NO_TARGET, Stage as AbiStage, Stat, Trace, dimension, features,
};
use sluice_datapath::load::{LoadError, LoadSpec, Loaded, Patch, load_patched};
use sluice_datapath::test_run::XdpAction;
use sluice_datapath::{Names, SlotKey, mask};
use sluice_interpret::{Counted, DEFAULT_NAME, ESTABLISHED_NAME, MALFORMED_NAME, Stage};
use sluice_plan::NodePlan;
use sluice_policy::Hook;

use super::build::HERE;
use super::count::{Count, Counts, Key};
use super::node::Node;
use super::seen::Seen;
use crate::room::{self, Room};

pub struct Kernel {
    loaded: Loaded,
    names: Names,
    /// Backend of each target.
    backends: Vec<IpAddr>,
    live: Option<Live>,
}

/// Packets are run once more as if they came in on an interface: a staged run leaves a trace, and what is decided without
/// one is other code.
struct Live {
    ingress: u32,
    /// Staged packets that failsafe would have passed within its rate, which live ones are counted against apart.
    limited: u64,
}

/// What the kernel did with one packet.
pub struct Sight {
    pub seen: Seen,
    pub target: Option<Target>,
    /// The verdict without a trace, where it cannot be another.
    pub live: Option<XdpAction>,
}

/// What the balancer chose, and where it counted that.
pub struct Target {
    pub backend: IpAddr,
    pub key: Key,
}

impl Kernel {
    /// The node's own plan, or that plan as a test has changed it; the program, too.
    pub fn load(node: &Node, plan: &NodePlan, patches: &[Patch]) -> anyhow::Result<Kernel> {
        let loaded = load_patched(plan, &spec(node, plan), patches).context("the plan does not load")?;
        loaded.set_surroundings(plan, &node.world.node_addresses)?;
        loaded.put_sets(plan, &node.world.sets)?;
        let parts = plan.balancers.parts.iter();
        let backends = parts.flat_map(|part| part.targets.iter().map(|target| target.backend)).collect();
        let live =
            is_stateless(&loaded).then(|| Ok::<_, anyhow::Error>(Live { ingress: interface()?, limited: 0 }));
        Ok(Kernel { loaded, names: Names::of(plan)?, backends, live: live.transpose()? })
    }

    pub fn see(&mut self, frame: &[u8], time: Duration) -> anyhow::Result<Sight> {
        let outcome = self.loaded.run_at(frame, time)?;
        let trace = outcome.trace;
        let decider = self.entry(trace.entry)?.filter(|_| trace.stage == AbiStage::Filter as u8);
        let target = self.target(&trace, outcome.verdict)?;
        let balancer =
            target.as_ref().filter(|_| outcome.verdict == XdpAction::Tx).map(|target| &target.key.0);
        let stage = stage(&trace, decider)?;
        let seen = Seen {
            verdict: outcome.verdict,
            stage,
            policy: balancer.or(decider.map(|key| &key.policy)).cloned(),
            rule: decider.filter(|_| stage == Stage::Filter).map(|key| key.name.clone()),
            audited: self.entry(trace.audited)?.map(|key| (key.policy.clone(), key.name.clone())),
            malformed: trace.malformed != 0,
            mark: (trace.mark.value, trace.mark.mask),
        };
        let live = self.run_live(frame, stage)?;
        Ok(Sight { seen, target, live })
    }

    fn run_live(&mut self, frame: &[u8], stage: Stage) -> anyhow::Result<Option<XdpAction>> {
        let Some(live) = &mut self.live else { return Ok(None) };
        let limited = self.loaded.staged_stat(Stat::FailsafeLimited)?;
        let is_limited = std::mem::replace(&mut live.limited, limited) != limited;
        if is_limited || stage == Stage::Failsafe {
            return Ok(None);
        }
        Ok(Some(self.loaded.repeat(frame, 1, live.ingress)?))
    }

    /// What has been counted since this was loaded.
    pub fn counts(&self) -> anyhow::Result<Counts> {
        self.counts_of(|slot, kind| self.loaded.staged_counter(slot, kind))
    }

    /// What live runs counted, where that is the same.
    pub fn live_counts(&self) -> anyhow::Result<Option<Counts>> {
        match &self.live {
            Some(Live { limited: 0, .. }) => {
                self.counts_of(|slot, kind| self.loaded.live_counter(slot, kind)).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn counts_of(
        &self,
        counter: impl Fn(u32, AbiCounted) -> Result<Counter, LoadError>,
    ) -> anyhow::Result<Counts> {
        let kinds = [
            (AbiCounted::Pass, Counted::Pass),
            (AbiCounted::Drop, Counted::Drop),
            (AbiCounted::Next, Counted::Next),
            (AbiCounted::Audited, Counted::Audited),
            (AbiCounted::Continue, Counted::Continue),
        ];
        let Names { entries, vips, targets, limits: _, sets: _ } = &self.names;
        let mut counts = Counts::default();
        for (slot, SlotKey { policy, name }) in (0..).zip(entries.iter().chain(vips).chain(targets)) {
            for (kind, counted) in kinds {
                let counter = counter(slot, kind)?;
                if counter.packets > 0 {
                    // A rule may be several entries, which share a slot on a node.
                    let count: &mut Count =
                        counts.0.entry((policy.clone(), name.clone(), counted)).or_default();
                    count.packets += counter.packets;
                    count.bytes += counter.bytes;
                }
            }
            // What no interpreter foretells: how much a next hop takes. Those of the test take every frame.
            let oversize = counter(slot, AbiCounted::Oversize)?.packets;
            ensure!(oversize == 0, "{name} counts {oversize} packets as too long");
        }
        Ok(counts)
    }

    fn entry(&self, entry: u16) -> anyhow::Result<Option<&SlotKey>> {
        if entry == u16::MAX {
            return Ok(None);
        }
        let owner = self.names.entries.get(usize::from(entry));
        Ok(Some(owner.with_context(|| format!("the trace names entry {entry}"))?))
    }

    fn target(&self, trace: &Trace, verdict: XdpAction) -> anyhow::Result<Option<Target>> {
        if trace.stage != AbiStage::Balancer as u8 || trace.target == NO_TARGET {
            return Ok(None);
        }
        let index = trace.target as usize;
        let known = self.names.targets.get(index).zip(self.backends.get(index));
        let (SlotKey { policy, name }, backend) =
            known.with_context(|| format!("the trace names target {index}"))?;
        let counted = if verdict == XdpAction::Drop { Counted::Drop } else { Counted::Pass };
        Ok(Some(Target { backend: *backend, key: (policy.clone(), name.clone(), counted) }))
    }
}

/// What becomes of a packet depends on it alone: it takes from no rate, asks for no socket, and leaves no mark behind.
fn is_stateless(loaded: &Loaded) -> bool {
    let stateful = features::LIMITS
        | features::MARKS
        | features::BALANCER
        | features::DECAP
        | features::dimension(dimension::ESTABLISHED);
    loaded.hook() == sluice_plan::Hook::Xdp && loaded.config().features & stateful == 0
}

/// Index of an interface that frames can come in by, in a network namespace of this thread's own.
fn interface() -> anyhow::Result<u32> {
    thread_local!(static MADE: OnceCell<(u32, Room)> = const { OnceCell::new() });
    MADE.with(|made| {
        if let Some((index, _)) = made.get() {
            return Ok(*index);
        }
        room::leave()?;
        let other_end = Room::create()?;
        other_end.connect("eth0", "02:00:00:00:00:01")?;
        let index = room::index("eth0")?;
        Ok(made.get_or_init(|| (index, other_end)).0)
    })
}

/// Filters and balancers that select the test's interface by name. Slots are numbered: entries, VIPs, targets.
fn spec(node: &Node, plan: &NodePlan) -> LoadSpec {
    let mut spec = LoadSpec::everything(plan);
    spec.hook = match node.world.hook {
        Hook::Xdp => sluice_plan::Hook::Xdp,
        Hook::TcIngress => sluice_plan::Hook::TcIngress,
        Hook::TcEgress => sluice_plan::Hook::TcEgress,
    };
    spec.balancers = Default::default();
    let is_here = |names: &[String]| names.iter().any(|name| name == HERE);
    spec.mask = mask(plan, |filter| is_here(&plan.filters.parts[filter].interfaces.names));
    let balancers = plan.balancers.parts.iter().enumerate();
    let balances = |part: &sluice_plan::BalancerPart| {
        spec.hook == sluice_plan::Hook::Xdp && is_here(&part.interfaces.names)
    };
    let here: Vec<usize> = balancers.filter(|(_, part)| balances(part)).map(|(index, _)| index).collect();
    for index in here {
        spec.balancers[index / 64] |= 1 << (index % 64);
    }
    spec
}

fn stage(trace: &Trace, decider: Option<&SlotKey>) -> anyhow::Result<Stage> {
    Ok(match trace.stage {
        stage if stage == AbiStage::None as u8 => Stage::Default,
        stage if stage == AbiStage::Failsafe as u8 => Stage::Failsafe,
        stage if stage == AbiStage::Balancer as u8 => Stage::LoadBalancer,
        stage if stage == AbiStage::Filter as u8 => {
            match decider.context("a filter decided, but no entry")?.name.as_str() {
                DEFAULT_NAME => Stage::Default,
                MALFORMED_NAME => Stage::Malformed,
                ESTABLISHED_NAME => Stage::Established,
                _ => Stage::Filter,
            }
        }
        other => anyhow::bail!("the trace names stage {other}"),
    })
}
