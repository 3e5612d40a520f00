//! The tunnel between balancer and backend.

use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

use sluice_e2e::packets::{Ipv4, udp};

use crate::shop::{BALANCER, CLIENT, Shop, VIP4, WEIGHTS};

const BACKEND: Ipv4Addr = Ipv4Addr::new(10, 80, 2, 2);
/// Few enough for a socket's buffer, where each takes a page.
const COUNT: u64 = 40;

/// A datagram to the VIP, in a tunnel from `outer` to a backend.
fn tunnelled(outer: Ipv4Addr, number: u64) -> Vec<u8> {
    let inner = Ipv4 { source: CLIENT, destination: VIP4, ..Ipv4::default() }
        .packet(17, &udp(6000 + number as u16, 53));
    Ipv4 { source: outer, destination: BACKEND, ..Ipv4::default() }.frame(4, &inner)
}

pub fn a_backend_opens_tunnels_of_its_balancers_only(shop: &Shop) {
    // A socket on the VIP tells what was opened and delivered.
    let server = shop.fleet.edges[1].netns.spawn(|| UdpSocket::bind((VIP4, 53))).join().unwrap().unwrap();
    server.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let refused = shop.stat("edge-2", "decap_refused");

    shop.send(2, COUNT, |number| tunnelled(Ipv4Addr::new(10, 80, 2, 1), number));
    shop.expect("refused tunnels", refused + COUNT, |shop| shop.stat("edge-2", "decap_refused"));
    assert!(server.recv(&mut [0; 64]).is_err(), "a tunnel from elsewhere was opened");

    // The report that has the refused ones has all that was opened before them.
    let opened = shop.stat("edge-2", "decapsulated");
    shop.send(2, COUNT, |number| tunnelled(BALANCER, number));
    shop.expect("opened tunnels", opened + COUNT, |shop| shop.stat("edge-2", "decapsulated"));
    let delivered = std::iter::from_fn(|| server.recv(&mut [0; 64]).ok()).count();
    assert_eq!(delivered as u64, COUNT, "each inner packet is delivered");
}

/// A packet that fills the MTU has no room for a second header.
pub fn what_is_too_large_for_the_tunnel_is_dropped_and_counted(shop: &Shop) {
    let frame = |bytes: usize| {
        let mut datagram = udp(4000, 53);
        datagram.resize(bytes - 20, 0);
        let length = (datagram.len() as u16).to_be_bytes();
        datagram[4..6].copy_from_slice(&length);
        Ipv4 { source: CLIENT, destination: VIP4, ..Ipv4::default() }.frame(17, &datagram)
    };
    shop.send(1, 50, move |_| frame(1481));
    shop.expect("oversize packets", 50, |shop| shop.stat("edge-1", "oversize"));
    let transmitted = shop.stat("edge-1", "transmitted");
    shop.send(1, 50, move |_| frame(1480));
    shop.expect("packets that just fit", transmitted + 50, |shop| shop.stat("edge-1", "transmitted"));
    assert_eq!(shop.stat("edge-1", "oversize"), 50);
    let name = |number| format!("{VIP4}:53/UDP>10.80.{number}.2");
    let dropped = WEIGHTS.iter().map(|(number, _)| shop.counted("edge-1", &name(*number), "drop"));
    assert_eq!(dropped.sum::<u64>(), 50, "the backend that they were for counts them");
    assert_eq!(shop.counted("edge-1", &format!("{VIP4}:53/UDP"), "oversize"), 50, "and so does the VIP");
}
