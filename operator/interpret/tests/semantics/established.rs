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
        ("an ICMP error about nothing", V4::default().frame(1, &[3, 4, 0, 0, 0, 0, 5, 0])),
    ] {
        assert!(!passes(&frame), "{what}");
    }
}

/// Without the Ethernet header; from the node, or from whom it may be.
fn sent_v4(source: &'static str, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let ip = V4 { source, destination: "192.0.2.1", ..V4::default() };
    ip.frame(protocol, payload).split_off(14)
}

fn icmp(icmp_type: u8, code: u8, quoted: &[u8]) -> Vec<u8> {
    [&[icmp_type, code, 0, 0, 0, 0, 5, 0], quoted].concat()
}

#[test]
fn errors_about_packets_of_own_connections_pass() {
    let router = || V4 { source: "203.0.113.1", ..V4::default() };
    let node = "198.51.100.1";
    let sent = sent_v4(node, 6, &tcp(40_000, 443, ACK));
    let begun = sent_v4(node, 6, &tcp(40_000, 443, SYN));
    let asked = sent_v4(node, 17, &udp(40_000, 53));
    for (icmp_type, code, quoted) in [(3, 4, &sent), (3, 1, &begun), (11, 0, &asked), (12, 0, &sent)] {
        assert!(passes(&router().frame(1, &icmp(icmp_type, code, quoted))), "type {icmp_type}");
    }
    assert!(passes(&router().frame(1, &icmp(3, 4, &sent[..24]))), "the ports are enough");
    let v6 = V6 { source: "2001:db8::2", destination: "2001:db8::1", ..V6::default() };
    let sent_v6 = v6.frame(6, &tcp(40_000, 443, ACK)).split_off(14);
    let router_v6 = V6 { source: "2001:db8:5::1", ..V6::default() };
    assert!(passes(&router_v6.frame(58, &icmp(2, 0, &sent_v6))));

    for (what, frame) in [
        ("no error", router().frame(1, &icmp(8, 0, &sent))),
        ("a redirect", router().frame(1, &icmp(5, 1, &sent))),
        ("an error of the other family", router().frame(1, &icmp(1, 0, &sent))),
        ("another connection", router().frame(1, &icmp(3, 4, &sent_v4(node, 6, &tcp(40_001, 443, ACK))))),
        ("another protocol", router().frame(1, &icmp(3, 4, &sent_v4(node, 132, &tcp(40_000, 443, ACK))))),
        (
            "what another sent",
            router().frame(1, &icmp(3, 4, &sent_v4("198.51.100.2", 6, &tcp(40_000, 443, ACK)))),
        ),
        ("an error for another", V4 { destination: "198.51.100.2", ..router() }.frame(1, &icmp(3, 4, &sent))),
        ("half of the ports", router().frame(1, &icmp(3, 4, &sent[..23]))),
        ("a later fragment's", {
            let mut later = sent.clone();
            later[7] = 1;
            router().frame(1, &icmp(3, 4, &later))
        }),
        ("of no version", router().frame(1, &icmp(3, 4, &[&[0x65], &sent[1..]].concat()))),
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
