//! Large frames, which a driver hands the program in several buffers.

use sluice_abi::Stat;
use sluice_datapath::{LinkMode, LocalInterface};

use crate::plans::drop_ports;
use crate::traffic::{passes, udp};
use crate::world;

/// What an Ethernet header and IP over it leave of 9,000 bytes.
const PAYLOAD: usize = 9000 - 20 - 8;

#[test]
fn frames_of_nine_thousand_bytes_are_filtered_whole() {
    world::run(|world| {
        world.veth("eth0");
        for end in ["eth0", "xeth0"] {
            world::ip(&["link", "set", end, "mtu", "9000"]);
        }
        let eth = [LocalInterface { mtu: 9000, ..world.interface("eth0") }];
        let mut datapath = world.open();
        let applied = datapath.apply(&drop_ports(&["eth0"], &[7]), &eth).unwrap();
        let attachment = applied.interfaces[0].attachment.as_ref().expect("attached");
        assert_eq!(attachment.mode, LinkMode::Native);
        let payload: Vec<u8> = (0..PAYLOAD).map(|at| at as u8).collect();
        assert!(passes("eth0", &udp(9, &payload)), "byte by byte as it was sent");
        assert!(!passes("eth0", &udp(7, &payload)));
        let dropped = datapath
            .counters()
            .unwrap()
            .into_values()
            .map(|counts| counts.drop)
            .max_by_key(|drop| drop.bytes);
        let dropped = dropped.expect("a counter");
        assert_eq!((dropped.packets, dropped.bytes), (1, 14 + 9000));
        assert_eq!(datapath.stats().unwrap().get(Stat::Malformed), 0);
    });
}
