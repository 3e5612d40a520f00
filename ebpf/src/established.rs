//! Whether a connection of the node's own takes the packet: there is a socket that is connected to where it comes from.
//! Those that listen, or are connected to nobody, open nothing.

use core::ptr::read_volatile;

use aya_ebpf::bindings::{
    BPF_F_CURRENT_NETNS, BPF_TCP_ESTABLISHED, BPF_TCP_LISTEN, BPF_TCP_NEW_SYN_RECV, bpf_sock,
};
use aya_ebpf::helpers::generated::{bpf_sk_lookup_udp, bpf_sk_release, bpf_skc_lookup_tcp};
use sluice_abi::{dimension::ESTABLISHED, features, kind};

use crate::constants::enabled;
use crate::frame::Context;
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
    let is_asked = enabled(features::dimension(ESTABLISHED)) && packet.staged == 0;
    let has_ports = (packet.source_port | packet.destination_port) & SPECIAL == 0;
    if !is_asked || !has_ports || packet.malformed != 0 {
        return 0;
    }
    let mut tuple = Tuple::of(packet);
    let taken = match packet.protocol {
        // What begins a connection is a reply to none.
        protocol::TCP => packet.tcp_flags & (SYN | ACK) != SYN && is_tcp(context, &mut tuple),
        protocol::UDP => is_udp(context, &mut tuple, packet.source_port),
        _ => false,
    };
    packet.established = taken as u32;
    1
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
    fn of(packet: &Packet) -> Tuple {
        const { assert!(cfg!(target_endian = "little")) };
        let port = |number: u32| (number as u16).to_be() as u32;
        let ports = port(packet.source_port) | port(packet.destination_port) << 16;
        let [from, to] = [packet.source, packet.destination];
        if packet.family == kind::FAMILY_V4 {
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
fn is_udp(context: *mut Context, tuple: &mut Tuple, remote: u32) -> bool {
    let words = (&raw mut tuple.words).cast();
    // SAFETY: as above.
    unsafe {
        let socket = bpf_sk_lookup_udp(context.cast(), words, tuple.length, NAMESPACE, 0);
        taken_by(socket, |socket| {
            let port = read_volatile(&raw const (*socket).dst_port);
            read_volatile(&raw const (*socket).state) == BPF_TCP_ESTABLISHED
                && port == (remote as u16).to_be()
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
