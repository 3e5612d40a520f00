//! VIPs on the loopback of backend nodes, so that decapsulated packets are delivered there.

use std::collections::BTreeSet;
use std::net::IpAddr;

use futures::TryStreamExt;
use netlink_packet_route::address::{AddressAttribute, AddressMessage, AddressProtocol};
use netlink_packet_route::link::{AfSpecInet, AfSpecUnspec, InetDevConf, LinkAttribute, LinkMessage};

use crate::{NetdevError, Netlink};

/// Always 1: the loopback is the first device of a namespace.
const LOOPBACK: u32 = 1;
/// `IFA_PROTO` (Linux 5.18): marks the addresses that Sluice put there, so that a restarted agent knows them.
const OURS: AddressProtocol = AddressProtocol::Other(0x53);

impl Netlink {
    /// Makes `wanted` the VIPs on the loopback. Addresses that someone else put there stay and count as present.
    pub async fn set_vips(&self, wanted: &BTreeSet<IpAddr>) -> Result<(), NetdevError> {
        let present = self.on_loopback().await?;
        for vip in wanted.iter().filter(|vip| present.iter().all(|(address, _)| address != *vip)) {
            self.add_vip(*vip).await?;
        }
        let stale =
            present.into_iter().filter(|(address, message)| is_ours(message) && !wanted.contains(address));
        for (_, message) in stale {
            match self.route.address().del(message).execute().await.map_err(NetdevError::from) {
                Err(error) if !error.is_gone() => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// VIPs that Sluice put on the loopback.
    pub async fn vips(&self) -> Result<BTreeSet<IpAddr>, NetdevError> {
        let present = self.on_loopback().await?;
        Ok(present.into_iter().filter(|(_, message)| is_ours(message)).map(|(address, _)| address).collect())
    }

    /// Has every interface answer ARP for its own addresses only (`arp_ignore` 1): a VIP on the loopback belongs to the
    /// balancers. By netlink, because /proc/sys is read-only in a pod. IPv6 needs nothing of the kind, since neighbour
    /// solicitations are answered for the interface's addresses alone.
    pub async fn ignore_arp_for_vips(&self) -> Result<(), NetdevError> {
        let links: Vec<LinkMessage> = self.route.link().get().execute().try_collect().await?;
        // A value that an administrator chose stays.
        for link in links.iter().filter(|link| link.header.index != LOOPBACK && arp_ignore(link) == Some(0)) {
            let set = self.route.link().set(set_arp_ignore(link.header.index)).execute().await;
            match set.map_err(NetdevError::from) {
                Err(error) if !error.is_gone() => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    async fn add_vip(&self, vip: IpAddr) -> Result<(), NetdevError> {
        let mut request = self.route.address().add(LOOPBACK, vip, if vip.is_ipv4() { 32 } else { 128 });
        request.message_mut().attributes.push(AddressAttribute::Protocol(OURS));
        match request.execute().await.map_err(NetdevError::from) {
            Err(error) if !error.is_exists() => Err(error),
            _ => Ok(()),
        }
    }

    async fn on_loopback(&self) -> Result<Vec<(IpAddr, AddressMessage)>, NetdevError> {
        let request = self.route.address().get().set_link_index_filter(LOOPBACK);
        let messages: Vec<AddressMessage> = request.execute().try_collect().await?;
        Ok(messages.into_iter().filter_map(|message| Some((address(&message)?, message))).collect())
    }
}

fn address(message: &AddressMessage) -> Option<IpAddr> {
    message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Address(address) => Some(*address),
        _ => None,
    })
}

pub(crate) fn is_ours(message: &AddressMessage) -> bool {
    message.attributes.contains(&AddressAttribute::Protocol(OURS))
}

/// `None` for an interface without IPv4.
fn arp_ignore(message: &LinkMessage) -> Option<i32> {
    message.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::AfSpecUnspec(families) => families.iter().find_map(|family| match family {
            AfSpecUnspec::Inet(inet) => inet.iter().find_map(|one| match one {
                AfSpecInet::DevConf(conf) => Some(conf.arp_ignore),
                _ => None,
            }),
            _ => None,
        }),
        _ => None,
    })
}

fn set_arp_ignore(index: u32) -> LinkMessage {
    let mut conf = InetDevConf::default();
    conf.arp_ignore = 1;
    let inet = vec![AfSpecInet::DevConfRequest(conf)];
    let mut message = LinkMessage::default();
    message.header.index = index;
    message.attributes.push(LinkAttribute::AfSpecUnspec(vec![AfSpecUnspec::Inet(inet)]));
    message
}
