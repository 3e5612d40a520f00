//! The pipeline: parse, failsafe, filters, balancer.

use crate::considered::{Considered, Watch};
use crate::outcome::{Outcome, Stage, Verdict};
use crate::packet::Packet;
use crate::world::World;
use crate::{balancer, failsafe, filters};

/// What a node with these policies does with a frame (Ethernet header first, no FCS) that arrives on the interface.
pub fn evaluate<'w>(world: &'w World, interface: &str, frame: &[u8]) -> Outcome<'w> {
    watched(world, interface, frame, &mut Watch::Off)
}

/// [`evaluate`], and every rule that was looked at on the way, in that order.
pub fn explain<'w>(world: &'w World, interface: &str, frame: &[u8]) -> (Outcome<'w>, Vec<Considered<'w>>) {
    let mut watch = Watch::Keep(Vec::new());
    let outcome = watched(world, interface, frame, &mut watch);
    let Watch::Keep(considered) = watch else { return (outcome, Vec::new()) };
    (outcome, considered)
}

fn watched<'w>(world: &'w World, interface: &str, frame: &[u8], watch: &mut Watch<'w>) -> Outcome<'w> {
    let packet = Packet::parse(frame);
    let mut outcome = Outcome::passed_by_nothing(packet.malformed);
    if let Some(kept) = failsafe::keeps(world, &packet) {
        outcome.stage = Stage::Failsafe;
        outcome.kept = Some(kept);
        return outcome;
    }
    filters::run(world, interface, &packet, &mut outcome, watch);
    if outcome.verdict == Verdict::Pass {
        balancer::run(world, interface, &packet, &mut outcome);
    }
    outcome
}
