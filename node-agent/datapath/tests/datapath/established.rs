//! Replies to the node's own connections, by real sockets on both sides of the interface.

pub mod peer;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use sluice_datapath::Datapath;
use sluice_policy::{Action, Filter, Hook, Match, PortRange, Rule, TcpFlags};

use crate::plans::{compile, filter, rule};
use crate::world::{self, eventually};
use peer::{ACK, ENDS, Link, MARKER, Peer, SYN, end, error, host, tcp, udp};

const PATIENCE: Duration = Duration::from_secs(5);

/// Drops everything but markers, what begins a connection to port 80, and what connections of the node's own take.
fn closed(hook: Hook) -> Filter {
    let port = |number| vec![PortRange { first: number, last: number }];
    let begins = Some(TcpFlags { set: SYN, unset: ACK });
    let web = Match { destination_ports: port(80), tcp_flags: begins, ..Match::default() };
    let marker = Match { protocols: vec![17], source_ports: port(MARKER), ..Match::default() };
    let rules: Vec<Rule> = vec![rule("marker", Action::Pass, marker), rule("web", Action::Pass, web)];
    Filter { hook, allow_established: true, default_action: Action::Drop, ..filter("edge", &["eth0"], rules) }
}

/// Packets that an entry has counted as passed and as dropped.
fn counted(datapath: &Datapath, name: &str) -> (u64, u64) {
    let counters = datapath.counters().unwrap();
    let of_name = counters.iter().filter(|(key, _)| key.name == name);
    of_name.fold((0, 0), |(pass, drop), (_, counts)| (pass + counts.pass.packets, drop + counts.drop.packets))
}

#[test]
fn a_connection_of_the_node_works_behind_a_filter_that_drops_everything() {
    // Without rules, the entries are constants of the program.
    let forms =
        [Hook::Xdp, Hook::TcIngress].map(|hook| [closed(hook), Filter { rules: Vec::new(), ..closed(hook) }]);
    for form in forms.into_iter().flatten() {
        world::run(move |world| {
            let (eth, peer) = host(world);
            let mut datapath = world.open();
            datapath.apply(&compile(&[form]), &eth).unwrap();
            for (_, remote) in ENDS {
                let Connection { mut client, mut served } = Connection::to(remote, &peer);
                served.write_all(b"welcome").unwrap();
                let mut heard = [0; 7];
                client.read_exact(&mut heard).unwrap();
                assert_eq!(&heard, b"welcome");
            }
            // Of each at least the answer to the first segment and what the peer wrote.
            let (passed, dropped) = counted(&datapath, "_established");
            assert!(passed >= 4 && dropped == 0, "{passed} passed, {dropped} dropped");
        });
    }
}

struct Connection {
    client: TcpStream,
    served: TcpStream,
}

impl Connection {
    fn to(remote: &'static str, peer: &Peer) -> Connection {
        let server = peer.there(move || TcpListener::bind(end(remote, 443)).unwrap());
        let client = TcpStream::connect_timeout(&end(remote, 443), PATIENCE).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        Connection { client, served: server.accept().unwrap().0 }
    }
}

#[test]
fn segments_of_a_connection_pass_until_it_ends_and_no_others() {
    world::run(|world| {
        let (eth, peer) = host(world);
        let mut datapath = world.open();
        datapath.apply(&compile(&[closed(Hook::Xdp)]), &eth).unwrap();
        let link = Link::of(&peer);
        for (local, remote) in ENDS {
            let Connection { mut client, served } = Connection::to(remote, &peer);
            let (here, there) = (client.local_addr().unwrap(), end(remote, 443));
            let listens = TcpListener::bind(end(local, 8080)).unwrap().local_addr().unwrap();
            assert!(link.passes(&tcp(there, here, ACK)));
            for (what, frame) in [
                ("a segment that begins a connection", tcp(there, here, SYN)),
                ("one from another port", tcp(end(remote, 444), here, ACK)),
                ("one to another port", tcp(there, end(local, here.port() ^ 1), ACK)),
                ("another protocol", udp(there, here)),
                ("what begins one to a listening socket", tcp(there, listens, SYN)),
                ("what goes on with one that is none", tcp(there, listens, ACK)),
            ] {
                assert!(!link.passes(&frame), "{what}");
            }
            // In this order nobody on this side has to wait for what may still be on the way.
            drop(served);
            assert_eq!(client.read(&mut [0; 1]).unwrap(), 0);
            drop(client);
            eventually("the connection's end", || !link.passes(&tcp(there, here, ACK)));
        }
    });
}

/// Whether it becomes one is for the rules to say: here they let its first segment in and no other.
#[test]
fn a_request_for_a_connection_is_none() {
    world::run(|world| {
        let (eth, peer) = host(world);
        let mut datapath = world.open();
        datapath.apply(&compile(&[closed(Hook::Xdp)]), &eth).unwrap();
        let link = Link::of(&peer);
        for ((local, remote), sockets) in ENDS.into_iter().zip(["tcp", "tcp6"]) {
            let server = TcpListener::bind(end(local, 80)).unwrap();
            let (here, there) = (server.local_addr().unwrap(), end(remote, 5000));
            assert!(link.passes(&tcp(there, here, SYN)));
            let sockets = format!("/proc/thread-self/net/{sockets}");
            eventually("the request", || std::fs::read_to_string(&sockets).unwrap().contains(" 03 "));
            assert!(!link.passes(&tcp(there, here, ACK)));
        }
    });
}

#[test]
fn datagrams_pass_to_sockets_that_are_connected_to_their_source() {
    world::run(|world| {
        let (eth, peer) = host(world);
        let mut datapath = world.open();
        datapath.apply(&compile(&[closed(Hook::Xdp)]), &eth).unwrap();
        let link = Link::of(&peer);
        for (local, remote) in ENDS {
            let socket = UdpSocket::bind(end(local, 0)).unwrap();
            let (here, there) = (socket.local_addr().unwrap(), end(remote, 53));
            assert!(!link.passes(&udp(there, here)), "to a socket that takes them from everybody");
            socket.connect(there).unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            assert!(link.passes(&udp(there, here)));
            assert_eq!(socket.recv(&mut [0; 64]).unwrap(), b"datagram".len());
            assert!(!link.passes(&udp(end(remote, 54), here)), "from another port");
            assert!(!link.passes(&tcp(there, here, ACK)), "of another protocol");
            drop(socket);
            closed_for_all(|| !link.passes(&udp(there, here)));
        }
    });
}

/// A child that another test starts holds a closed socket, too, until it runs a program of its own.
fn closed_for_all(opens_nothing: impl FnMut() -> bool) {
    eventually("the socket's end", opens_nothing);
}

/// Of routers on the way, which quote the beginning of what was sent.
#[test]
fn errors_about_what_connected_sockets_sent_pass() {
    const ROUTERS: [&str; 2] = ["203.0.113.1", "2001:db8:5::1"];
    world::run(|world| {
        let (eth, peer) = host(world);
        let mut datapath = world.open();
        datapath.apply(&compile(&[closed(Hook::Xdp)]), &eth).unwrap();
        let link = Link::of(&peer);
        for ((local, remote), router) in ENDS.into_iter().zip(ROUTERS) {
            let Connection { client, served: _served } = Connection::to(remote, &peer);
            let (here, there, router) = (client.local_addr().unwrap(), end(remote, 443), end(router, 0));
            let socket = UdpSocket::bind(end(local, 0)).unwrap();
            socket.connect(end(remote, 53)).unwrap();
            let asked = udp(socket.local_addr().unwrap(), end(remote, 53));
            for is_too_big in [true, false] {
                assert!(link.passes(&error(router, here, is_too_big, &tcp(here, there, ACK))));
                assert!(link.passes(&error(router, here, is_too_big, &asked)));
            }
            for (what, sent) in [
                ("to another port", tcp(here, end(remote, 444), ACK)),
                ("from another port", tcp(end(local, here.port() ^ 1), there, ACK)),
                ("by another protocol", udp(here, there)),
                ("by the peer", tcp(there, here, ACK)),
            ] {
                assert!(!link.passes(&error(router, here, true, &sent)), "{what}");
            }
            drop(socket);
            closed_for_all(|| !link.passes(&error(router, here, true, &asked)));
        }
    });
}
