//! The pipeline: parse, failsafe, filters, balancer.

use std::time::Duration;

use sluice_policy::Hook;

use crate::considered::{Considered, Watch};
use crate::limits::{Arrival, Limits};
use crate::outcome::{Outcome, Stage, Verdict};
use crate::packet::Packet;
use crate::world::World;
use crate::{balancer, failsafe, filters};

/// What a node with these policies does with a frame (Ethernet header first, no FCS) that arrives on the interface and is
/// within every rate.
pub fn evaluate<'w>(world: &'w World, interface: &str, frame: &[u8]) -> Outcome<'w> {
    watched(world, interface, frame, Arrival::new(frame, None), &mut Watch::Off)
}

/// [`evaluate`] for a frame that arrives at this time, on any clock, after those that took from `limits`.
pub fn evaluate_at<'w>(
    world: &'w World,
    interface: &str,
    frame: &[u8],
    time: Duration,
    limits: &mut Limits,
) -> Outcome<'w> {
    watched(world, interface, frame, Arrival::new(frame, Some((limits, time))), &mut Watch::Off)
}

/// [`evaluate`], and every rule that was looked at on the way, in that order.
pub fn explain<'w>(world: &'w World, interface: &str, frame: &[u8]) -> (Outcome<'w>, Vec<Considered<'w>>) {
    let mut watch = Watch::Keep(Vec::new());
    let outcome = watched(world, interface, frame, Arrival::new(frame, None), &mut watch);
    let Watch::Keep(considered) = watch else { return (outcome, Vec::new()) };
    (outcome, considered)
}

fn watched<'w>(
    world: &'w World,
    interface: &str,
    frame: &[u8],
    mut arrival: Arrival<'_>,
    watch: &mut Watch<'w>,
) -> Outcome<'w> {
    let packet = Packet::parse(frame);
    let mut outcome = Outcome::passed_by_nothing(packet.malformed);
    if let Some(kept) = failsafe::keeps(world, &packet) {
        outcome.stage = Stage::Failsafe;
        outcome.kept = Some(kept);
        return outcome;
    }
    filters::run(world, interface, &packet, &mut arrival, &mut outcome, watch);
    if outcome.verdict == Verdict::Pass && world.hook == Hook::Xdp {
        balancer::run(world, interface, &packet, &mut outcome);
    }
    outcome
}
