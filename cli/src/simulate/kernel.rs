//! Decisions by the program that nodes load, run by the kernel on test packets.

use std::net::IpAddr;

use anyhow::Context;
use sluice_abi::{DEFAULT_ENTRY, Entry, MALFORMED_ENTRY, NO_TARGET, Stage};
use sluice_datapath::load::{LoadSpec, Loaded, load};
use sluice_datapath::test_run::XdpAction;
use sluice_interpret::packet::Packet;
use sluice_interpret::{DEFAULT_NAME, MALFORMED_NAME};
use sluice_plan::{BalancerPart, NodePlan, VipRef};

use super::decision::{Decider, Decision};
use super::interpreted::decider;
use crate::compile;
use crate::policies::Policies;

pub struct Kernel {
    plan: NodePlan,
    loaded: Loaded,
}

impl Kernel {
    pub fn load(policies: &Policies, node_addresses: &[IpAddr]) -> anyhow::Result<Kernel> {
        let plan = compile::plan(policies)?;
        let loaded = load(&plan, &LoadSpec::everything(&plan))
            .context("the kernel does not take the program; --interpret works without it")?;
        loaded
            .set_surroundings(&plan, node_addresses)
            .context("addresses and next hops of the simulated node")?;
        Ok(Kernel { plan, loaded })
    }

    pub fn decide(&self, frame: &[u8]) -> anyhow::Result<Decision> {
        let outcome = self.loaded.run(frame)?;
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
            rule => part.rules.get(usize::from(rule))?,
        };
        Some(decider(&part.policy.name, name))
    }

    fn balanced(&self, verdict: &'static str, target: u32, frame: &[u8]) -> Decision {
        let parts = self.plan.balancers.parts.iter();
        let mut targets = parts.flat_map(|part| part.targets.iter().map(move |target| (part, target)));
        let found = (target != NO_TARGET).then(|| targets.nth(target as usize)).flatten();
        // Where no backend was to be had, the trace does not say which balancer looked for one.
        let part = found.map(|(part, _)| part).or_else(|| self.part_of(frame));
        Decision {
            verdict,
            stage: "LoadBalancer",
            policy: part.map(|part| part.policy.name.clone()),
            mode: Some("Enforce"),
            backend: found.map(|(_, target)| target.backend.to_string()),
            ..Decision::default()
        }
    }

    fn part_of(&self, frame: &[u8]) -> Option<&BalancerPart> {
        let packet = Packet::parse(frame);
        let (destination, port) = (packet.ip?.destination, packet.ports()?.destination);
        let is_it = |vip: &VipRef| {
            (vip.address, vip.port, Some(vip.protocol)) == (destination, port, packet.protocol)
        };
        self.plan.balancers.parts.iter().find(|part| part.vips.iter().any(is_it))
    }
}
