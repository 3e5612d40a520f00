//! Both sides on a list of packets.

use std::net::SocketAddr;
use std::time::Duration;

use sluice_datapath::load::Patch;
use sluice_datapath::test_run::{MIN_FRAME, XdpAction};
use sluice_interpret::packet::{Packet, protocol};
use sluice_interpret::{Counted, Limits, Outcome, Stage, Verdict, evaluate, evaluate_at};
use sluice_plan::NodePlan;
use sluice_policy::Hook;

use crate::packets::Named;

use super::build::HERE;
use super::count::{Counts, Key};
use super::kernel::{Kernel, Sight};
use super::mismatch::{Difference, Mismatch};
use super::node::Node;
use super::seen::Seen;

/// What was compared, so that a test can say that nothing was left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub verdicts: u64,
    pub drops: u64,
    pub transmits: u64,
    pub audited: u64,
    pub malformed: u64,
    pub failsafe: u64,
    pub by_rule: u64,
    pub by_default: u64,
    pub by_malformed: u64,
    pub by_balancer: u64,
    /// Run once more without a trace.
    pub live: u64,
    /// Frames that no kernel takes, seen by the interpreter alone.
    pub too_short: u64,
}

/// Runs the packets through `plan`, which is the node's own unless a test has changed it.
///
/// # Errors
/// The first [`Mismatch`], or the reason why the kernel would not run.
pub fn compare(node: &Node, plan: &NodePlan, packets: &[Named]) -> anyhow::Result<Tally> {
    compare_patched(node, plan, &[], packets)
}

/// [`compare`] with a kernel program that is not as it was built.
pub fn compare_patched(
    node: &Node,
    plan: &NodePlan,
    patches: &[Patch],
    packets: &[Named],
) -> anyhow::Result<Tally> {
    let judge = || {
        let kernel = Kernel::load(node, plan, patches)?;
        let (counts, limits) = (Counts::default(), Limits::default());
        anyhow::Ok(Judge { kernel, live: 0, node, counts, limits, time: Duration::ZERO })
    };
    judge_all(judge, packets)
}

fn judge_all<'n>(start: impl Fn() -> anyhow::Result<Judge<'n>>, packets: &[Named]) -> anyhow::Result<Tally> {
    let mut judge = start()?;
    let mut tally = Tally::default();
    for packet in packets {
        if judge.node.world.hook != Hook::Xdp && !is_run_at_tc(&packet.frame) {
            tally.too_short += 1;
        } else if packet.frame.len() < MIN_FRAME {
            let outcome = evaluate(&judge.node.world, HERE, &packet.frame);
            anyhow::ensure!(outcome.malformed, "{} is no frame and not malformed", packet.name);
            tally.too_short += 1;
        } else {
            tally.note(&judge.judge(packet)?);
        }
    }
    tally.live = judge.live;
    if judge.kernel.counts()? != judge.counts
        || judge.kernel.live_counts()?.is_some_and(|counts| counts != judge.counts)
    {
        return Err(find_miscount(start()?, packets)?);
    }
    Ok(tally)
}

struct Judge<'n> {
    kernel: Kernel,
    /// Packets run without a trace.
    live: u64,
    node: &'n Node,
    /// What should have been counted.
    counts: Counts,
    /// What should have been taken from rates.
    limits: Limits,
    /// Of the next packet.
    time: Duration,
}

/// From one packet to the next.
const GAP: Duration = Duration::from_millis(1);

impl<'n> Judge<'n> {
    fn judge(&mut self, packet: &Named) -> anyhow::Result<Outcome<'n>> {
        let time = self.time;
        self.time += GAP;
        let outcome = evaluate_at(&self.node.world, HERE, &packet.frame, time, &mut self.limits);
        self.counts.add(&outcome, &packet.frame);
        let interpreter = Seen::by_interpreter(&outcome);
        let Sight { seen, target, live } = self.kernel.see(&packet.frame, time)?;
        let chosen = target.as_ref().map(|target| target.backend);
        let difference = if seen != interpreter {
            Difference::Outcome { kernel: seen, interpreter }
        } else if let Some(live) = live.filter(|live| *live != seen.verdict) {
            Difference::Outcome { kernel: Seen { verdict: live, ..seen }, interpreter }
        } else if seen.verdict == XdpAction::Tx
            && !chosen.is_some_and(|chosen| outcome.backends.contains(&chosen))
        {
            Difference::Backend { chosen, allowed: outcome.backends }
        } else {
            if outcome.stage == Stage::LoadBalancer
                && let Some(key) =
                    target.map(|target| target.key).or_else(|| without_backend(&outcome, &packet.frame))
            {
                self.counts.count(key, &packet.frame);
            }
            self.live += u64::from(live.is_some());
            return Ok(outcome);
        };
        Err(self.mismatch(packet, difference).into())
    }

    fn mismatch(&self, packet: &Named, difference: Difference) -> Mismatch {
        let Named { name, frame } = packet.clone();
        Mismatch { packet: name, frame, difference, world: self.node.world.clone() }
    }
}

/// The kernel makes a test frame a packet of its stack, which has more behind the EtherType than nothing, and of IP a whole
/// header.
fn is_run_at_tc(frame: &[u8]) -> bool {
    let header = match frame.get(12..MIN_FRAME) {
        Some([0x08, 0x00]) => 20,
        Some([0x86, 0xdd]) => 40,
        _ => 1,
    };
    frame.len() >= MIN_FRAME + header
}

/// The counter of a VIP, which counts what found no backend.
fn without_backend(outcome: &Outcome, frame: &[u8]) -> Option<Key> {
    let packet = Packet::parse(frame);
    let vip = SocketAddr::new(packet.ip?.destination, packet.ports()?.destination);
    let protocol = if packet.protocol? == protocol::TCP { "TCP" } else { "UDP" };
    Some((outcome.policy?.uid.clone(), format!("{vip}/{protocol}"), Counted::Drop))
}

/// Counts anew, packet by packet, to the one that is counted differently.
fn find_miscount(mut judge: Judge<'_>, packets: &[Named]) -> anyhow::Result<anyhow::Error> {
    let is_tc = judge.node.world.hook != Hook::Xdp;
    let is_run = |packet: &&Named| packet.frame.len() >= MIN_FRAME && (!is_tc || is_run_at_tc(&packet.frame));
    for packet in packets.iter().filter(is_run) {
        judge.judge(packet)?;
        for counted in [Some(judge.kernel.counts()?), judge.kernel.live_counts()?].into_iter().flatten() {
            if let Some((key, kernel, interpreter)) = counted.differences(&judge.counts).first() {
                let (key, kernel, interpreter) = ((*key).clone(), *kernel, *interpreter);
                return Ok(judge.mismatch(packet, Difference::Counter { key, kernel, interpreter }).into());
            }
        }
    }
    Ok(anyhow::anyhow!("counters differed in one run and not in the next"))
}

impl Tally {
    fn note(&mut self, outcome: &Outcome) {
        self.verdicts += 1;
        self.drops += u64::from(outcome.verdict == Verdict::Drop);
        self.transmits += u64::from(outcome.verdict == Verdict::Tx);
        self.audited += u64::from(outcome.audited.is_some());
        self.malformed += u64::from(outcome.malformed);
        let stage = match outcome.stage {
            Stage::Failsafe => &mut self.failsafe,
            Stage::Filter | Stage::Established => &mut self.by_rule,
            Stage::Default => &mut self.by_default,
            Stage::Malformed => &mut self.by_malformed,
            Stage::LoadBalancer => &mut self.by_balancer,
        };
        *stage += 1;
    }

    pub fn add(&mut self, other: &Tally) {
        let Tally {
            verdicts,
            drops,
            transmits,
            audited,
            malformed,
            failsafe,
            by_rule,
            by_default,
            by_malformed,
            by_balancer,
            live,
            too_short,
        } = other;
        self.verdicts += verdicts;
        self.drops += drops;
        self.transmits += transmits;
        self.audited += audited;
        self.malformed += malformed;
        self.failsafe += failsafe;
        self.by_rule += by_rule;
        self.by_default += by_default;
        self.by_malformed += by_malformed;
        self.by_balancer += by_balancer;
        self.live += live;
        self.too_short += too_short;
    }
}
