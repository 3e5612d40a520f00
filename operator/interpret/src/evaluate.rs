//! The pipeline: parse, failsafe, filters, balancer.

use crate::outcome::{Outcome, Stage, Verdict};
use crate::packet::Packet;
use crate::world::World;
use crate::{balancer, failsafe, filters};

/// What a node with these policies does with a frame (Ethernet header first, no FCS) that arrives on the interface.
pub fn evaluate<'w>(world: &'w World, interface: &str, frame: &[u8]) -> Outcome<'w> {
    let packet = Packet::parse(frame);
    let mut outcome = Outcome::passed_by_nothing(packet.malformed);
    if failsafe::passes(world, &packet) {
        outcome.stage = Stage::Failsafe;
        return outcome;
    }
    filters::run(world, interface, &packet, &mut outcome);
    if outcome.verdict == Verdict::Pass {
        balancer::run(world, interface, &packet, &mut outcome);
    }
    outcome
}
