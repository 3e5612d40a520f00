//! Replacing a plan under traffic.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use sluice_datapath::{Datapath, SlotKey};
use sluice_plan::NodePlan;

use crate::plans::{compile, drop_port, drop_ports, drop_source, filter};
use crate::traffic::{Wire, udp};
use crate::{sets, world};

const SWAPS: usize = 40;

/// Dropped packets of rule `port-7`.
fn dropped(datapath: &Datapath) -> u64 {
    let key = SlotKey { policy: "uid-of-edge".into(), name: "port-7".into() };
    datapath.counters().unwrap()[&key].drop.packets
}

/// Packets that came through although each plan drops them, and packets sent, while the plan is replaced again and
/// again.
fn flood(datapath: &mut Datapath, mut change: impl FnMut(&mut Datapath, usize)) -> (usize, u64) {
    let receiver = Wire::on("eth0");
    let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let sender = std::thread::spawn({
        let (stop, sent) = (stop.clone(), sent.clone());
        move || {
            let wire = Wire::on("xeth0");
            while !stop.load(Ordering::Relaxed) {
                let number = sent.fetch_add(1, Ordering::Relaxed);
                wire.send(&udp(7, &number.to_be_bytes()));
            }
        }
    });
    for round in 0..SWAPS {
        let before = sent.load(Ordering::Relaxed);
        change(datapath, round);
        world::eventually("traffic between two swaps", || sent.load(Ordering::Relaxed) > before + 100);
    }
    stop.store(true, Ordering::Relaxed);
    sender.join().unwrap();
    (receiver.arrived().len(), sent.load(Ordering::Relaxed))
}

/// Every other plan has another feature set.
fn plans() -> [NodePlan; 2] {
    let more = vec![drop_source("203.0.113.0/24"), drop_port(7), drop_port(9)];
    [drop_ports(&["eth0"], &[7]), compile(&[filter("edge", &["eth0"], more)])]
}

#[test]
fn no_packet_slips_through_and_no_count_is_lost() {
    world::run(|world| {
        let eth = [world.veth("eth0")];
        let mut datapath = world.open();
        let plans = plans();
        datapath.apply(&plans[0], &eth).unwrap();
        let mut times = Vec::new();
        let (through, sent) = flood(&mut datapath, |datapath, round| {
            let applied = datapath.apply(&plans[(round + 1) % 2], &eth).unwrap();
            assert_eq!(applied.loaded, 1);
            times.push(applied.took);
        });
        times.sort();
        println!(
            "{sent} packets over {SWAPS} swaps; apply median {:?}, longest {:?}",
            times[SWAPS / 2],
            times[SWAPS - 1]
        );
        assert_eq!(through, 0);
        world::eventually("every packet counted", || dropped(&datapath) == sent);
        assert_eq!(std::fs::read_dir(world.root().join("programs")).unwrap().count(), 1);
    });
}

/// What the test above would show if the swap were no swap.
#[test]
fn detaching_in_between_would_be_seen() {
    world::run(|world| {
        let eth = [world.veth("eth0")];
        let mut datapath = world.open();
        let plan = drop_ports(&["eth0"], &[7]);
        datapath.apply(&plan, &eth).unwrap();
        let (through, _) = flood(&mut datapath, |datapath, _| {
            datapath.apply(&NodePlan::default(), &eth).unwrap();
            datapath.apply(&plan, &eth).unwrap();
        });
        assert!(through > 0);
    });
}

/// What is sent comes from an address in all of them; so many others come and go that a set is many blocks.
#[test]
fn no_packet_slips_through_while_a_set_is_replaced() {
    world::run(|world| {
        let eth = [world.veth("eth0")];
        let mut datapath = world.open();
        let plan = sets::plan();
        let crowd = |round: usize| {
            let others = (0..5000).map(|n| format!("10.{}.{}.{}/32", round % 256, n / 100, n % 100 * 2));
            let prefixes: Vec<String> = others.chain(["192.0.2.1/32".to_owned()]).collect();
            sets::bad(&prefixes.iter().map(String::as_str).collect::<Vec<_>>())
        };
        datapath.offer_sets(crowd(0));
        datapath.apply(&plan, &eth).unwrap();
        let (through, sent) = flood(&mut datapath, |datapath, round| {
            datapath.offer_sets(crowd(round + 1));
            assert_eq!(datapath.apply(&plan, &eth).unwrap().loaded, 0);
        });
        println!("{sent} packets over {SWAPS} replacements of a set");
        assert_eq!(through, 0);
    });
}

#[test]
fn applying_what_is_in_force_loads_nothing() {
    world::run(|world| {
        let eth = [world.veth("eth0")];
        let mut datapath = world.open();
        let plan = drop_ports(&["eth0"], &[7]);
        let first = datapath.apply(&plan, &eth).unwrap();
        let second = datapath.apply(&plan, &eth).unwrap();
        assert_eq!((first.loaded, second.loaded), (1, 0));
        assert_eq!(first.interfaces, second.interfaces);
    });
}
