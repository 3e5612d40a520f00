//! Rules on bytes at fixed places.

use sluice_policy::{Action, Filter, FragmentKind, LaterFragments, Layer, Match};

use crate::oracle::build::*;

pub fn sets() -> Vec<(&'static str, Vec<Filter>)> {
    vec![
        ("bytes of each layer", layers()),
        ("bytes and fragments", fragments_too()),
        ("many patterns", many()),
    ]
}

/// A filter for each place, so that all of them are counted of one packet.
fn layers() -> Vec<Filter> {
    use Layer::{L2, L3, L4, Payload};
    let places = [
        bytes(L2, 12, &[0x08, 0x00]),
        bytes(L2, 0, &[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1]),
        masked(L2, 13, &[1], &[1]),
        bytes(L2, 59, &[0]),
        bytes(L3, 0, &[0x45]),
        masked(L3, 0, &[0x60], &[0xf0]),
        bytes(L3, 2, &[0, 44]),
        masked(L3, 6, &[0, 0], &[0x3f, 0xff]),
        bytes(L3, 20, &[0, 0]),
        bytes(L4, 0, &[0x03, 0xe8]),
        bytes(L4, 2, &[0, 53]),
        masked(L4, 12, &[0x50], &[0xf0]),
        bytes(L4, 13, &[2]),
        bytes(L4, 0, &[8, 0, 0, 0, 0, 1, 0, 1]),
        bytes(L4, 19, &[1]),
        bytes(Payload, 0, b"data"),
        bytes(Payload, 0, b"datadata"),
        bytes(Payload, 7, b"a"),
        bytes(Payload, 8, &[0]),
        masked(Payload, 4, b"D", &[0xdf]),
        bytes(Payload, 0, &[1, 1, 1, 1]),
        bytes(Payload, 0, &[0; 16]),
        bytes(Payload, 1500, &[0x5a]),
        bytes(L2, 1500, &[0x5a]),
    ];
    let next = |(index, place): (usize, &_)| {
        let rules = vec![rule("there", Action::Next, payload(std::slice::from_ref(place)))];
        filter(&format!("p{index:02}"), Action::Next, rules)
    };
    let decide = vec![
        rule("both", Action::Drop, payload(&[places[4].clone(), places[15].clone()])),
        rule("udp", Action::Pass, Match { protocols: vec![17], ..payload(&places[9..10]) }),
        rule("syn", Action::Drop, payload(&places[11..13])),
        rule("v4", Action::Drop, payload(&places[..1])),
    ];
    places.iter().enumerate().map(next).chain([filter("z-decide", Action::Pass, decide)]).collect()
}

fn fragments_too() -> Vec<Filter> {
    use LaterFragments::{Drop, MatchL3, NoMatch};
    use Layer::{L2, L3, L4, Payload};
    let protocol = |number: u8| bytes(L3, 9, &[number]);
    let rules = vec![
        later(NoMatch, rule("never", Action::Drop, payload(&[bytes(L4, 0, &[0, 9])]))),
        later(Drop, rule("tcp", Action::Pass, payload(&[protocol(6), bytes(L4, 2, &[1, 0xbb])]))),
        later(MatchL3, rule("udp", Action::Next, payload(&[protocol(17), bytes(Payload, 0, b"data")]))),
        later(
            MatchL3,
            rule(
                "other-host",
                Action::Drop,
                payload(&[bytes(L2, 5, &[9]), bytes(L4, 0, &[0]), bytes(Payload, 0, &[0])]),
            ),
        ),
        rule(
            "first-byte",
            Action::Drop,
            Match { fragments: vec![FragmentKind::Later], ..payload(&[bytes(L3, 20, &[0])]) },
        ),
        later(
            MatchL3,
            rule(
                "ports",
                Action::Drop,
                Match {
                    destination_ports: destination_ports(&[(53, 53)]).destination_ports,
                    ..payload(&[bytes(L4, 2, &[0, 53])])
                },
            ),
        ),
        rule("rest", Action::Pass, payload(&[masked(L3, 0, &[0x40], &[0xf0])])),
    ];
    vec![filter("fragments", Action::Drop, rules), filter("z", Action::Pass, vec![])]
}

/// As many as a node holds, so that each group of them decides something.
fn many() -> Vec<Filter> {
    let one = |index: u8| {
        let place = masked(Layer::L4, u16::from(index) / 8, &[1 << (index % 8)], &[1 << (index % 8)]);
        let action = [Action::Next, Action::Drop, Action::Pass][usize::from(index) % 3];
        filter(&format!("b{index:02}"), Action::Next, vec![rule("bit", action, payload(&[place]))])
    };
    (0..32).rev().map(one).collect()
}
