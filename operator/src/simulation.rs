//! Three whole operators and their agents in one thread, on simulated disks, clocks and cables, which fail as a seed has it.
//!
//! Simulated are the disk ([`sluice_raft::simulated::Disk`]), the network (turmoil) and time; the consensus, the store, the relays,
//! the streams, the reconciler and everything that it plans with are the operator's own.
//!
//! # What is checked, whatever happens
//! * An epoch names one content for ever, and no replica goes back to an earlier one.
//! * An agent is sent what is agreed on under the epoch that it comes with, and never goes back.
//! * At no time do two replicas decide.
//! * Once everything works again, all replicas and agents come to the newest policies.
//!
//! `SLUICE_SEEDS=1000` runs as many seeds, `SLUICE_SEED=7` that one. A seed decides on faults, latencies and elections; which of
//! two things that are ready at the same moment comes first is the runtime's, so one that failed may take a few runs to do
//! it again.

mod agent;
mod chaos;
mod record;
mod replica;
mod wires;
mod world;

use std::time::Duration;

use chaos::Chaos;
use turmoil::Builder;
use world::World;

const REPLICAS: usize = 3;
const AGENTS: usize = 4;
/// Faults come in this time;
const TROUBLE: Duration = Duration::from_secs(45);
/// and in this time all is well again.
const PEACE: Duration = Duration::from_secs(40);
const TICK: Duration = Duration::from_millis(5);

/// Unix milliseconds in a simulation.
pub fn clock() -> Option<i64> {
    Some(steady()? + world::jumped())
}

/// The same, as if nobody had set a clock.
pub fn steady() -> Option<i64> {
    let elapsed = turmoil::sim_elapsed()?;
    Some(world::BEGINNING + i64::try_from(elapsed.as_millis()).expect("a simulation is short"))
}

fn run(seed: u64) {
    sluice_raft::simulated::seed(seed);
    let mut sim = Builder::new()
        .rng_seed(seed)
        .tick_duration(TICK)
        .simulation_duration(TROUBLE + PEACE + Duration::from_secs(10))
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(Duration::from_millis(20))
        .tcp_capacity(4096)
        .build();
    let world = World::new(seed);
    for index in 0..REPLICAS {
        let world = world.clone();
        sim.host(world::replica(index), move || replica::run(world.clone(), index));
    }
    for index in 0..AGENTS {
        let world = world.clone();
        sim.host(world::agent(index), move || agent::run(world.clone(), index));
    }
    let mut chaos = Chaos::new(seed, world.clone());
    while sim.elapsed() < TROUBLE {
        chaos.next(&mut sim);
        sim.step().unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        world.record.check(&world, seed);
    }
    chaos.make_peace(&mut sim);
    let mut missing = String::new();
    while sim.elapsed() < TROUBLE + PEACE {
        sim.step().unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        world.record.check(&world, seed);
        missing = match world.missing() {
            None => return,
            Some(missing) => missing,
        };
    }
    panic!("seed {seed}: after {PEACE:?} of peace {missing}\nit had happened: {}", chaos.told());
}

fn seeds() -> Vec<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    match number("SLUICE_SEED") {
        Some(seed) => vec![seed],
        None => (0..number("SLUICE_SEEDS").unwrap_or(50)).collect(),
    }
}

#[test]
fn whatever_fails_nothing_forks_and_all_come_together_again() {
    for seed in seeds() {
        run(seed);
    }
}
