//! Samples of dropped packets.

use std::time::{Duration, SystemTime};

use sluice_abi::SAMPLE_BYTES;
use sluice_datapath::{Datapath, Dropped, DroppedPacket, SAMPLES_PER_SECOND};

use crate::plans::drop_ports;
use crate::traffic::{Wire, passes, udp};
use crate::world;

const A_MINUTE: Duration = Duration::from_secs(60);

/// Sends frames, and waits until the last of them, which passes, has come out.
fn send(frames: impl IntoIterator<Item = Vec<u8>>) {
    let wire = Wire::on("xeth0");
    frames.into_iter().for_each(|frame| wire.send(&frame));
    assert!(passes("eth0", &udp(1, b"the last one")));
}

fn names(dropped: &Dropped) -> Vec<&str> {
    dropped.packets.iter().map(|packet| packet.owner.name.as_str()).collect()
}

/// Dropped packets of all rules.
fn counted(datapath: &Datapath) -> u64 {
    datapath.counters().unwrap().values().map(|counts| counts.drop.packets).sum()
}

fn dropped(datapath: &mut Datapath) -> Dropped {
    datapath.dropped().unwrap()
}

#[test]
fn a_sample_says_what_was_dropped_where_and_by_whom() {
    world::run(|world| {
        let eth = [world.veth("eth0")];
        let mut datapath = world.open();
        datapath.apply(&drop_ports(&["eth0"], &[7, 9]), &eth).unwrap();
        send([udp(9, b"nobody listens")]);
        datapath.sample_drops(A_MINUTE).unwrap();
        assert_eq!(dropped(&mut datapath), Dropped::default());

        let before = SystemTime::now();
        let (short, long) = (udp(9, b"x"), udp(7, &[1; 1000]));
        send([short.clone(), long.clone()]);
        let found = dropped(&mut datapath);
        assert_eq!(names(&found), ["port-9", "port-7"], "nothing of what passed");
        assert_eq!((found.lost, found.suppressed), (0, 0));
        let [first, second] = &found.packets[..] else { panic!("{found:?}") };
        let DroppedPacket { time, owner, by_balancer, interface, length, bytes } = first;
        assert_eq!((owner.policy.as_str(), interface.as_str(), *by_balancer), ("uid-of-edge", "eth0", false));
        assert_eq!((*length as usize, bytes), (short.len(), &short));
        let (early, late) = (before - Duration::from_millis(5), SystemTime::now() + Duration::from_millis(5));
        assert!(early < *time && *time < late, "{time:?}");
        assert_eq!((second.length as usize, &second.bytes[..]), (long.len(), &long[..SAMPLE_BYTES]));

        datapath.sample_drops(Duration::ZERO).unwrap();
        send([udp(9, b"nobody listens any more")]);
        assert_eq!(dropped(&mut datapath), Dropped::default());
    });
}

#[test]
fn a_flood_that_one_rule_drops_does_not_hide_another_ones_packet() {
    world::run(|world| {
        let eth = [world.veth("eth0")];
        let mut datapath = world.open();
        datapath.apply(&drop_ports(&["eth0"], &[7, 9]), &eth).unwrap();
        datapath.sample_drops(A_MINUTE).unwrap();
        let begun = std::time::Instant::now();
        send((0..2000).map(|_| udp(7, b"flood")).chain([udp(9, b"x")]));
        let earned = SAMPLES_PER_SECOND * (begun.elapsed().as_secs() + 1);
        let found = dropped(&mut datapath);
        let of_flood = names(&found).iter().filter(|name| **name == "port-7").count() as u64;
        assert!((SAMPLES_PER_SECOND..=SAMPLES_PER_SECOND + earned).contains(&of_flood), "{of_flood}");
        assert_eq!(names(&found).iter().filter(|name| **name == "port-9").count(), 1);
        assert_eq!((of_flood + 1 + found.suppressed, found.lost), (counted(&datapath), 0));
    });
}

#[test]
fn what_finds_no_room_is_counted() {
    world::run(|world| {
        let eth = [world.veth("eth0")];
        let mut datapath = world.open();
        // More samples at once than the ring holds, each of a rule of its own.
        let ports: Vec<u16> = (1000..1150).collect();
        datapath.apply(&drop_ports(&["eth0"], &ports), &eth).unwrap();
        datapath.sample_drops(A_MINUTE).unwrap();
        send((0..15).flat_map(|_| ports.iter().map(|port| udp(*port, b"x"))));
        let found = dropped(&mut datapath);
        assert!(found.lost > 0 && found.packets.len() > 1000, "{} lost", found.lost);
        let all = found.packets.len() as u64 + found.lost + found.suppressed;
        assert_eq!(all, counted(&datapath));

        // There is room again.
        send([udp(1000, b"x")]);
        assert_eq!(names(&dropped(&mut datapath)), ["port-1000"]);
    });
}

#[test]
fn another_plan_and_another_process_go_on_sampling() {
    world::run(|world| {
        let eth = [world.veth("eth0")];
        let mut datapath = world.open();
        datapath.apply(&drop_ports(&["eth0"], &[7, 9]), &eth).unwrap();
        datapath.sample_drops(A_MINUTE).unwrap();
        send([udp(7, b"x")]);
        // 7's slot is freed, and 11's may be the same one.
        datapath.apply(&drop_ports(&["eth0"], &[9, 11]), &eth).unwrap();
        send([udp(11, b"x")]);
        assert_eq!(names(&dropped(&mut datapath)), ["port-7", "port-11"]);

        let state = datapath.state().clone();
        drop(datapath);
        let mut datapath = world.open_with(state);
        datapath.adopt(&drop_ports(&["eth0"], &[9, 11]), &eth).unwrap();
        send([udp(9, b"nobody listens: who did is gone")]);
        datapath.sample_drops(A_MINUTE).unwrap();
        send([udp(9, b"x")]);
        assert_eq!(names(&dropped(&mut datapath)), ["port-9"]);
    });
}

#[test]
fn nobody_who_left_without_a_word_is_sampled_for() {
    world::run(|world| {
        let eth = [world.veth("eth0")];
        let mut datapath = world.open();
        datapath.apply(&drop_ports(&["eth0"], &[9]), &eth).unwrap();
        datapath.sample_drops(Duration::from_nanos(1)).unwrap();
        send([udp(9, b"x")]);
        assert_eq!(dropped(&mut datapath), Dropped::default());
    });
}
