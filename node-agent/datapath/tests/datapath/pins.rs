//! Pins that somebody removes or replaces: all are as they were after the next look.

use std::path::{Path, PathBuf};

use sluice_datapath::Drift;

use crate::plans::drop_ports;
use crate::traffic::{passes, udp};
use crate::world;

fn pins_below(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(pins_below(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

#[test]
fn all_pins_come_back_one_by_one_and_together() {
    world::run(|world| {
        let eth = [world.veth("eth0")];
        let mut datapath = world.open();
        datapath.apply(&drop_ports(&["eth0"], &[7]), &eth).unwrap();
        let pins = pins_below(&world.root());
        assert!(pins.len() > 30, "{pins:?}");
        for pin in &pins {
            std::fs::remove_file(pin).unwrap();
            let found = datapath.drift(&eth);
            assert!(found.iter().all(|drift| drift.what() == Some("pin_removed")), "{found:?}");
            assert_eq!(found.len(), 1, "{}", pin.display());
            let applied = datapath.interfaces_changed(&eth).unwrap().expect("a plan is in force");
            assert_eq!((applied.loaded, &applied.policies[0].problems[..]), (0, &[][..]));
            assert!(pin.exists(), "{}", pin.display());
        }
        std::fs::remove_dir_all(world.root()).unwrap();
        assert!(!passes("eth0", &udp(7, b"x")), "the link is held by the process");
        datapath.interfaces_changed(&eth).unwrap();
        assert_eq!((pins_below(&world.root()), datapath.drift(&eth)), (pins, vec![]));

        let state = datapath.state().clone();
        drop(datapath);
        let mut datapath = world.open_with(state);
        let applied = datapath.adopt(&drop_ports(&["eth0"], &[7]), &eth).unwrap();
        assert_eq!(applied.loaded, 0, "what was pinned again is adopted");
    });
}

#[test]
fn a_pin_of_something_else_is_replaced() {
    world::run(|world| {
        let interfaces = ["eth0", "eth1"].map(|name| world.veth(name));
        let mut datapath = world.open();
        datapath.apply(&drop_ports(&["eth0", "eth1"], &[7]), &interfaces).unwrap();
        let pins = pins_below(&world.root().join("links"));
        let [first, second] = &pins[..] else { panic!("{pins:?}") };
        std::fs::remove_file(first).unwrap();
        std::fs::hard_link(second, first).unwrap();
        assert_eq!(datapath.drift(&interfaces), [Drift::LinkUnpinned { interface: "eth0".into() }]);
        datapath.interfaces_changed(&interfaces).unwrap();
        assert_eq!(datapath.drift(&interfaces), []);
    });
}
