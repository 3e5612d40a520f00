//! Random frames: mostly well built, from values that policies ask for and their neighbours; some broken afterwards.

use std::net::{Ipv4Addr, Ipv6Addr};

use rand::Rng;
use rand::seq::IndexedRandom;

use super::build::{Extension, Ipv4, Ipv6, ethernet, ethernet_to, icmp, ported, tag, tcp_with, udp_with};
use super::place::{CLIENT4, CLIENT6, NODE4, NODE6, PEER_PORT, PEER4, PEER6, VIP4, VIP6};

/// The bridges' groups begin with it.
const BRIDGES: [u8; 5] = [0x01, 0x80, 0xc2, 0, 0];
const PROTOCOLS: [u8; 16] = [6, 17, 17, 6, 1, 58, 132, 136, 33, 47, 50, 4, 2, 89, 112, 59];
const EXTENSIONS: [u8; 8] = [0, 43, 44, 51, 60, 135, 139, 140];
const PORTS: [u16; 26] = [
    0, 1, 22, 53, 54, 67, 68, 79, 80, 81, 443, 546, 547, 1000, 3784, PEER_PORT, 7999, 8000, 8050, 8100, 8101,
    9443, 10250, 40000, 65534, 65535,
];

/// Ethernet addresses at which policies and frames meet.
pub const MACS: [[u8; 6]; 8] = [
    [2, 0, 0, 0, 0, 1],
    [2, 0, 0, 0, 0, 2],
    [2, 0, 0x5e, 0, 0, 7],
    [2, 0, 0x5f, 0, 0, 7],
    [1, 0, 0x5e, 0, 0, 1],
    [0x33, 0x33, 0, 0, 0, 1],
    [0; 6],
    [0xff; 6],
];

/// Ids at which policies and tags meet.
pub const VLANS: [u16; 8] = [0, 1, 10, 99, 100, 200, 4094, 4095];

/// Addresses at which policies and packets meet.
pub mod addresses {
    use super::*;

    pub const V4: [Ipv4Addr; 14] = [
        CLIENT4,
        NODE4,
        VIP4,
        PEER4,
        Ipv4Addr::new(0, 0, 0, 0),
        Ipv4Addr::new(10, 0, 0, 1),
        Ipv4Addr::new(10, 255, 255, 255),
        Ipv4Addr::new(127, 0, 0, 1),
        Ipv4Addr::new(192, 0, 2, 127),
        Ipv4Addr::new(192, 0, 2, 128),
        Ipv4Addr::new(198, 51, 100, 77),
        Ipv4Addr::new(224, 0, 0, 5),
        Ipv4Addr::new(239, 1, 2, 3),
        Ipv4Addr::new(255, 255, 255, 255),
    ];
    pub const V6: [Ipv6Addr; 12] = [
        CLIENT6,
        NODE6,
        VIP6,
        PEER6,
        Ipv6Addr::UNSPECIFIED,
        Ipv6Addr::LOCALHOST,
        Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0xc000, 0x0201),
        Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0x7fff, 0xffff, 0xffff, 0xffff),
        Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0x8000, 0, 0, 0),
        Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1),
        Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 5),
        Ipv6Addr::new(0xffff, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff),
    ];

    /// One of the list, a neighbour of one, or any.
    pub fn v4(rng: &mut impl Rng) -> Ipv4Addr {
        let known = V4[rng.random_range(0..V4.len())].to_bits();
        Ipv4Addr::from_bits(match rng.random_range(0..8) {
            0..5 => known,
            5 => known.wrapping_add(1),
            6 => known ^ 1 << rng.random_range(0..32),
            _ => rng.random(),
        })
    }

    pub fn v6(rng: &mut impl Rng) -> Ipv6Addr {
        let known = V6[rng.random_range(0..V6.len())].to_bits();
        Ipv6Addr::from_bits(match rng.random_range(0..8) {
            0..5 => known,
            5 => known.wrapping_sub(1),
            6 => known ^ 1 << rng.random_range(0..128),
            _ => rng.random(),
        })
    }
}

/// A port that policies name, or any.
pub fn ports(rng: &mut impl Rng) -> u16 {
    if rng.random_bool(0.85) { PORTS[rng.random_range(0..PORTS.len())] } else { rng.random() }
}

/// Makes frames from a source of randomness.
pub struct Generator<R> {
    rng: R,
}

impl<R: Rng> Generator<R> {
    pub fn new(rng: R) -> Self {
        Generator { rng }
    }

    /// At least 14 bytes, which is the least that the kernel runs a program on.
    pub fn frame(&mut self) -> Vec<u8> {
        let mut frame = match self.rng.random_range(0..20) {
            0..8 => self.ipv4(),
            8..16 => self.ipv6(),
            16 | 17 => self.towards_service(),
            18 => self.other(),
            _ => self.noise(),
        };
        if self.rng.random_bool(0.3) && frame[..5] != BRIDGES {
            let at = [0, 6][self.rng.random_range(0..2)];
            frame[at..at + 6].copy_from_slice(&MACS[self.rng.random_range(0..MACS.len())]);
        }
        if self.rng.random_bool(0.2) {
            frame = self.tagged(frame);
        }
        if self.rng.random_bool(0.25) {
            self.damage(&mut frame);
        }
        frame
    }

    fn ipv4(&mut self) -> Vec<u8> {
        let rng = &mut self.rng;
        let header = Ipv4 {
            source: addresses::v4(rng),
            destination: addresses::v4(rng),
            ttl: hop_limit(rng),
            tos: traffic_class(rng),
            fragment: fragment_field(rng),
            options: if rng.random_bool(0.25) { options(rng) } else { Vec::new() },
            ..Ipv4::default()
        };
        let protocol = protocol(rng);
        let payload = payload(rng, protocol);
        header.frame(protocol, &payload)
    }

    fn ipv6(&mut self) -> Vec<u8> {
        let rng = &mut self.rng;
        let header = Ipv6 {
            source: addresses::v6(rng),
            destination: addresses::v6(rng),
            hop_limit: hop_limit(rng),
            traffic_class: traffic_class(rng),
            extensions: extensions(rng),
            first_byte: 0x60,
            payload_length: rng.random_bool(0.02).then_some(0),
        };
        let protocol = if rng.random_bool(0.03) { EXTENSIONS[rng.random_range(0..8)] } else { protocol(rng) };
        let payload = payload(rng, protocol);
        header.frame(protocol, &payload)
    }

    /// What reaches a balancer, a port that failsafe keeps, or almost.
    fn towards_service(&mut self) -> Vec<u8> {
        let rng = &mut self.rng;
        let port = [80, 443, 53, 22, 6443, 9443][rng.random_range(0..6)];
        let (protocol, payload) = if rng.random_bool(0.6) {
            (6, tcp_with(ports(rng), port, flags(rng), 5))
        } else {
            (17, udp_with(ports(rng), port, 16))
        };
        let to_vip = rng.random_bool(0.7);
        if rng.random() {
            let destination = if to_vip { VIP4 } else { NODE4 };
            let header =
                Ipv4 { source: addresses::v4(rng), destination, ttl: hop_limit(rng), ..Ipv4::default() };
            header.frame(protocol, &payload)
        } else {
            let destination = if to_vip { VIP6 } else { NODE6 };
            let header = Ipv6 {
                source: addresses::v6(rng),
                destination,
                hop_limit: hop_limit(rng),
                ..Ipv6::default()
            };
            header.frame(protocol, &payload)
        }
    }

    fn other(&mut self) -> Vec<u8> {
        let types =
            [0x0806, 0x8809, 0x88cc, 0x8863, 0x8847, 0xffff, 38, 0x05ff, 0x0600, 0x0800, 0x86dd, 0x8100];
        let ether_type = types[self.rng.random_range(0..types.len())];
        let mut bytes = vec![0; self.rng.random_range(0..64)];
        self.rng.fill(&mut bytes[..]);
        if self.rng.random() {
            let [a, b, c, d, e] = BRIDGES;
            ethernet_to([a, b, c, d, e, self.rng.random_range(0..20)], ether_type, &bytes)
        } else {
            ethernet(ether_type, &bytes)
        }
    }

    fn noise(&mut self) -> Vec<u8> {
        let mut frame = vec![0; self.rng.random_range(14..200)];
        self.rng.fill(&mut frame[..]);
        let types: [u16; 4] = [0x0800, 0x86dd, 0x8100, self.rng.random()];
        frame[12..14].copy_from_slice(&types[self.rng.random_range(0..4)].to_be_bytes());
        frame
    }

    fn tagged(&mut self, frame: Vec<u8>) -> Vec<u8> {
        let tpids = [0x8100, 0x88a8, 0x9100];
        let count = [1, 1, 1, 2, 2, 3][self.rng.random_range(0..6)];
        (0..count).fold(frame, |frame, _| {
            let id = VLANS[self.rng.random_range(0..VLANS.len())];
            // Priority and drop eligibility are beside it.
            let control = if self.rng.random_bool(0.9) {
                id | (self.rng.random::<u16>() & 0xf000)
            } else {
                self.rng.random()
            };
            tag(tpids[self.rng.random_range(0..3)], control, &frame)
        })
    }

    fn damage(&mut self, frame: &mut Vec<u8>) {
        for _ in 0..self.rng.random_range(1..=3) {
            let at = self.rng.random_range(0..frame.len());
            match self.rng.random_range(0..6) {
                0 => frame.truncate(self.rng.random_range(14..=frame.len())),
                1 => frame[at] ^= 1 << self.rng.random_range(0..8),
                2 => frame[at] = self.rng.random(),
                3 => frame[at] = [0, 1, 0x7f, 0x80, 0xff][self.rng.random_range(0..5)],
                4 => frame.extend(vec![0; self.rng.random_range(1..40)]),
                // The headers are what matters.
                _ => {
                    let header = self.rng.random_range(12..frame.len().min(60));
                    frame[header] = frame[header].wrapping_add(self.rng.random_range(1..4));
                }
            }
        }
    }
}

fn hop_limit(rng: &mut impl Rng) -> u8 {
    *[64, 64, 64, 255, 1, 0, 2, 63, 65, 128].choose(rng).unwrap_or(&64)
}

fn traffic_class(rng: &mut impl Rng) -> u8 {
    if rng.random_bool(0.5) {
        0
    } else {
        *[1, 2, 3, 0x20, 0x28, 0xb8, 0xbb, 0xc0, 0xff].choose(rng).unwrap_or(&0)
    }
}

fn protocol(rng: &mut impl Rng) -> u8 {
    if rng.random_bool(0.92) { PROTOCOLS[rng.random_range(0..PROTOCOLS.len())] } else { rng.random() }
}

fn fragment_field(rng: &mut impl Rng) -> u16 {
    match rng.random_range(0..10) {
        0 => 0x2000,
        1 => 0x2000 | rng.random_range(0..4),
        2 => rng.random_range(0..0x2000),
        3 => 0x4000,
        _ => 0,
    }
}

/// Whole options, padding and now and then a damaged one, filled up to a multiple of four bytes.
fn options(rng: &mut impl Rng) -> Vec<u8> {
    let mut options = Vec::new();
    for _ in 0..rng.random_range(0..5) {
        let kind = *[7, 68, 130, 131, 136, 137, 148, 134, 0xff].choose(rng).unwrap_or(&7);
        match rng.random_range(0..8) {
            0 => options.push(1),
            1 => options.push(0),
            2 => options.extend([kind, rng.random_range(0..50)]),
            _ => {
                let length = rng.random_range(2..9);
                options.extend([kind, length]);
                options.extend((2..length).map(|_| rng.random::<u8>()));
            }
        }
    }
    options.resize(options.len().next_multiple_of(4), rng.random_range(0..2));
    options.truncate(40);
    options
}

fn extensions(rng: &mut impl Rng) -> Vec<Extension> {
    let count = match rng.random_range(0..10) {
        0..5 => 0,
        5..9 => rng.random_range(1..4),
        _ => rng.random_range(4..11),
    };
    (0..count).map(|_| extension(rng)).collect()
}

fn extension(rng: &mut impl Rng) -> Extension {
    match EXTENSIONS[rng.random_range(0..EXTENSIONS.len())] {
        44 => match rng.random_range(0..4) {
            0 => Extension::fragment(0, false),
            1 => Extension::fragment(rng.random_range(0..3), rng.random()),
            2 => Extension::fragment(rng.random_range(0..0x2000), rng.random()),
            _ => Extension::fragment(0, true),
        },
        51 => Extension::authentication(rng.random_range(0..6)),
        number => Extension::eights(number, rng.random_range(0..3)),
    }
}

fn payload(rng: &mut impl Rng, protocol: u8) -> Vec<u8> {
    let (source, destination) = (ports(rng), ports(rng));
    let mut payload = match protocol {
        6 => {
            let words = if rng.random_bool(0.8) { 5 } else { rng.random_range(0..16) };
            tcp_with(source, destination, flags(rng), words)
        }
        17 => {
            let length = if rng.random_bool(0.9) { 16 } else { rng.random_range(0..20) };
            udp_with(source, destination, length)
        }
        1 | 58 => icmp(icmp_type(rng), if rng.random_bool(0.7) { 0 } else { rng.random_range(0..6) }),
        33 | 132 | 136 => ported(source, destination),
        _ => vec![rng.random(); rng.random_range(0..40)],
    };
    if rng.random_bool(0.05) {
        payload.truncate(rng.random_range(0..=payload.len()));
    }
    payload
}

fn flags(rng: &mut impl Rng) -> u8 {
    if rng.random_bool(0.7) {
        [0x02, 0x12, 0x10, 0x11, 0x04, 0x18][rng.random_range(0..6)]
    } else {
        rng.random()
    }
}

fn icmp_type(rng: &mut impl Rng) -> u8 {
    if rng.random_bool(0.8) {
        [0, 3, 8, 11, 128, 129, 130, 133, 135, 136, 143][rng.random_range(0..11)]
    } else {
        rng.random()
    }
}
