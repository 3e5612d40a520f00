//! The node's addresses and the interfaces of its default routes.

use std::collections::BTreeSet;
use std::net::IpAddr;

use futures::TryStreamExt;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{AddressAttribute, AddressMessage, AddressScope};
use netlink_packet_route::route::{RouteAttribute, RouteHeader, RouteMessage, RouteType};

use crate::{NetdevError, Netlink, vips};

/// One address on one interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeAddr {
    pub index: u32,
    pub address: IpAddr,
    /// Reachable from beyond the link.
    pub global: bool,
    /// A VIP that Sluice put there.
    pub vip: bool,
}

impl Netlink {
    /// Every address but the loopback's own 127.0.0.0/8 and ::1.
    pub async fn addresses(&self) -> Result<BTreeSet<NodeAddr>, NetdevError> {
        let messages: Vec<AddressMessage> = self.route.address().get().execute().try_collect().await?;
        Ok(messages.iter().filter_map(node_address).filter(|a| !a.address.is_loopback()).collect())
    }

    /// Interfaces of the default routes in the main table, both families.
    pub(crate) async fn default_routes(&self) -> Result<BTreeSet<u32>, NetdevError> {
        let mut interfaces = BTreeSet::new();
        for family in [AddressFamily::Inet, AddressFamily::Inet6] {
            let mut request = RouteMessage::default();
            request.header.address_family = family;
            let mut routes = Box::pin(self.route.route().get(request).execute());
            while let Some(route) = routes.try_next().await? {
                interfaces.extend(default_interfaces(&route));
            }
        }
        Ok(interfaces)
    }
}

fn node_address(message: &AddressMessage) -> Option<NodeAddr> {
    // IFA_LOCAL is the own end of a point-to-point address; IPv6 mostly has IFA_ADDRESS alone.
    let local = message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Local(address) => Some(*address),
        _ => None,
    });
    let address = local.or_else(|| {
        message.attributes.iter().find_map(|attribute| match attribute {
            AddressAttribute::Address(address) => Some(*address),
            _ => None,
        })
    })?;
    Some(NodeAddr {
        index: message.header.index,
        address,
        global: message.header.scope == AddressScope::Universe,
        vip: vips::is_ours(message),
    })
}

fn default_interfaces(route: &RouteMessage) -> Vec<u32> {
    let RouteHeader { destination_prefix_length: 0, kind: RouteType::Unicast, table, .. } = route.header
    else {
        return Vec::new();
    };
    let table = route
        .attributes
        .iter()
        .find_map(|attribute| match attribute {
            RouteAttribute::Table(table) => Some(*table),
            _ => None,
        })
        .unwrap_or(table.into());
    if table != u32::from(RouteHeader::RT_TABLE_MAIN) {
        return Vec::new();
    }
    route
        .attributes
        .iter()
        .flat_map(|attribute| match attribute {
            RouteAttribute::Oif(index) => vec![*index],
            RouteAttribute::MultiPath(hops) => hops.iter().map(|hop| hop.interface_index).collect(),
            _ => Vec::new(),
        })
        .collect()
}
