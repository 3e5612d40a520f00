//! Decisions by the program that nodes load, run by the kernel on test packets.

use std::io;
use std::time::Duration;

use anyhow::{Context, anyhow};
use sluice_abi::{DEFAULT_ENTRY, ESTABLISHED_ENTRY, Entry, MALFORMED_ENTRY, NO_TARGET, Stage};
use sluice_datapath::load::{LoadError, LoadSpec, Loaded, load};
use sluice_datapath::test_run::XdpAction;
use sluice_interpret::packet::Packet;
use sluice_interpret::{DEFAULT_NAME, ESTABLISHED_NAME, MALFORMED_NAME};
use sluice_plan::{NodePlan, VipRef};

use super::decision::{Decider, Decision};
use super::interpreted::decider;
use crate::args::Place;
use crate::compile;
use crate::policies::Policies;

pub struct Kernel {
    plan: NodePlan,
    loaded: Loaded,
}

impl Kernel {
    pub fn load(policies: &Policies, place: &Place) -> anyhow::Result<Kernel> {
        let mut plan = compile::plan(policies)?;
        // A capture runs faster than it was recorded: a rate would say nothing of the node.
        plan.failsafe.packets_per_second = 1_000_000_000;
        plan.failsafe.burst = u32::MAX;
        let loaded = load(&plan, &LoadSpec { hook: place.hook.into(), ..LoadSpec::everything(&plan) });
        let loaded = loaded.map_err(refused)?;
        loaded
            .set_surroundings(&plan, &place.node_address)
            .context("addresses and next hops of the simulated node")?;
        loaded.put_sets(&plan, &policies.sets).context("putting the address sets into the kernel")?;
        Ok(Kernel { plan, loaded })
    }

    pub fn decide_at(&self, frame: &[u8], time: Duration) -> anyhow::Result<Decision> {
        let outcome = self.loaded.run_at(frame, time)?;
        let verdict = match outcome.verdict {
            XdpAction::Aborted => "Aborted",
            XdpAction::Drop => "Drop",
            XdpAction::Pass => "Pass",
            XdpAction::Tx | XdpAction::Redirect => "Tx",
        };
        let trace = outcome.trace;
        if trace.stage == Stage::Failsafe as u8 {
            return Ok(Decision { verdict, stage: "Failsafe", ..Decision::default() });
        }
        if trace.stage == Stage::Balancer as u8 {
            return Ok(self.balanced(verdict, trace.target, frame));
        }
        let decided = (trace.stage == Stage::Filter as u8).then(|| self.entry(trace.entry)).flatten();
        Ok(Decision::of_filters(verdict, decided, self.entry(trace.audited), trace.malformed != 0))
    }

    fn entry(&self, index: u16) -> Option<Decider> {
        let entries: &[Entry] = bytemuck::try_cast_slice(&self.plan.filters.tables.entries).ok()?;
        let entry = entries.get(usize::from(index))?;
        let part = self.plan.filters.parts.get(usize::from(entry.filter))?;
        let name = match entry.rule {
            DEFAULT_ENTRY => DEFAULT_NAME,
            MALFORMED_ENTRY => MALFORMED_NAME,
            ESTABLISHED_ENTRY => ESTABLISHED_NAME,
            rule => part.rules.get(usize::from(rule))?,
        };
        Some(decider(&part.policy.name, name))
    }

    fn balanced(&self, verdict: &'static str, target: u32, frame: &[u8]) -> Decision {
        let mut targets = self.plan.balancers.parts.iter().flat_map(|part| &part.targets);
        let chosen = (target != NO_TARGET).then(|| targets.nth(target as usize)).flatten();
        Decision {
            verdict,
            stage: "LoadBalancer",
            policy: self.balancer(frame),
            mode: Some("Enforce"),
            backend: chosen.filter(|_| verdict == "Tx").map(|target| target.backend.to_string()),
            ..Decision::default()
        }
    }

    /// Also of a packet for which there was no backend: the program leaves no more than the stage then.
    fn balancer(&self, frame: &[u8]) -> Option<String> {
        let packet = Packet::parse(frame);
        let (ip, protocol, ports) = (packet.ip?, packet.protocol?, packet.ports()?);
        let is_for = |vip: &VipRef| {
            (vip.address, vip.port, vip.protocol) == (ip.destination, ports.destination, protocol)
        };
        let part = self.plan.balancers.parts.iter().find(|part| part.vips.iter().any(is_for))?;
        Some(part.policy.name.clone())
    }
}

fn refused(error: LoadError) -> anyhow::Error {
    let denied = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
    };
    if anyhow::Chain::new(&error).any(denied) {
        return anyhow!(
            "no privilege to load the program: run this as root (or with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON), or \
             add --interpret, which needs none"
        );
    }
    anyhow::Error::new(error).context("the kernel does not take the program (--interpret works without it)")
}
