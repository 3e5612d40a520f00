//! What goes wrong, drawn from a seed.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use sluice_index::Desired;
use turmoil::Sim;

use super::world::{self, World, agent, replica};
use super::{AGENTS, REPLICAS};

pub struct Chaos {
    random: SmallRng,
    world: World,
    next: Duration,
    /// What is put right again, and when.
    later: VecDeque<(Duration, Fault)>,
    /// When a replica sees what of the source.
    seen_later: Vec<(Duration, usize, Arc<Desired>)>,
    told: Vec<String>,
}

#[derive(Clone, Debug)]
enum Fault {
    Crash(usize),
    /// With its disk, which another takes the place of.
    Loss(usize),
    CrashAgent(usize),
    /// Nothing comes through between these.
    Cut(String, String),
    /// Everything comes through late, and all at once.
    Hold(String, String),
    Slow(usize, Duration),
    Full(usize),
    Clock(i64),
    Edit,
}

impl Chaos {
    pub fn new(seed: u64, world: World) -> Chaos {
        let random = SmallRng::seed_from_u64(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        Chaos {
            random,
            world,
            next: Duration::from_secs(3),
            later: VecDeque::new(),
            seen_later: Vec::new(),
            told: Vec::new(),
        }
    }

    pub fn told(&self) -> String {
        self.told.join("; ")
    }

    pub fn next(&mut self, sim: &mut Sim) {
        let now = sim.elapsed();
        self.show(now);
        while self.later.front().is_some_and(|(at, _)| *at <= now) {
            let (_, fault) = self.later.pop_front().expect("there is one");
            self.told.push(format!("{now:?} end of {fault:?}"));
            self.put_right(sim, fault);
        }
        self.restart_failed(sim);
        if now < self.next {
            return;
        }
        self.next = now + Duration::from_millis(self.random.random_range(200..2500));
        let fault = self.draw();
        self.told.push(format!("{now:?} {fault:?}"));
        self.make(sim, fault);
    }

    fn draw(&mut self) -> Fault {
        let one = self.random.random_range(0..REPLICAS);
        let other = (one + self.random.random_range(1..REPLICAS)) % REPLICAS;
        match self.random.random_range(0..20) {
            0..2 => Fault::Crash(one),
            // A majority that loses its disks is lost.
            2 if self.later.iter().all(|(_, fault)| !matches!(fault, Fault::Loss(_))) => Fault::Loss(one),
            3 => Fault::CrashAgent(self.random.random_range(0..AGENTS)),
            4..7 => Fault::Cut(replica(one), replica(other)),
            7 => Fault::Cut(replica(one), agent(self.random.random_range(0..AGENTS))),
            8..10 => Fault::Hold(replica(one), replica(other)),
            10 => Fault::Slow(one, Duration::from_millis(self.random.random_range(20..900))),
            11 => Fault::Full(one),
            12 => Fault::Clock([-3_600_000, 3_600_000][self.random.random_range(0..2)]),
            _ => Fault::Edit,
        }
    }

    fn make(&mut self, sim: &mut Sim, fault: Fault) {
        match &fault {
            Fault::Crash(index) => self.crash(sim, *index),
            Fault::Loss(index) => {
                // As long as it was missing nobody may count on it.
                if !self.all_run() {
                    return;
                }
                self.crash(sim, *index);
                self.world.disks[*index].replace();
                self.world.record.forget(*index);
            }
            Fault::CrashAgent(index) => sim.crash(agent(*index).as_str()),
            Fault::Cut(a, b) => sim.partition(a.as_str(), b.as_str()),
            Fault::Hold(a, b) => sim.hold(a.as_str(), b.as_str()),
            Fault::Slow(index, delay) => self.world.disks[*index].slow(*delay),
            Fault::Full(index) => self.world.disks[*index].fill(true),
            Fault::Clock(by) => return world::jump(*by),
            Fault::Edit => return self.edit(sim.elapsed()),
        }
        let lasts = Duration::from_millis(self.random.random_range(100..6000));
        let at = sim.elapsed() + lasts;
        let place = self.later.iter().position(|(other, _)| *other > at).unwrap_or(self.later.len());
        self.later.insert(place, (at, fault));
    }

    fn put_right(&mut self, sim: &mut Sim, fault: Fault) {
        match fault {
            Fault::Crash(index) | Fault::Loss(index) => self.start(sim, index),
            Fault::CrashAgent(index) => sim.bounce(agent(index).as_str()),
            Fault::Cut(a, b) => sim.repair(a.as_str(), b.as_str()),
            Fault::Hold(a, b) => sim.release(a.as_str(), b.as_str()),
            Fault::Slow(index, _) => self.world.disks[index].slow(Duration::ZERO),
            Fault::Full(index) => self.world.disks[index].fill(false),
            Fault::Clock(_) | Fault::Edit => {}
        }
    }

    /// Repairs everything, and has all replicas see one last edit.
    pub fn make_peace(&mut self, sim: &mut Sim) {
        while let Some((_, fault)) = self.later.pop_front() {
            self.put_right(sim, fault);
        }
        for index in 0..REPLICAS {
            self.world.disks[index].fill(false);
            if !sim.is_host_running(replica(index).as_str()) {
                self.start(sim, index);
            }
        }
        self.restart_failed(sim);
        let last = self.world.edit("a", Some(4000), false);
        self.seen_later.clear();
        for replica in &self.world.desired {
            replica.send_replace(last.clone());
        }
    }

    fn edit(&mut self, now: Duration) {
        let name = ["a", "b", "c"][self.random.random_range(0..3)];
        let port = (!self.random.random_ratio(1, 6)).then(|| self.random.random_range(1..1000));
        let seen = self.world.edit(name, port, self.random.random_ratio(1, 3));
        for index in 0..REPLICAS {
            let late = Duration::from_millis(self.random.random_range(0..400));
            self.seen_later.push((now + late, index, seen.clone()));
        }
    }

    fn show(&mut self, now: Duration) {
        let (due, later) = std::mem::take(&mut self.seen_later).into_iter().partition(|(at, ..)| *at <= now);
        self.seen_later = later;
        let due: Vec<_> = due;
        for (_, index, desired) in due {
            self.world.desired[index].send_replace(desired);
        }
    }

    /// A process whose store failed ends and is started by whoever looks after it.
    fn restart_failed(&mut self, sim: &mut Sim) {
        for index in 0..REPLICAS {
            let failed = self.world.running()[index].as_ref().is_some_and(|running| running.failed);
            if failed && sim.is_host_running(replica(index).as_str()) {
                self.crash(sim, index);
                self.world.disks[index].fill(false);
                self.start(sim, index);
            }
        }
    }

    fn crash(&self, sim: &mut Sim, index: usize) {
        // Before the process goes: it must not tidy up.
        self.world.disks[index].reboot();
        sim.crash(replica(index).as_str());
        self.world.running()[index] = None;
    }

    fn start(&self, sim: &mut Sim, index: usize) {
        if !sim.is_host_running(replica(index).as_str()) {
            sim.bounce(replica(index).as_str());
        }
    }

    fn all_run(&self) -> bool {
        let running = self.world.running();
        let rafts: Vec<_> = running.iter().flatten().map(|one| &one.raft).collect();
        // One that was replaced may vote yet: then the next loss is that of a majority.
        let ids = rafts.iter().map(|raft| raft.identity().node_id).collect();
        rafts.len() == REPLICAS && rafts.iter().all(|raft| raft.voters() == ids)
    }
}
