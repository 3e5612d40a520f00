//! What came of a packet, and its trace for test runs.

use sluice_abi::{Mark, NO_TARGET, Stage, Trace};

#[cfg(not(feature = "tc"))]
use crate::balance;
use crate::maps::TRACE;
use crate::packet::Packet;
use crate::{classify, sample};

pub struct Outcome {
    pub verdict: u32,
    stage: Stage,
    entry: u16,
    audited: u16,
    target: u32,
}

impl Outcome {
    #[inline(always)]
    pub fn of(verdict: u32, stage: Stage) -> Outcome {
        Outcome { verdict, stage, entry: u16::MAX, audited: u16::MAX, target: NO_TARGET }
    }

    #[inline(always)]
    pub fn by_filters(self, decision: u64) -> Outcome {
        let entry = classify::decided_by(decision);
        let stage = if entry == u16::MAX { self.stage } else { Stage::Filter };
        Outcome { entry, audited: classify::audited(decision), stage, ..self }
    }

    #[cfg(not(feature = "tc"))]
    #[inline(always)]
    pub fn by_balancer(self, choice: u64) -> Outcome {
        let (verdict, target) = (balance::verdict(choice), balance::target(choice));
        Outcome { verdict, target, stage: Stage::Balancer, ..self }
    }

    /// Of a drop, for its sample.
    #[inline(always)]
    pub fn origin(&self) -> u64 {
        // What the filters let through and the balancer dropped is the balancer's.
        let entry = if matches!(self.stage, Stage::Balancer) { u16::MAX } else { self.entry };
        sample::origin(self.stage as u8, entry, self.target)
    }

    #[inline(always)]
    pub fn trace(&self, packet: &Packet) {
        let Some(trace) = TRACE.get_ptr_mut(0) else { return };
        // SAFETY: the one element of the map; test runs of one load are not run at the same time.
        unsafe {
            *trace = Trace {
                stage: self.stage as u8,
                malformed: packet.malformed as u8,
                entry: self.entry,
                audited: self.audited,
                reserved: [0; 3],
                target: self.target,
                now: 0,
                mark: Mark { value: packet.mark, mask: packet.mark_mask },
            }
        };
    }
}
