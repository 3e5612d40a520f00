//! Decisions by the interpreter.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::Duration;

use sluice_balance::{Flow, Rings, Vip};
use sluice_interpret::packet::Packet;
use sluice_interpret::{
    Considered, ControlPeer, DEFAULT_NAME, ESTABLISHED_NAME, Failsafe, FailsafePort, Kept, Limits,
    MALFORMED_NAME, Outcome, Service, Stage, Verdict, World, evaluate, evaluate_at, explain,
};

use super::INTERFACE;
use super::decision::{Decider, Decision};
use crate::args::Place;
use crate::compile;
use crate::policies::Policies;

pub struct Interpreter {
    world: World,
    rings: Rings,
    limits: RefCell<Limits>,
}

/// A decision and what led to it.
pub struct Explanation<'w> {
    pub decision: Decision,
    /// As what the failsafe let the packet through, before any rule.
    pub kept: Option<Kept>,
    pub considered: Vec<Considered<'w>>,
}

impl Interpreter {
    pub fn new(policies: &Policies, place: &Place) -> Interpreter {
        let failsafe = &policies.fleet.failsafe;
        let ports = failsafe.ports.iter().map(|entry| FailsafePort {
            port: entry.port,
            protocol: entry.protocol,
            sources: entry.sources.clone(),
        });
        let peers = failsafe
            .control_endpoints
            .iter()
            .map(|endpoint| ControlPeer { address: endpoint.address, port: endpoint.port });
        let world = World {
            filters: policies.filters.clone(),
            hook: place.hook.into(),
            services: policies.balancers.iter().cloned().map(Service::all_healthy).collect(),
            failsafe: Some(Failsafe {
                ports: ports.collect(),
                within_rate: true,
                control_peers: peers.collect(),
            }),
            node_addresses: place.node_address.clone(),
            default_route: Vec::new(),
            connections: BTreeSet::new(),
            sets: policies.sets.clone(),
        };
        let limits = RefCell::default();
        Interpreter { world, limits, rings: compile::rings(policies).into_iter().flatten().collect() }
    }

    /// Within every rate.
    pub fn decide(&self, frame: &[u8]) -> Decision {
        self.decision(evaluate(&self.world, INTERFACE, frame), frame)
    }

    /// After the frames before it.
    pub fn decide_at(&self, frame: &[u8], time: Duration) -> Decision {
        let outcome = evaluate_at(&self.world, INTERFACE, frame, time, &mut self.limits.borrow_mut());
        self.decision(outcome, frame)
    }

    pub fn explain(&self, frame: &[u8]) -> Explanation<'_> {
        let (outcome, considered) = explain(&self.world, INTERFACE, frame);
        Explanation { kept: outcome.kept, decision: self.decision(outcome, frame), considered }
    }

    /// Where what has a say ends: the headers, and the bytes that rules look at.
    pub fn reads_to(&self, packet: &Packet) -> usize {
        let patterns = self.world.filters.iter().flat_map(|filter| &filter.rules);
        let places = patterns.flat_map(|rule| &rule.matches.payload).map(|wanted| packet.place_ends(wanted));
        places.fold(packet.headers, usize::max)
    }

    fn decision(&self, outcome: Outcome, frame: &[u8]) -> Decision {
        let verdict = match outcome.verdict {
            Verdict::Pass => "Pass",
            Verdict::Drop => "Drop",
            Verdict::Tx => "Tx",
        };
        match outcome.stage {
            Stage::Failsafe => Decision { verdict, stage: "Failsafe", ..Decision::default() },
            Stage::LoadBalancer => Decision {
                verdict,
                stage: "LoadBalancer",
                policy: outcome.policy.map(|policy| policy.name.clone()),
                mode: Some("Enforce"),
                backend: (outcome.verdict == Verdict::Tx).then(|| self.backend(frame)).flatten(),
                ..Decision::default()
            },
            Stage::Filter | Stage::Default | Stage::Malformed | Stage::Established => {
                let decided = outcome.policy.map(|policy| Decider {
                    policy: policy.name.clone(),
                    rule: outcome.rule.map(str::to_owned),
                    stage: match outcome.stage {
                        Stage::Filter => "Filter",
                        Stage::Malformed => "Malformed",
                        Stage::Established => "Established",
                        _ => "Default",
                    },
                });
                let audited = outcome.audited.map(|audited| decider(&audited.policy.name, audited.name));
                Decision::of_filters(verdict, decided, audited, outcome.malformed)
            }
        }
    }

    fn backend(&self, frame: &[u8]) -> Option<String> {
        let packet = Packet::parse(frame);
        let (ip, protocol, ports) = (packet.ip?, packet.protocol?, packet.ports()?);
        let ring = self.rings.get(&Vip { address: ip.destination, port: ports.destination, protocol })?;
        let flow = Flow {
            source: ip.source,
            destination: ip.destination,
            source_port: ports.source,
            destination_port: ports.destination,
            protocol,
        };
        ring.backend(&flow).map(|backend| backend.to_string())
    }
}

/// From the name under which an entry is counted.
pub fn decider(policy: &str, name: &str) -> Decider {
    let (rule, stage) = match name {
        DEFAULT_NAME => (None, "Default"),
        MALFORMED_NAME => (None, "Malformed"),
        ESTABLISHED_NAME => (None, "Established"),
        rule => (Some(rule.to_owned()), "Filter"),
    };
    Decider { policy: policy.to_owned(), rule, stage }
}
