//! Replacing filters of ten thousand rules in all under a flood on two processors.
//!
//! A frame of each of three kinds is sent in turn: one that every version drops, each by another rule; one that every
//! version drops by the same rule; one that every version passes, each by another rule. The kernel's own counters of the
//! sending end tell how many there were.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use sluice_datapath::{Datapath, LocalInterface, SlotKey};
use sluice_plan::NodePlan;
use sluice_policy::{Action, Filter};

use crate::plans::{compile, drop_port, filter, rule};
use crate::traffic::{Wire, udp};
use crate::world::{self, World};

/// With `make soak`; else as many as show that it works.
const REPLACEMENTS: &str = "SLUICE_REPLACEMENTS";
const FEW: usize = 8;
const FILTERS: usize = 20;
/// Of each filter.
const RULES: u16 = 500;
/// In all, of two senders that send so many frames of each kind in so long.
const PER_SECOND: u64 = 200_000;
const BURST: usize = 100;
const PAUSE: Duration = Duration::from_micros(2_500);

const MOVED: u16 = 7;
const KEPT: u16 = 8;
const PASSED: u16 = 9;
const FRAMES: [u16; 3] = [MOVED, KEPT, PASSED];

/// Frames of this kind are never sent.
const NEVER: u16 = 10;

/// What versions have different. Rules that count are in both, so that their counters live on; in which filter the one
/// that matches is makes the difference.
#[derive(Clone, Copy)]
struct Version {
    mark: &'static str,
    /// Position, name, action and port.
    rules: [(usize, &'static str, Action, u16); 5],
}

const VERSIONS: [Version; 2] = [
    Version {
        mark: "a",
        rules: [
            (1, "moved-a", Action::Drop, MOVED),
            (2, "passed-b", Action::Pass, NEVER),
            (10, "kept", Action::Drop, KEPT),
            (17, "passed-a", Action::Pass, PASSED),
            (18, "moved-b", Action::Drop, NEVER),
        ],
    },
    Version {
        mark: "b",
        rules: [
            (1, "moved-a", Action::Drop, NEVER),
            (2, "passed-b", Action::Pass, PASSED),
            (10, "kept", Action::Drop, KEPT),
            (17, "passed-a", Action::Pass, NEVER),
            (18, "moved-b", Action::Drop, MOVED),
        ],
    },
];

fn plan(version: Version) -> NodePlan {
    let filters: Vec<Filter> = (0..FILTERS).map(|index| one_filter(version, index)).collect();
    let plan = compile(&filters);
    let rules: usize = plan.filters.parts.iter().map(|part| part.rules.len()).sum();
    assert!(rules >= FILTERS * usize::from(RULES));
    plan
}

fn one_filter(version: Version, index: usize) -> Filter {
    let mut rules = filler(version, index);
    for (_, name, action, port) in version.rules.into_iter().filter(|rule| rule.0 == index) {
        rules.insert(rules.len() / 2, rule(name, action, drop_port(port).matches));
    }
    filter(&format!("f{index:02}"), &["eth0"], rules)
}

/// Rules about other packets, of addresses and ports, none of which two versions share.
fn filler(version: Version, index: usize) -> Vec<sluice_policy::Rule> {
    let third = if version.mark == "a" { 0 } else { 100 } + index;
    let one = |number: u16| {
        let mut rule = drop_port(1000 + number);
        rule.name = format!("{}-{number}", version.mark);
        let prefix = format!("10.{third}.{}.0/24", number % 250);
        rule.matches.sources =
            Some(sluice_policy::PrefixSet { v4: vec![prefix.parse().unwrap()], ..Default::default() });
        rule
    };
    (0..RULES).map(one).collect()
}

/// Two senders at work until told to stop.
#[derive(Default)]
struct Flood {
    stop: AtomicBool,
    /// By kind of frame.
    sent: [AtomicU64; FRAMES.len()],
    /// Of both senders, what they had of their processors, and when they wanted none.
    running_us: AtomicU64,
}

impl Flood {
    fn sent(&self) -> u64 {
        self.sent.iter().map(|sent| sent.load(Ordering::Relaxed)).sum()
    }

    fn send(&self, processor: usize) {
        on_processor(processor);
        let wire = Wire::on("xeth0");
        let frames = FRAMES.map(|port| udp(port, &[processor as u8; 8]));
        let mut slept = Duration::ZERO;
        while !self.stop.load(Ordering::Relaxed) {
            let begun = Instant::now();
            for _ in 0..BURST {
                self.send_each(&wire, &frames);
            }
            // What is lost to others is not made up for, or the bursts would grow.
            let rest = PAUSE.saturating_sub(begun.elapsed());
            std::thread::sleep(rest);
            slept += rest;
        }
        let used = getrusage(UsageWho::RUSAGE_THREAD).unwrap();
        let running = (used.user_time() + used.system_time()).num_microseconds() as u64;
        self.running_us.fetch_add(running + slept.as_micros() as u64, Ordering::Relaxed);
    }

    fn send_each(&self, wire: &Wire, frames: &[Vec<u8>; FRAMES.len()]) {
        for (frame, sent) in frames.iter().zip(&self.sent) {
            // A queue that is full is no verdict.
            if wire.try_send(frame) {
                sent.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Frames per second of both while both have a processor or do not want one.
    fn per_second(&self) -> u64 {
        2 * self.sent() * 1_000_000 / self.running_us.load(Ordering::Relaxed).max(1)
    }
}

fn on_processor(processor: usize) {
    let mut one = nix::sched::CpuSet::new();
    one.set(processor).unwrap();
    nix::sched::sched_setaffinity(nix::unistd::Pid::from_raw(0), &one).unwrap();
}

/// Calls `change` so often, with frames of every kind in between; returns frames that came through and must not.
fn under_flood(flood: &Flood, times: usize, mut change: impl FnMut(usize)) -> usize {
    let receiver = Wire::on("eth0");
    receiver.only_udp_to([MOVED, KEPT]);
    std::thread::scope(|scope| {
        for processor in 0..2 {
            scope.spawn(move || flood.send(processor));
        }
        for round in 0..times {
            let before = flood.sent();
            change(round);
            world::eventually("frames between two changes", || flood.sent() > before + 3000);
        }
        flood.stop.store(true, Ordering::Relaxed);
    });
    receiver.arrived().len()
}

/// With a queue for each sender, each of which waits where it would overflow (Linux 6.16).
fn interface(world: &World) -> [LocalInterface; 1] {
    let queues = ["numtxqueues", "2", "numrxqueues", "2"];
    let ends = [&["link", "add", "eth0"][..], &queues, &["type", "veth", "peer", "name", "xeth0"], &queues];
    world::ip(&ends.concat());
    for end in ["eth0", "xeth0"] {
        world::ip(&["link", "set", end, "up"]);
    }
    let queue = ["qdisc", "replace", "dev", "xeth0", "root", "pfifo", "limit", "10000"];
    world::command("tc", &queue);
    [world.interface("eth0")]
}

/// Frames that met a full queue instead of a verdict.
fn lost_in_queues() -> u64 {
    let table = std::fs::read_to_string("/proc/thread-self/net/dev").unwrap();
    let number = |name: &str, column: usize| {
        let row = table.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(':')).unwrap();
        row.split_whitespace().nth(column).unwrap().parse::<u64>().unwrap()
    };
    let (received, sent) = (3, 11);
    number("xeth0", sent) + number("eth0", received)
}

/// Packets of a rule, whatever became of them.
fn counted(datapath: &Datapath, rule: &str) -> u64 {
    let counters = datapath.counters().unwrap();
    let of_rule = counters.iter().filter(|(SlotKey { name, .. }, _)| name == rule);
    of_rule.map(|(_, count)| count.drop.packets + count.pass.packets).sum()
}

#[test]
fn every_packet_meets_one_version_or_the_other() {
    world::run(|world| {
        let eth = interface(world);
        let mut datapath = world.open();
        let plans = VERSIONS.map(plan);
        datapath.apply(&plans[0], &eth).unwrap();
        let times = std::env::var(REPLACEMENTS).map_or(FEW, |times| times.parse().unwrap());
        let (flood, mut took) = (Flood::default(), Vec::new());
        let leaked = under_flood(&flood, times, |round| {
            let begun = Instant::now();
            datapath.apply(&plans[(round + 1) % 2], &eth).unwrap();
            took.push(begun.elapsed());
        });
        took.sort();
        let (sent, lost) = (flood.sent(), lost_in_queues());
        println!(
            "{times} replacements of {} rules under {sent} frames, {}/s, {lost} lost in queues; apply: median {:?}, longest {:?}",
            FILTERS * usize::from(RULES),
            flood.per_second(),
            took[times / 2],
            took[times - 1]
        );
        assert_eq!(leaked, 0);
        assert!(flood.per_second() >= PER_SECOND, "{}", flood.per_second());
        let all = |rules: &[&str]| rules.iter().map(|rule| counted(&datapath, rule)).sum::<u64>();
        let counts = || [all(&["moved-a", "moved-b"]), all(&["kept"]), all(&["passed-a", "passed-b"])];
        world::eventually("every frame counted", || counts().iter().sum::<u64>() + lost == sent);
        if lost == 0 {
            assert_eq!(counts(), [0, 1, 2].map(|kind: usize| flood.sent[kind].load(Ordering::Relaxed)));
        }
    });
}

/// What the test above would show if one version went before the other came.
#[test]
fn a_replacement_in_two_steps_would_be_seen() {
    world::run(|world| {
        let eth = interface(world);
        let mut datapath = world.open();
        let plans = VERSIONS.map(plan);
        let mut neither = VERSIONS[0];
        neither.rules[0].3 = NEVER;
        let neither = plan(neither);
        datapath.apply(&plans[0], &eth).unwrap();
        let flood = Flood::default();
        let leaked = under_flood(&flood, 2, |round| {
            datapath.apply(&neither, &eth).unwrap();
            datapath.apply(&plans[(round + 1) % 2], &eth).unwrap();
        });
        assert!(leaked > 0);
    });
}
