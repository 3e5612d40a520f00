//! The part of the node's interfaces whose change matters, and what changed between two moments.

use std::collections::{BTreeMap, BTreeSet};

use crate::{AttachedXdp, NetdevError, Netlink, Nic, NodeAddr};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// By ifindex, without the loopback.
    pub links: BTreeMap<u32, LinkState>,
    pub addresses: BTreeSet<NodeAddr>,
    pub default_routes: BTreeSet<u32>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkState {
    pub name: String,
    pub mac: Option<[u8; 6]>,
    pub mtu: u32,
    pub up: bool,
    /// How often the carrier came or went.
    pub flaps: u64,
    pub xdp: Option<AttachedXdp>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Came {
        index: u32,
        name: String,
    },
    Went {
        index: u32,
        name: String,
    },
    Renamed {
        index: u32,
        from: String,
        to: String,
    },
    Up {
        index: u32,
        name: String,
    },
    Down {
        index: u32,
        name: String,
    },
    /// Down and up again between two looks.
    Flapped {
        index: u32,
        name: String,
    },
    /// MAC address or MTU.
    Altered {
        index: u32,
        name: String,
    },
    XdpChanged {
        index: u32,
        name: String,
        from: Option<AttachedXdp>,
        to: Option<AttachedXdp>,
    },
    AddressesChanged,
    DefaultRoutesChanged,
    /// Routes or neighbours changed: next hops may have.
    PathsChanged,
}

impl Netlink {
    pub async fn snapshot(&self) -> Result<Snapshot, NetdevError> {
        self.snapshot_with(self.default_routes().await?).await
    }

    /// With default routes that are known, which spares a dump of the whole routing table.
    pub(crate) async fn snapshot_with(&self, default_routes: BTreeSet<u32>) -> Result<Snapshot, NetdevError> {
        let links = self.links().await?.into_iter().filter(|nic| !nic.loopback);
        let state = |nic: Nic| {
            let Nic { name, mac, mtu, up, link_flaps: flaps, xdp, .. } = nic;
            (nic.index, LinkState { name, mac, mtu, up, flaps, xdp })
        };
        Ok(Snapshot { links: links.map(state).collect(), addresses: self.addresses().await?, default_routes })
    }
}

impl Snapshot {
    /// What happened since `before`. An interface that was made again under its name went and came.
    pub fn since(&self, before: &Snapshot) -> Vec<Event> {
        let mut events = Vec::new();
        for (&index, link) in &before.links {
            match self.links.get(&index) {
                Some(now) => altered(index, link, now, &mut events),
                None => events.push(Event::Went { index, name: link.name.clone() }),
            }
        }
        let came = self.links.iter().filter(|(index, _)| !before.links.contains_key(index));
        events.extend(came.map(|(&index, link)| Event::Came { index, name: link.name.clone() }));
        if self.addresses != before.addresses {
            events.push(Event::AddressesChanged);
        }
        if self.default_routes != before.default_routes {
            events.push(Event::DefaultRoutesChanged);
        }
        events
    }
}

fn altered(index: u32, before: &LinkState, now: &LinkState, events: &mut Vec<Event>) {
    let name = now.name.clone();
    if before.name != now.name {
        events.push(Event::Renamed { index, from: before.name.clone(), to: name.clone() });
    }
    if before.up != now.up {
        let name = name.clone();
        events.push(if now.up { Event::Up { index, name } } else { Event::Down { index, name } });
    } else if now.up && before.flaps != now.flaps {
        events.push(Event::Flapped { index, name: name.clone() });
    }
    if (before.mac, before.mtu) != (now.mac, now.mtu) {
        events.push(Event::Altered { index, name: name.clone() });
    }
    if before.xdp != now.xdp {
        events.push(Event::XdpChanged { index, name, from: before.xdp, to: now.xdp });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::XdpMode;

    fn one(index: u32, link: LinkState) -> Snapshot {
        Snapshot { links: [(index, link)].into(), ..Snapshot::default() }
    }

    fn eth0() -> LinkState {
        LinkState { name: "eth0".into(), mtu: 1500, up: true, ..LinkState::default() }
    }

    #[test]
    fn nothing_changed_is_no_event() {
        assert_eq!(one(2, eth0()).since(&one(2, eth0())), []);
    }

    #[test]
    fn made_again_under_its_name_went_and_came() {
        let name = || "eth0".to_string();
        assert_eq!(
            one(3, eth0()).since(&one(2, eth0())),
            [Event::Went { index: 2, name: name() }, Event::Came { index: 3, name: name() }]
        );
    }

    #[test]
    fn renamed_and_down_are_both_told() {
        let now = LinkState { name: "wan".into(), up: false, ..eth0() };
        assert_eq!(
            one(2, now).since(&one(2, eth0())),
            [
                Event::Renamed { index: 2, from: "eth0".into(), to: "wan".into() },
                Event::Down { index: 2, name: "wan".into() }
            ]
        );
    }

    #[test]
    fn down_and_up_between_two_looks_is_told() {
        let now = LinkState { flaps: 2, ..eth0() };
        let name = "eth0".to_owned();
        assert_eq!(one(2, now).since(&one(2, eth0())), [Event::Flapped { index: 2, name }]);
        let [went, came] = [1, 2].map(|flaps| LinkState { up: flaps == 2, flaps, ..eth0() });
        let name = "eth0".to_owned();
        assert_eq!(one(2, came).since(&one(2, went)), [Event::Up { index: 2, name }]);
    }

    #[test]
    fn a_lost_program_is_told() {
        let xdp = Some(AttachedXdp { mode: XdpMode::Native, program_id: 7 });
        let before = one(2, LinkState { xdp, ..eth0() });
        assert_eq!(
            one(2, eth0()).since(&before),
            [Event::XdpChanged { index: 2, name: "eth0".into(), from: xdp, to: None }]
        );
    }
}
