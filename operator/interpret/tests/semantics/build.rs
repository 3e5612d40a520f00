//! Frames and policies in a few words.

use std::net::{Ipv4Addr, Ipv6Addr};

use sluice_interpret::{Outcome, World, evaluate};
use sluice_policy::*;

pub fn ethernet(ether_type: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
    frame.extend(ether_type.to_be_bytes());
    frame.extend(payload);
    frame
}

pub fn tag(tpid: u16, vlan: u16, frame: &[u8]) -> Vec<u8> {
    let mut tagged = frame[..12].to_vec();
    tagged.extend(tpid.to_be_bytes());
    tagged.extend(vlan.to_be_bytes());
    tagged.extend(&frame[12..]);
    tagged
}

pub struct V4 {
    pub source: &'static str,
    pub destination: &'static str,
    pub ttl: u8,
    pub class: u8,
    pub fragment: u16,
    pub options: Vec<u8>,
}

impl Default for V4 {
    fn default() -> Self {
        V4 {
            source: "192.0.2.1",
            destination: "198.51.100.1",
            ttl: 64,
            class: 0,
            fragment: 0,
            options: Vec::new(),
        }
    }
}

impl V4 {
    pub fn frame(&self, protocol: u8, payload: &[u8]) -> Vec<u8> {
        let header = 20 + self.options.len();
        let mut packet = vec![0x40 | (header / 4) as u8, self.class];
        packet.extend(((header + payload.len()) as u16).to_be_bytes());
        packet.extend([0, 7]);
        packet.extend(self.fragment.to_be_bytes());
        packet.extend([self.ttl, protocol, 0, 0]);
        packet.extend(self.source.parse::<Ipv4Addr>().unwrap().octets());
        packet.extend(self.destination.parse::<Ipv4Addr>().unwrap().octets());
        packet.extend(&self.options);
        packet.extend(payload);
        ethernet(0x0800, &packet)
    }
}

pub struct V6 {
    pub source: &'static str,
    pub destination: &'static str,
    pub hop_limit: u8,
    pub class: u8,
    /// Number and bytes of each extension header; the first byte is filled in.
    pub extensions: Vec<(u8, Vec<u8>)>,
}

impl Default for V6 {
    fn default() -> Self {
        V6 {
            source: "2001:db8::1",
            destination: "2001:db8::2",
            hop_limit: 64,
            class: 0,
            extensions: Vec::new(),
        }
    }
}

impl V6 {
    pub fn frame(&self, protocol: u8, payload: &[u8]) -> Vec<u8> {
        let mut numbers = self.extensions.iter().map(|(number, _)| *number).chain([protocol]);
        let first = numbers.next().unwrap();
        let mut behind = Vec::new();
        for ((_, bytes), next) in self.extensions.iter().zip(numbers) {
            behind.push(next);
            behind.extend(&bytes[1..]);
        }
        behind.extend(payload);
        let mut packet = vec![0x60 | self.class >> 4, self.class << 4, 0, 0];
        packet.extend((behind.len() as u16).to_be_bytes());
        packet.extend([first, self.hop_limit]);
        packet.extend(self.source.parse::<Ipv6Addr>().unwrap().octets());
        packet.extend(self.destination.parse::<Ipv6Addr>().unwrap().octets());
        packet.extend(behind);
        ethernet(0x86dd, &packet)
    }
}

/// An IPv6 fragment header; the offset counts 8 bytes.
pub fn fragment_header(offset: u16, more: bool) -> (u8, Vec<u8>) {
    let [high, low] = (offset << 3 | u16::from(more)).to_be_bytes();
    (44, vec![0, 0, high, low, 0, 0, 0, 9])
}

pub fn tcp(source: u16, destination: u16, flags: u8) -> Vec<u8> {
    let mut segment = [source.to_be_bytes(), destination.to_be_bytes()].concat();
    segment.extend([0, 0, 0, 1, 0, 0, 0, 0, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    segment
}

pub fn udp(source: u16, destination: u16) -> Vec<u8> {
    let mut datagram = [source.to_be_bytes(), destination.to_be_bytes()].concat();
    datagram.extend([0, 12, 0, 0, b'd', b'a', b't', b'a']);
    datagram
}

pub fn object(name: &str) -> ObjectRef {
    ObjectRef {
        kind: "XdpFilter".into(),
        namespace: String::new(),
        name: name.into(),
        uid: format!("uid-{name}"),
        generation: 1,
    }
}

pub fn filter(name: &str, rules: Vec<Rule>) -> Filter {
    Filter {
        object: object(name),
        nodes: NodeSelector::default(),
        interfaces: eth0(),
        attach: AttachMode::Auto,
        hook: Hook::Xdp,
        mode: Mode::Enforce,
        priority: 0,
        default_action: Action::Next,
        malformed: Malformed::Pass,
        allow_established: false,
        expires: None,
        rollout: None,
        rules,
    }
}

pub fn eth0() -> Interfaces {
    Interfaces { names: vec!["eth0".into()], ..Interfaces::default() }
}

/// With the API's default for later fragments.
pub fn rule(name: &str, action: Action, matches: Match) -> Rule {
    let later_fragments =
        if action == Action::Pass { LaterFragments::MatchL3 } else { LaterFragments::NoMatch };
    Rule { name: name.into(), action, mode: Mode::Enforce, later_fragments, matches }
}

pub fn prefixes(prefixes: &[&str], except: &[&str]) -> Option<PrefixSet> {
    let mut set = PrefixSet::default();
    for text in prefixes {
        match text.parse() {
            Ok(prefix) => set.v4.push(prefix),
            Err(_) => set.v6.push(text.parse().unwrap()),
        }
    }
    for text in except {
        match text.parse() {
            Ok(prefix) => set.except_v4.push(prefix),
            Err(_) => set.except_v6.push(text.parse().unwrap()),
        }
    }
    Some(set)
}

pub fn ports(first: u16, last: u16) -> Vec<PortRange> {
    vec![PortRange { first, last }]
}

pub fn world(filters: Vec<Filter>) -> World {
    World { filters, ..World::default() }
}

pub fn on_eth0<'w>(world: &'w World, frame: &[u8]) -> Outcome<'w> {
    evaluate(world, "eth0", frame)
}

/// Whether one Drop rule with this match drops the frame.
pub fn hits(matches: Match, frame: &[u8]) -> bool {
    let world = world(vec![filter("f", vec![rule("r", Action::Drop, matches)])]);
    on_eth0(&world, frame).rule == Some("r")
}

/// [`hits`] by a rule with this setting.
pub fn hits_later(matches: Match, later_fragments: LaterFragments, frame: &[u8]) -> bool {
    let rule = Rule { later_fragments, ..rule("r", Action::Drop, matches) };
    on_eth0(&world(vec![filter("f", vec![rule])]), frame).rule == Some("r")
}
