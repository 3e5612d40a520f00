//! An element altered between load and read-back: the plan is refused, and the former one goes on.

use std::path::Path;

use aya::maps::{Array, Map, MapData};
use sluice_abi::{Entry, Row};
use sluice_datapath::{Error, Mismatch};

use crate::plans::drop_ports;
use crate::traffic::{passes, udp};
use crate::world;

/// Changes one bit of the first value of a pinned array.
fn flip<T: aya::Pod>(pin: &Path, change: impl FnOnce(&mut T)) {
    let mut map = Array::<_, T>::try_from(Map::Array(MapData::from_pin(pin).unwrap())).unwrap();
    let mut element = map.get(&0, 0).unwrap();
    change(&mut element);
    map.set(0, element, 0).unwrap();
}

/// The ABI's types as aya wants them.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Plain<T>(T);
// SAFETY: the ABI's types are plain data without padding.
unsafe impl<T: bytemuck::Pod> aya::Pod for Plain<T> {}

/// A table, and what is done to its first element.
type Alteration = (&'static str, fn(&Path));

const ALTERATIONS: [Alteration; 5] = [
    // Of both rules.
    ("ENTRIES", |pin| flip::<Plain<[Entry; 2]>>(pin, |entries| entries.0[0].action ^= 1)),
    ("ROWS", |pin| flip::<Plain<Row>>(pin, |row| row.0[0] ^= 1)),
    ("DIRECT", |pin| flip::<u32>(pin, |row| *row ^= 1)),
    ("DPORT", |pin| flip::<u32>(pin, |row| *row ^= 1)),
    ("SOURCE_TRIE", |pin| flip::<u32>(pin, |row| *row ^= 1)),
];

#[test]
fn an_altered_element_is_found_in_every_table() {
    world::run(|world| {
        let eth = [world.veth("eth0")];
        let mut datapath = world.open();
        let plan = drop_ports(&["eth0"], &[7]);
        datapath.apply(&plan, &eth).unwrap();
        for (table, alter) in ALTERATIONS {
            let next = drop_ports(&["eth0"], &[7, 9]);
            let staged = datapath.stage(&next, &eth).unwrap();
            alter(&staged.pins()[0].join(table));
            let error = datapath.commit(staged).expect_err("an altered table");
            assert_eq!(error.reason(), "ReadBackMismatch");
            let Error::ReadBackMismatch { interface, mismatch } = error else { panic!("{error}") };
            assert_eq!(interface, "eth0");
            assert!(
                matches!(mismatch, Mismatch::Element { table: found, index: 0, .. } if found == table),
                "{table}: {mismatch}"
            );
            assert_eq!(datapath.plan_hash(), Some(plan.hash()));
            assert!(
                !passes("eth0", &udp(7, b"x")) && passes("eth0", &udp(9, b"x")),
                "the former plan goes on"
            );
        }
    });
}

#[test]
fn what_was_read_back_cannot_be_altered() {
    world::run(|world| {
        let eth = [world.veth("eth0")];
        let mut datapath = world.open();
        datapath.apply(&drop_ports(&["eth0"], &[7]), &eth).unwrap();
        let programs = std::fs::read_dir(world.root().join("programs")).unwrap();
        let dir = programs.map(|entry| entry.unwrap().path()).next().expect("one program");
        for table in ["ENTRIES", "ROWS", "DIRECT", "DPORT", "SOURCE_TRIE", "RING", "rodata"] {
            let map = MapData::from_pin(dir.join(table)).unwrap();
            let mut map = Array::<_, u32>::try_from(Map::Array(map));
            let refused = match &mut map {
                Ok(map) => map.set(0, 1, 0).is_err(),
                // Of another element size; shown for the others.
                Err(_) => continue,
            };
            assert!(refused, "{table} is not frozen");
        }
    });
}
