use std::collections::BTreeSet;
use std::net::SocketAddr;

use sluice_interpret::{Connection, Counted, Stage, Verdict, World};
use sluice_policy::{Action, Filter, Malformed, Match, Mode};

use crate::build::*;

const SYN: u8 = 0x02;
const SYN_ACK: u8 = 0x12;
const ACK: u8 = 0x10;

fn closed() -> Filter {
    let rules =
        vec![rule("no-web", Action::Drop, Match { source_ports: ports(443, 443), ..Match::default() })];
    Filter {
        allow_established: true,
        default_action: Action::Drop,
        malformed: Malformed::Drop,
        ..filter("f", rules)
    }
}

/// The node has connections of TCP to port 443 and of UDP to port 53, both from its port 40000.
fn node(filters: Vec<Filter>) -> World {
    let connection = |protocol, local: &str, remote: &str| {
        let end = |text: &str| text.parse::<SocketAddr>().unwrap();
        Connection { protocol, local: end(local), remote: end(remote) }
    };
    let connections = BTreeSet::from([
        connection(6, "198.51.100.1:40000", "192.0.2.1:443"),
        connection(6, "[2001:db8::2]:40000", "[2001:db8::1]:443"),
        connection(17, "198.51.100.1:40000", "192.0.2.1:53"),
    ]);
    World { connections, ..world(filters) }
}

fn passes(frame: &[u8]) -> bool {
    let world = node(vec![closed()]);
    let outcome = on_eth0(&world, frame);
    let established = outcome.stage == Stage::Established;
    assert_eq!(established, outcome.verdict == Verdict::Pass, "nothing else passes");
    assert_eq!(established, outcome.matched[0].entry.name == "_established");
    established
}

#[test]
fn replies_to_own_connections_pass_before_every_rule() {
    assert!(passes(&V4::default().frame(6, &tcp(443, 40_000, ACK))));
    assert!(passes(&V4::default().frame(6, &tcp(443, 40_000, SYN_ACK))));
    assert!(passes(&V6::default().frame(6, &tcp(443, 40_000, ACK))));
    assert!(passes(&V4::default().frame(17, &udp(53, 40_000))));
}

#[test]
fn what_is_of_no_connection_does_not() {
    for (what, frame) in [
        ("another remote port", V4::default().frame(6, &tcp(444, 40_000, ACK))),
        ("another local port", V4::default().frame(6, &tcp(443, 40_001, ACK))),
        ("another protocol", V4::default().frame(17, &udp(443, 40_000))),
        ("another address", V4 { source: "192.0.2.2", ..V4::default() }.frame(6, &tcp(443, 40_000, ACK))),
        ("what begins a connection", V4::default().frame(6, &tcp(443, 40_000, SYN))),
        ("a later fragment", V4 { fragment: 9, ..V4::default() }.frame(17, &udp(53, 40_000))),
        ("a broken packet", V4::default().frame(17, &[0, 53, 0x9c, 0x40, 0, 3, 0, 0])),
        ("an ICMP error", V4::default().frame(1, &[3, 4, 0, 0, 0, 0, 5, 0])),
    ] {
        assert!(!passes(&frame), "{what}");
    }
}

#[test]
fn a_filter_that_does_not_say_so_lets_none_be() {
    let frame = V4::default().frame(6, &tcp(443, 40_000, ACK));
    let strict = Filter { allow_established: false, ..closed() };
    assert_eq!(on_eth0(&node(vec![strict.clone()]), &frame).rule, Some("no-web"));
    let above = Filter { priority: 1, object: object("above"), ..strict };
    assert_eq!(on_eth0(&node(vec![above, closed()]), &frame).policy.unwrap().name, "above");
}

#[test]
fn in_audit_it_is_counted_and_nothing_else() {
    let world = node(vec![Filter { mode: Mode::Audit, ..closed() }]);
    let outcome = on_eth0(&world, &V4::default().frame(6, &tcp(443, 40_000, ACK)));
    assert_eq!((outcome.verdict, outcome.stage, outcome.audited), (Verdict::Pass, Stage::Default, None));
    let counted: Vec<_> = outcome.matched.iter().map(|one| (one.entry.name, one.counted)).collect();
    assert_eq!(counted, [("_established", Counted::Audited)]);
}
