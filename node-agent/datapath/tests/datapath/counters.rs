//! Who owns a counter, and for how long.

use sluice_abi::Stat;
use sluice_datapath::{Counts, Datapath, SlotKey};

use crate::plans::{compile, drop_port, drop_ports, filter};
use crate::traffic::{passes, udp};
use crate::world;

fn counts(datapath: &Datapath, policy: &str, rule: &str) -> Option<Counts> {
    let key = SlotKey { policy: format!("uid-of-{policy}"), name: rule.into() };
    datapath.counters().unwrap().get(&key).copied()
}

#[test]
fn a_rule_keeps_its_count_and_a_new_one_begins_at_zero() {
    world::run(|world| {
        let eth = [world.veth("eth0")];
        let mut datapath = world.open();
        datapath.apply(&drop_ports(&["eth0"], &[7, 9]), &eth).unwrap();
        let (seven, nine) = (udp(7, b"payload"), udp(9, b"x"));
        assert!(!passes("eth0", &seven) && !passes("eth0", &nine));
        let before = counts(&datapath, "edge", "port-9").unwrap();
        assert_eq!((before.drop.packets, before.drop.bytes), (1, nine.len() as u64));

        // The order changes, a rule goes, another comes; 9 stays.
        datapath.apply(&drop_ports(&["eth0"], &[9, 11]), &eth).unwrap();
        assert_eq!(counts(&datapath, "edge", "port-9"), Some(before));
        assert_eq!(counts(&datapath, "edge", "port-7"), None);
        assert_eq!(counts(&datapath, "edge", "port-11"), Some(Counts::default()), "7's former slot is clean");

        // The same rule in another object is another counter.
        datapath.apply(&compile(&[filter("copy", &["eth0"], vec![drop_port(9)])]), &eth).unwrap();
        assert_eq!(counts(&datapath, "copy", "port-9"), Some(Counts::default()));
    });
}

#[test]
fn self_tests_touch_no_live_counter() {
    world::run(|world| {
        let eth = [world.veth("eth0")];
        let mut datapath = world.open();
        datapath.apply(&drop_ports(&["eth0"], &[7, 9, 11]), &eth).unwrap();
        assert!(datapath.counters().unwrap().values().all(|counts| *counts == Counts::default()));
        assert_eq!(datapath.stats().unwrap().get(Stat::Packets), 0);
        assert!(passes("eth0", &udp(1, b"x")));
        assert_eq!(datapath.stats().unwrap().get(Stat::Packets), 2, "the packet and the marker");
    });
}
