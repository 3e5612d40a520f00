//! Which XDP program an interface runs now, whoever attached it, by RTM_GETLINK.

use std::fmt;
use std::io;
use std::os::fd::AsFd;

use netlink_packet_core::{NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkAttribute, LinkMessage, LinkXdp, XdpAttached};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

use crate::bpf;

/// An XDP program on an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    pub program_id: u32,
    pub place: Place,
    /// Readable with `CAP_SYS_ADMIN` only.
    pub name: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Native,
    Generic,
    Offload,
    /// In more than one place at once.
    Several,
}

impl fmt::Display for Attached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name.as_deref().unwrap_or("name not readable");
        write!(f, "id {}, mode {:?}, {name}", self.program_id, self.place)
    }
}

/// `None` where nothing is attached; `ENODEV` where there is no such interface in this network namespace.
pub fn attached(ifindex: u32) -> io::Result<Option<Attached>> {
    let link = get_link(ifindex)?;
    let nested = link.attributes.into_iter().find_map(|attribute| match attribute {
        LinkAttribute::Xdp(nested) => Some(nested),
        _ => None,
    });
    Ok(nested.and_then(|nested| parse(&nested)).map(|(place, program_id)| Attached {
        program_id,
        place,
        name: program_name(program_id),
    }))
}

/// The name of a program by its id, where the kernel lets us see it.
fn program_name(id: u32) -> Option<String> {
    let program = bpf::program_by_id(id).ok()?;
    bpf::program_info(program.as_fd()).ok().map(|info| info.name).filter(|name| !name.is_empty())
}

fn parse(nested: &[LinkXdp]) -> Option<(Place, u32)> {
    let place = nested.iter().find_map(|attribute| match attribute {
        LinkXdp::Attached(XdpAttached::Driver) => Some(Place::Native),
        LinkXdp::Attached(XdpAttached::SocketBuffer) => Some(Place::Generic),
        LinkXdp::Attached(XdpAttached::Hardware) => Some(Place::Offload),
        LinkXdp::Attached(XdpAttached::Multiple) => Some(Place::Several),
        _ => None,
    })?;
    // With several programs there is no `ProgId`; any one of them shows whose they are.
    let id = nested.iter().find_map(|attribute| match attribute {
        LinkXdp::ProgId(id) | LinkXdp::DrvProgId(id) | LinkXdp::SkbProgId(id) | LinkXdp::HwProgId(id) => {
            Some(*id)
        }
        _ => None,
    })?;
    Some((place, id))
}

fn get_link(ifindex: u32) -> io::Result<LinkMessage> {
    let mut request = LinkMessage::default();
    request.header.index = ifindex;
    let mut message = NetlinkMessage::from(RouteNetlinkMessage::GetLink(request));
    message.header.flags = NLM_F_REQUEST;
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);

    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    socket.send(&bytes, 0)?;
    let (reply, _) = socket.recv_from_full()?;
    let reply = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&reply).map_err(io::Error::other)?;
    match reply.payload {
        NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(link)) => Ok(link),
        NetlinkPayload::Error(error) => Err(error.to_io()),
        other => Err(io::Error::other(format!("unexpected answer to RTM_GETLINK: {other:?}"))),
    }
}
