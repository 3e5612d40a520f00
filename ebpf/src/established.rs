//! Whether a connection of the node's own takes the packet: there is a socket that is connected to where it comes from,
//! or to where a packet went that an ICMP error is about. Those that listen, or are connected to nobody, open nothing.

mod quoted;

use core::ptr::read_volatile;

use aya_ebpf::bindings::{
    BPF_F_CURRENT_NETNS, BPF_TCP_ESTABLISHED, BPF_TCP_LISTEN, BPF_TCP_NEW_SYN_RECV, bpf_sock,
};
use aya_ebpf::helpers::generated::{bpf_sk_lookup_udp, bpf_sk_release, bpf_skc_lookup_tcp};
use sluice_abi::{dimension::ESTABLISHED, features, kind};

use crate::constants::enabled;
use crate::frame::{Context, Frame};
use crate::packet::{Packet, SPECIAL, protocol};

/// The interface's own.
const NAMESPACE: u64 = BPF_F_CURRENT_NETNS as u64;
const SYN: u32 = 0x02;
const ACK: u32 = 0x10;

/// Leaves it in the packet. A global function, or the ways through the kinds of sockets would multiply with those through
/// everything else.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn look_up_connection(context: *mut Context, packet: *mut Packet) -> u32 {
    // SAFETY: the caller's packet, or null in the verifier's eyes.
    let Some(packet) = (unsafe { packet.as_mut() }) else { return 0 };
    // The sockets of whoever runs a test are not those of the node.
    if !enabled(features::dimension(ESTABLISHED)) || packet.staged != 0 || packet.malformed != 0 {
        return 0;
    }
    let connection = if packet.icmp & SPECIAL == 0 {
        quoted::connection(Frame::new(context), packet)
    } else {
        Connection::replied_by(packet)
    };
    packet.established = connection.is_some_and(|connection| connection.is_known(context)) as u32;
    1
}

/// As the node sees it. Addresses as those of a packet.
struct Connection {
    family: u32,
    protocol: u32,
    remote: [u64; 2],
    local: [u64; 2],
    remote_port: u16,
    local_port: u16,
}

impl Connection {
    #[inline(always)]
    fn replied_by(packet: &Packet) -> Option<Connection> {
        let has_ports = (packet.source_port | packet.destination_port) & SPECIAL == 0;
        // What begins a connection is a reply to none.
        let begins = packet.protocol == protocol::TCP && packet.tcp_flags & (SYN | ACK) == SYN;
        (has_ports && !begins).then(|| Connection {
            family: packet.family,
            protocol: packet.protocol,
            remote: packet.source,
            local: packet.destination,
            remote_port: packet.source_port as u16,
            local_port: packet.destination_port as u16,
        })
    }

    #[inline(always)]
    fn is_known(&self, context: *mut Context) -> bool {
        let mut tuple = Tuple::of(self);
        match self.protocol {
            protocol::TCP => is_tcp(context, &mut tuple),
            protocol::UDP => is_udp(context, &mut tuple, self.remote_port),
            _ => false,
        }
    }
}

/// The kernel's `bpf_sock_tuple`, whose source is the remote end.
struct Tuple {
    words: [u32; IPV6 / size_of::<u32>()],
    length: u32,
}

/// Bytes of a tuple: two addresses and two ports.
const IPV4: usize = 12;
const IPV6: usize = 36;

impl Tuple {
    #[inline(always)]
    fn of(connection: &Connection) -> Tuple {
        const { assert!(cfg!(target_endian = "little")) };
        let port = |number: u16| number.to_be() as u32;
        let ports = port(connection.remote_port) | port(connection.local_port) << 16;
        let [from, to] = [connection.remote, connection.local];
        if connection.family == kind::FAMILY_V4 {
            let words = [low(from[1]), low(to[1]), ports, 0, 0, 0, 0, 0, 0];
            return Tuple { words, length: IPV4 as u32 };
        }
        let [a, b, c, d] = [high(from[0]), low(from[0]), high(from[1]), low(from[1])];
        let words = [a, b, c, d, high(to[0]), low(to[0]), high(to[1]), low(to[1]), ports];
        Tuple { words, length: IPV6 as u32 }
    }
}

/// Half of half an address, in network order.
#[inline(always)]
fn high(half: u64) -> u32 {
    low(half >> 32)
}

#[inline(always)]
fn low(half: u64) -> u32 {
    (half as u32).to_be()
}

/// A request that the node has not yet answered for is as good as a listening socket: the rules have let it in, or not.
#[inline(always)]
fn is_tcp(context: *mut Context, tuple: &mut Tuple) -> bool {
    let words = (&raw mut tuple.words).cast();
    // SAFETY: the context is the one that the kernel gave, the tuple is as long as said, and the socket is released.
    unsafe {
        let socket = bpf_skc_lookup_tcp(context.cast(), words, tuple.length, NAMESPACE, 0);
        taken_by(socket, |socket| {
            let state = read_volatile(&raw const (*socket).state);
            state != BPF_TCP_LISTEN && state != BPF_TCP_NEW_SYN_RECV
        })
    }
}

#[inline(always)]
fn is_udp(context: *mut Context, tuple: &mut Tuple, remote_port: u16) -> bool {
    let words = (&raw mut tuple.words).cast();
    // SAFETY: as above.
    unsafe {
        let socket = bpf_sk_lookup_udp(context.cast(), words, tuple.length, NAMESPACE, 0);
        taken_by(socket, |socket| {
            let port = read_volatile(&raw const (*socket).dst_port);
            read_volatile(&raw const (*socket).state) == BPF_TCP_ESTABLISHED && port == remote_port.to_be()
        })
    }
}

/// Asks a socket, if there is one, and releases it.
///
/// # Safety
/// The socket is the look-up's and not yet released.
#[inline(always)]
unsafe fn taken_by(socket: *mut bpf_sock, asks: impl FnOnce(*mut bpf_sock) -> bool) -> bool {
    if socket.is_null() {
        return false;
    }
    let taken = asks(socket);
    // SAFETY: as the caller says; nothing reads it from here on.
    unsafe { bpf_sk_release(socket.cast()) };
    taken
}
