//! What the parser leaves for the other stages.

use core::mem::MaybeUninit;

use sluice_abi::{ABSENT, Address, LATER, kind};

use crate::frame::{self, Context};

/// Set in a field that has no value; the low bits are then the offset of its special row.
pub const SPECIAL: u32 = 1 << 31;
/// The packet has no such field.
pub const FIELD_ABSENT: u32 = SPECIAL | ABSENT;
/// The field is in the first fragment, and this is a later one.
pub const FIELD_LATER: u32 = SPECIAL | LATER;
/// Protocol of a packet whose upper layer cannot be known.
pub const UNKNOWN_PROTOCOL: u32 = 256;

pub mod ether_type {
    pub const IPV4: u32 = 0x0800;
    pub const ARP: u32 = 0x0806;
    pub const IPV6: u32 = 0x86dd;
    pub const SLOW: u32 = 0x8809;
    pub const LLDP: u32 = 0x88cc;
    /// Below it, the field is a length (IEEE 802.3).
    pub const FIRST: u32 = 0x0600;
}

/// IANA, Assigned Internet Protocol Numbers.
pub mod protocol {
    pub const ICMP: u32 = 1;
    pub const IGMP: u32 = 2;
    pub const IPIP: u32 = 4;
    pub const TCP: u32 = 6;
    pub const UDP: u32 = 17;
    pub const DCCP: u32 = 33;
    pub const IPV6: u32 = 41;
    pub const ICMPV6: u32 = 58;
    pub const OSPF: u32 = 89;
    pub const VRRP: u32 = 112;
    pub const SCTP: u32 = 132;
    pub const UDP_LITE: u32 = 136;
}

/// Without padding: older kernels refuse to pass uninitialised bytes to a function.
#[repr(C)]
pub struct Packet {
    /// High and low half in host order; IPv4 as `::ffff:a.b.c.d`.
    pub source: [u64; 2],
    pub destination: [u64; 2],
    /// Frame length.
    pub length: u32,
    /// Behind the VLAN tags; 0 where the frame ends before it.
    pub ether_type: u32,
    /// One of `kind::FAMILY_*`.
    pub family: u32,
    /// One of `kind::WHOLE` to `kind::LATER_TINY`.
    pub fragment: u32,
    pub malformed: u32,
    /// TTL or hop limit.
    pub hop_limit: u32,
    /// Upper-layer protocol or [`UNKNOWN_PROTOCOL`].
    pub protocol: u32,
    /// A value, [`FIELD_ABSENT`] or [`FIELD_LATER`]; so are the next three.
    pub source_port: u32,
    pub destination_port: u32,
    pub tcp_flags: u32,
    /// `type << 8 | code`, plus 0x1_0000 for ICMPv6.
    pub icmp: u32,
    /// Offset of the IP header.
    pub network: u32,
    /// Offset of what the IP header carries, 0 if it cannot be read.
    pub transport: u32,
    /// Where the IP packet ends.
    pub end: u32,
    pub ingress: u32,
    /// A test run: counts apart, leaves a trace.
    pub staged: u32,
    /// It came out of a tunnel.
    pub decapsulated: u32,
    /// Sets of the plan that the addresses are in, as bits; read where an entry asks for sets, else 0.
    pub source_sets: u32,
    pub destination_sets: u32,
    /// A connection of the node's own takes it; read where an entry asks for that, else 0.
    pub established: u32,
    /// Read where a rate is limited, else 0.
    pub source_mac: u64,
    /// What rules made of the packet's mark, and which bits of it.
    pub mark: u32,
    pub mark_mask: u32,
}

impl Packet {
    /// Nothing is known yet. Word by word and volatile: the compiler would call a loop over bytes.
    #[inline(always)]
    pub fn unread(place: &mut MaybeUninit<Packet>, context: *mut Context) {
        let packet = place.as_mut_ptr();
        for word in 0..size_of::<Packet>() / size_of::<u64>() {
            // SAFETY: within the packet.
            unsafe { packet.cast::<u64>().add(word).write_volatile(0) };
        }
        // SAFETY: all of it is set, and zero is a value of every field.
        let packet = unsafe { &mut *packet };
        packet.protocol = UNKNOWN_PROTOCOL;
        packet.source_port = FIELD_ABSENT;
        packet.destination_port = FIELD_ABSENT;
        packet.tcp_flags = FIELD_ABSENT;
        packet.icmp = FIELD_ABSENT;
        packet.ingress = frame::interface(context);
        // Interface 1 is the loopback, which nothing is ever attached to.
        packet.staged = (packet.ingress == 1) as u32;
    }

    /// Field by field and volatile: the compiler would join neighbours to stores that are not aligned, which the stack
    /// does not take.
    #[inline(always)]
    pub fn set(place: &mut MaybeUninit<Packet>, value: Packet) {
        let packet = place.as_mut_ptr();
        macro_rules! set {
            ($($field:ident $([$half:literal])?),*) => {
                // SAFETY: fields of the packet.
                unsafe { $((&raw mut (*packet).$field$([$half])?).write_volatile(value.$field$([$half])?);)* }
            };
        }
        set!(source[0], source[1], destination[0], destination[1]);
        set!(length, ether_type, family, fragment, malformed, hop_limit, protocol);
        set!(source_port, destination_port, tcp_flags, icmp, network, transport, end, ingress, staged);
        set!(decapsulated, source_sets, destination_sets, established, source_mac, mark, mark_mask);
    }

    #[inline(always)]
    pub fn is_later(&self) -> bool {
        self.fragment >= kind::LATER
    }

    /// One of its addresses in the form of the maps' keys. `None` for an IPv4-mapped address in an IPv6 packet: its
    /// key would be that of the IPv4 address, and what is open to one is not open to the other.
    #[inline(always)]
    pub fn key(&self, [high, low]: [u64; 2]) -> Option<Address> {
        let poses_as_v4 = self.family == kind::FAMILY_V6 && high == 0 && low >> 32 == 0xffff;
        (!poses_as_v4).then(|| address([high, low]))
    }
}

/// An address in the form of the maps' keys.
#[inline(always)]
pub fn address([high, low]: [u64; 2]) -> Address {
    // SAFETY: 16 plain bytes both.
    unsafe { core::mem::transmute([high.to_be(), low.to_be()]) }
}

/// An IPv4 address (host order) as halves of its IPv6-mapped form.
#[inline(always)]
pub fn mapped(address: u32) -> [u64; 2] {
    [0, 0xffff_0000_0000 | address as u64]
}
