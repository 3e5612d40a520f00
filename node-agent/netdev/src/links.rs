//! Interfaces by `RTM_GETLINK`.

use std::collections::HashSet;
use std::path::Path;

use futures::TryStreamExt;
use netlink_packet_route::link::{
    InfoKind, LinkAttribute, LinkFlags, LinkInfo, LinkMessage, LinkXdp, Stats64, XdpAttached,
};

use crate::{AttachedXdp, NetdevError, Netlink, Nic, XdpMode};

impl Netlink {
    /// Every interface with what the route socket alone knows.
    pub(crate) async fn links(&self) -> Result<Vec<Nic>, NetdevError> {
        let messages: Vec<LinkMessage> = self.route.link().get().execute().try_collect().await?;
        let tagged: HashSet<u32> = messages.iter().filter_map(vlan_parent).collect();
        let mut nics: Vec<Nic> = messages.into_iter().map(nic).collect();
        for nic in &mut nics {
            nic.vlan_devices = tagged.contains(&nic.index);
        }
        nics.sort_by_key(|nic| nic.index);
        Ok(nics)
    }
}

fn nic(message: LinkMessage) -> Nic {
    let mut nic = Nic {
        index: message.header.index,
        up: message.header.flags.contains(LinkFlags::Up | LinkFlags::LowerUp),
        loopback: message.header.flags.contains(LinkFlags::Loopback),
        ..Nic::default()
    };
    let (mut parent, mut bus, mut kind) = (None, None, None);
    for attribute in message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => nic.name = name,
            LinkAttribute::Address(bytes) => nic.mac = bytes.try_into().ok(),
            LinkAttribute::Mtu(mtu) => nic.mtu = mtu,
            LinkAttribute::NumRxQueues(queues) => nic.rx_queues = queues,
            LinkAttribute::NumTxQueues(queues) => nic.tx_queues = queues,
            LinkAttribute::CarrierChanges(changes) => nic.link_flaps = changes.into(),
            LinkAttribute::Stats64(stats) => counters(&mut nic, &stats),
            LinkAttribute::Xdp(xdp) => nic.xdp = attached(&xdp),
            LinkAttribute::ParentDevName(name) => parent = Some(name),
            LinkAttribute::ParentDevBusName(name) => bus = Some(name),
            LinkAttribute::LinkInfo(infos) => kind = info_kind(&infos).map(ToString::to_string),
            _ => {}
        }
    }
    nic.driver = bus.zip(parent).and_then(|(bus, device)| bound_driver(&bus, &device)).or(kind);
    nic
}

fn counters(nic: &mut Nic, stats: &Stats64) {
    nic.rx_dropped = stats.rx_dropped + stats.rx_missed_errors;
    nic.rx_errors = stats.rx_errors;
    nic.rx_fcs_errors = stats.rx_crc_errors;
}

/// The mode and the program that take the interface's packets.
pub(crate) fn attached(attributes: &[LinkXdp]) -> Option<AttachedXdp> {
    let mode = attributes.iter().find_map(|attribute| match attribute {
        LinkXdp::Attached(XdpAttached::Driver) => Some(XdpMode::Native),
        LinkXdp::Attached(XdpAttached::SocketBuffer) => Some(XdpMode::Generic),
        LinkXdp::Attached(XdpAttached::Hardware) => Some(XdpMode::Offload),
        // Several at once: the driver's program sees packets first.
        LinkXdp::Attached(XdpAttached::Multiple) => Some(XdpMode::Native),
        _ => None,
    })?;
    let program_id = attributes.iter().find_map(|attribute| match attribute {
        LinkXdp::ProgId(id) | LinkXdp::DrvProgId(id) => Some(*id),
        LinkXdp::SkbProgId(id) if mode == XdpMode::Generic => Some(*id),
        LinkXdp::HwProgId(id) if mode == XdpMode::Offload => Some(*id),
        _ => None,
    })?;
    Some(AttachedXdp { mode, program_id })
}

fn info_kind(infos: &[LinkInfo]) -> Option<&InfoKind> {
    infos.iter().find_map(|info| match info {
        LinkInfo::Kind(kind) => Some(kind),
        _ => None,
    })
}

fn vlan_parent(message: &LinkMessage) -> Option<u32> {
    let is_vlan = message.attributes.iter().any(
        |attribute| matches!(attribute, LinkAttribute::LinkInfo(infos) if info_kind(infos) == Some(&InfoKind::Vlan)),
    );
    let parent = message.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::Link(index) => Some(*index),
        _ => None,
    });
    parent.filter(|_| is_vlan)
}

/// By the bus and not by /sys/class/net, which shows the namespace it was mounted in, not the caller's.
fn bound_driver(bus: &str, device: &str) -> Option<String> {
    let link = Path::new("/sys/bus").join(bus).join("devices").join(device).join("driver");
    Some(std::fs::read_link(link).ok()?.file_name()?.to_string_lossy().into_owned())
}
