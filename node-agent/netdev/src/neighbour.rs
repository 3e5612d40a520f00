//! How a backend is reached: route, then neighbour.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use futures::TryStreamExt;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::link::LinkAttribute;
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteMessage, RouteMetric, RouteType, RouteVia,
};

use crate::{NetdevError, Netlink};

/// What the outer frame of an encapsulated packet needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hop {
    pub index: u32,
    /// This node's address towards the backend.
    pub source: IpAddr,
    pub source_mac: [u8; 6],
    pub destination_mac: [u8; 6],
    /// Of the route, or of the interface where the route has none.
    pub mtu: u32,
}

/// Why there is no hop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unresolved {
    NoRoute,
    /// The backend's address is this node's own.
    Local,
    /// The link has no layer-2 addresses (tunnels, point-to-point).
    NoLinkLayer,
    /// The neighbour has not answered yet; it was asked.
    Asked,
}

impl fmt::Display for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unresolved::NoRoute => "no route",
            Unresolved::Local => "the address is this node's own",
            Unresolved::NoLinkLayer => "the link has no layer-2 addresses",
            Unresolved::Asked => "the neighbour does not answer",
        })
    }
}

struct Route {
    index: u32,
    source: IpAddr,
    gateway: IpAddr,
    mtu: Option<u32>,
}

struct Neighbour {
    mac: Option<[u8; 6]>,
    /// Missing, failed, or long not confirmed.
    ask: bool,
}

impl Netlink {
    /// Looks the backend up and asks the neighbour where its address is missing or stale, so that calling this again
    /// every few seconds keeps a quiet neighbour known.
    pub async fn hop(&self, backend: IpAddr) -> Result<Result<Hop, Unresolved>, NetdevError> {
        let route = match self.route_to(backend).await? {
            Ok(route) => route,
            Err(unresolved) => return Ok(Err(unresolved)),
        };
        let Some((source_mac, link_mtu)) = self.link_layer(route.index).await? else {
            return Ok(Err(Unresolved::NoLinkLayer));
        };
        let neighbour = self.neighbour(route.index, route.gateway).await?;
        if neighbour.ask {
            self.ask(route.index, route.gateway).await?;
        }
        let Some(destination_mac) = neighbour.mac else { return Ok(Err(Unresolved::Asked)) };
        let mtu = route.mtu.unwrap_or(link_mtu).min(link_mtu);
        Ok(Ok(Hop { index: route.index, source: route.source, source_mac, destination_mac, mtu }))
    }

    async fn route_to(&self, backend: IpAddr) -> Result<Result<Route, Unresolved>, NetdevError> {
        let mut request = RouteMessage::default();
        request.header.address_family = family(backend);
        request.header.destination_prefix_length = if backend.is_ipv4() { 32 } else { 128 };
        request.attributes.push(RouteAttribute::Destination(backend.into()));
        let mut answers = Box::pin(self.route.route().get(request).execute());
        match answers.try_next().await {
            Ok(Some(message)) => Ok(parse_route(backend, &message)),
            // ENETUNREACH, EHOSTUNREACH and the like are the answer, not a failure.
            Ok(None) | Err(rtnetlink::Error::NetlinkError(_)) => Ok(Err(Unresolved::NoRoute)),
            Err(error) => Err(error.into()),
        }
    }

    async fn link_layer(&self, index: u32) -> Result<Option<([u8; 6], u32)>, NetdevError> {
        let mut answers = Box::pin(self.route.link().get().match_index(index).execute());
        let Some(link) = answers.try_next().await? else { return Ok(None) };
        let (mut mac, mut mtu) = (None, 0);
        for attribute in link.attributes {
            match attribute {
                LinkAttribute::Address(bytes) => mac = <[u8; 6]>::try_from(bytes).ok(),
                LinkAttribute::Mtu(value) => mtu = value,
                _ => {}
            }
        }
        Ok(mac.filter(|mac| *mac != [0; 6]).map(|mac| (mac, mtu)))
    }

    async fn neighbour(&self, index: u32, address: IpAddr) -> Result<Neighbour, NetdevError> {
        let mut request = self.route.neighbours().get().set_address_family(family(address));
        request.message_mut().header.ifindex = index;
        let mut answers = Box::pin(request.execute());
        while let Some(message) = answers.try_next().await? {
            if message.header.ifindex == index && destination(&message) == Some(address) {
                return Ok(link_address(&message));
            }
        }
        Ok(Neighbour { mac: None, ask: true })
    }

    /// `NTF_USE`: resolve as if a packet were waiting for it. Sends nothing that the kernel would not.
    async fn ask(&self, index: u32, address: IpAddr) -> Result<(), NetdevError> {
        let request = self.route.neighbours().add(index, address).replace();
        let asked = request.state(NeighbourState::None).flags(NeighbourFlags::Use).execute().await;
        match asked.map_err(NetdevError::from) {
            Err(error) if error.is_gone() => Ok(()),
            other => other,
        }
    }
}

fn parse_route(backend: IpAddr, message: &RouteMessage) -> Result<Route, Unresolved> {
    match message.header.kind {
        RouteType::Unicast => {}
        RouteType::Local => return Err(Unresolved::Local),
        _ => return Err(Unresolved::NoRoute),
    }
    let (mut index, mut source, mut gateway, mut mtu) = (None, None, backend, None);
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Oif(oif) => index = Some(*oif),
            RouteAttribute::PrefSource(address) => source = ip(address),
            RouteAttribute::Gateway(address) => gateway = ip(address).unwrap_or(gateway),
            // An IPv4 route over an IPv6 gateway.
            RouteAttribute::Via(RouteVia::Inet6(address)) => gateway = IpAddr::V6(*address),
            RouteAttribute::Metrics(metrics) => mtu = metrics.iter().find_map(route_mtu),
            _ => {}
        }
    }
    let (index, source) = index.zip(source).ok_or(Unresolved::NoRoute)?;
    Ok(Route { index, source, gateway, mtu })
}

fn route_mtu(metric: &RouteMetric) -> Option<u32> {
    match metric {
        RouteMetric::Mtu(mtu) if *mtu > 0 => Some(*mtu),
        _ => None,
    }
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(address) => Some(IpAddr::V4(*address)),
        RouteAddress::Inet6(address) if *address != Ipv6Addr::UNSPECIFIED => Some(IpAddr::V6(*address)),
        _ => None,
    }
}

fn destination(message: &NeighbourMessage) -> Option<IpAddr> {
    message.attributes.iter().find_map(|attribute| match attribute {
        NeighbourAttribute::Destination(NeighbourAddress::Inet(address)) => Some(IpAddr::V4(*address)),
        NeighbourAttribute::Destination(NeighbourAddress::Inet6(address)) => Some(IpAddr::V6(*address)),
        _ => None,
    })
}

fn link_address(message: &NeighbourMessage) -> Neighbour {
    use NeighbourState::{Delay, Incomplete, Noarp, Permanent, Probe, Reachable, Stale};
    let mac = message.attributes.iter().find_map(|attribute| match attribute {
        NeighbourAttribute::LinkLayerAddress(bytes) => <[u8; 6]>::try_from(bytes.as_slice()).ok(),
        _ => None,
    });
    let state = message.header.state;
    // Being asked already is as good as asked: each question makes an event, and events lead here.
    let ask = !matches!(state, Reachable | Delay | Probe | Permanent | Noarp | Incomplete);
    Neighbour {
        mac: mac.filter(|_| matches!(state, Reachable | Stale | Delay | Probe | Permanent | Noarp)),
        ask,
    }
}

fn family(address: IpAddr) -> AddressFamily {
    match address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    }
}
