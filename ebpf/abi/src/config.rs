//! Constants that specialise one loaded program. They are read-only data, so the verifier removes what they turn off.

use crate::balance::BALANCER_WORDS;
use crate::classify::WORDS;
use crate::count::MAX_SLOTS;
use crate::failsafe::{FailsafePort, FailsafeSource, MAX_FAILSAFE_PORTS, MAX_FAILSAFE_SOURCES};
use crate::large::{TREES, family, leaf};
use crate::set::MAX_SETS;
use crate::straight::{MAX_STRAIGHT, Straight};

/// Where a dimension's look-up ends.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct Dimension {
    /// Number of intervals of a searched dimension; 0 for the directly indexed ones, but for `dimension::PAYLOADS` and
    /// `dimension::SOURCE_SETS`.
    pub intervals: u32,
    /// First of the special rows (`ABSENT`, `LATER`) in the rows; 0 where the dimension is unused.
    pub special: u32,
}

/// Index of each dimension in [`Config::dimensions`].
pub mod dimension {
    use crate::payload::{MAX_PATTERNS, PATTERNS_OF_GROUP};
    use crate::set::MAX_SETS;

    /// Directly indexed by `kind::of`; `DIRECT[DIRECT_KIND + kind]`.
    pub const KIND: usize = 0;
    /// Directly indexed by the upper-layer protocol, 256 = unknown or not IP; `DIRECT[DIRECT_PROTOCOL + protocol]`.
    pub const PROTOCOL: usize = 1;
    pub const SOURCE_V4: usize = 2;
    pub const DESTINATION_V4: usize = 3;
    pub const SOURCE_V6: usize = 4;
    pub const DESTINATION_V6: usize = 5;
    pub const SOURCE_PORT: usize = 6;
    pub const DESTINATION_PORT: usize = 7;
    /// Directly indexed by the flags byte; `DIRECT[DIRECT_TCP_FLAGS + flags]`.
    pub const TCP_FLAGS: usize = 8;
    /// Searched by `type << 8 | code`, plus 0x1_0000 for ICMPv6.
    pub const ICMP: usize = 9;
    /// Directly indexed by TTL or hop limit; `DIRECT[DIRECT_HOP_LIMIT + limit]`.
    pub const HOP_LIMIT: usize = 10;
    /// Directly indexed by DSCP and ECN, the byte that they share; `DIRECT[DIRECT_TRAFFIC_CLASS + class]`.
    pub const TRAFFIC_CLASS: usize = 11;
    /// Searched by the length of the IP packet, its header included, as that header says.
    pub const LENGTH: usize = 12;
    /// Searched by the id of the outer or only VLAN tag, `NO_VLAN` where there is none.
    pub const OUTER_VLAN: usize = 13;
    /// Likewise, of the second tag.
    pub const INNER_VLAN: usize = 14;
    /// Searched; absent where the frame has a length instead.
    pub const ETHER_TYPE: usize = 15;
    /// Searched by the address as a number of 48 bits ([`Bound64`](crate::Bound64)).
    pub const SOURCE_MAC: usize = 16;
    pub const DESTINATION_MAC: usize = 17;
    /// Directly indexed by what `ip_options` says of an IPv4 header; `DIRECT[DIRECT_IP_OPTIONS + options]`.
    pub const IP_OPTIONS: usize = 18;
    /// Directly indexed by the extension headers in an IPv6 packet, the bits of `extension_headers`;
    /// `DIRECT[DIRECT_EXTENSION_HEADERS + headers]`.
    pub const EXTENSION_HEADERS: usize = 19;
    /// The first of four: group `g` of the patterns that hold, eight bits, is dimension `PAYLOADS + g`, directly indexed;
    /// `DIRECT[payload_group(g) + bits]`, and `PAYLOAD_LATER` behind it for later fragments. The first one's
    /// [`Dimension::intervals`](super::Dimension::intervals) is the number of patterns.
    pub const PAYLOADS: usize = 20;
    pub const PAYLOAD_GROUPS: usize = MAX_PATTERNS / PATTERNS_OF_GROUP;
    /// Not one row but the OR of several: of [`Dimension::special`](super::Dimension::special), the entries that ask for no
    /// set, and of `DIRECT[DIRECT_SOURCE_SETS + set]` for each set that the source is in. The sets that any entry asks for
    /// are the bits of [`Dimension::intervals`](super::Dimension::intervals); the others' elements mean nothing.
    pub const SOURCE_SETS: usize = PAYLOADS + PAYLOAD_GROUPS;
    /// Likewise, of the destination.
    pub const DESTINATION_SETS: usize = SOURCE_SETS + 1;
    /// Directly indexed by whether a connection of the node's own takes the packet; `DIRECT[DIRECT_ESTABLISHED + 0 or 1]`.
    pub const ESTABLISHED: usize = DESTINATION_SETS + 1;
    pub const COUNT: usize = ESTABLISHED + 1;

    /// The first of the dimensions that few policies use: their fields are read and looked up apart from the others'.
    pub const FIRST_DETAIL: usize = HOP_LIMIT;

    /// Stands for "no tag" among VLAN ids.
    pub const NO_VLAN: u32 = 4096;

    /// Layout of the one directly indexed table, which ends behind the last dimension in use.
    pub const DIRECT_KIND: u32 = 0;
    pub const DIRECT_PROTOCOL: u32 = DIRECT_KIND + 32;
    pub const DIRECT_TCP_FLAGS: u32 = DIRECT_PROTOCOL + 257;
    pub const DIRECT_HOP_LIMIT: u32 = DIRECT_TCP_FLAGS + 256;
    pub const DIRECT_TRAFFIC_CLASS: u32 = DIRECT_HOP_LIMIT + 256;
    pub const DIRECT_IP_OPTIONS: u32 = DIRECT_TRAFFIC_CLASS + 256;
    pub const DIRECT_EXTENSION_HEADERS: u32 = DIRECT_IP_OPTIONS + 257;
    pub const DIRECT_PAYLOADS: u32 = DIRECT_EXTENSION_HEADERS + 256;
    /// From a group's elements to those for later fragments.
    pub const PAYLOAD_LATER: u32 = 1 << PATTERNS_OF_GROUP;
    pub const DIRECT_SOURCE_SETS: u32 = payload_group(PAYLOAD_GROUPS);
    pub const DIRECT_DESTINATION_SETS: u32 = DIRECT_SOURCE_SETS + MAX_SETS as u32;
    pub const DIRECT_ESTABLISHED: u32 = DIRECT_DESTINATION_SETS + MAX_SETS as u32;
    pub const DIRECT_LEN: u32 = DIRECT_ESTABLISHED + 2;

    /// The first element of a group.
    #[inline(always)]
    pub const fn payload_group(group: usize) -> u32 {
        DIRECT_PAYLOADS + 2 * PAYLOAD_LATER * group as u32
    }
}

/// Bits of [`Config::features`]; a clear bit removes the code.
pub mod features {
    /// One bit per dimension, at the dimension's index; the stages' bits are above all of them.
    pub const fn dimension(index: usize) -> u64 {
        1 << index
    }
    /// Any of the groups of patterns.
    pub const PAYLOADS: u64 =
        dimension(super::dimension::SOURCE_SETS) - dimension(super::dimension::PAYLOADS);
    /// Some entry asks for address sets.
    pub const SETS: u64 =
        dimension(super::dimension::SOURCE_SETS) | dimension(super::dimension::DESTINATION_SETS);
    /// Any of the dimensions from [`dimension::FIRST_DETAIL`](super::dimension::FIRST_DETAIL) on.
    pub const DETAILS: u64 = dimension(super::dimension::COUNT) - dimension(super::dimension::FIRST_DETAIL);
    /// There is at least one entry.
    pub const ENTRIES: u64 = 1 << 32;
    /// Some entry may continue (Next, Count, RateLimit, Mark, Audit).
    pub const CONTINUING: u64 = 1 << 33;
    pub const FAILSAFE: u64 = 1 << 34;
    pub const BALANCER: u64 = 1 << 35;
    pub const DECAP: u64 = 1 << 36;
    /// The entries are few and simple: `Config::straight` has them, and there are no rows.
    pub const STRAIGHT: u64 = 1 << 37;
    /// More entries than bits: trees beside the rows.
    pub const LARGE: u64 = 1 << 38;
    /// Some entry limits a rate.
    pub const LIMITS: u64 = 1 << 39;
    /// Some entry marks.
    pub const MARKS: u64 = 1 << 40;
    /// Packets leave by the interface: this node's end is their source.
    pub const EGRESS: u64 = 1 << 41;
}

/// The program's read-only global `CONFIG`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct Config {
    pub features: u64,
    /// Seeds the hash of rate limits, so that nobody outside knows who shares a bucket. The same for all programs of a
    /// node, which share the buckets.
    pub limit_seed: u64,
    /// Words of a row in use, 1..=WORDS.
    pub words: u32,
    /// Slots of the counters: `MAX_SLOTS`, or less where they belong to one test.
    pub slots: u32,
    pub dimensions: [Dimension; crate::dimension::COUNT],
    /// Entries that apply on this interface: the agent sets the bits of the filters that select it.
    pub mask: [u64; WORDS],
    /// Balancers (`Vip::balancer`) that apply on this interface.
    pub balancers: [u64; BALANCER_WORDS],
    /// Ports of this node that failsafe keeps open; unused ones are zero.
    pub failsafe_ports: [FailsafePort; MAX_FAILSAFE_PORTS],
    /// Unused ones behind the others.
    pub failsafe_sources: [FailsafeSource; MAX_FAILSAFE_SOURCES],
    /// Bits (`failsafe_bit`) of those ports and of `PROTOCOL_PORTS`, so that one test tells most packets apart.
    pub failsafe_filter: u64,
    /// Where the features have `STRAIGHT`.
    pub straight: [Straight; MAX_STRAIGHT],
    /// Failsafe packets per second of one source above which the rules apply again.
    pub failsafe_rate: u32,
    /// Tokens that a source may save up.
    pub failsafe_burst: u32,
    /// Words of a row whose bits are entries; those behind them are columns.
    pub wide_words: u32,
    /// Bits of the failsafe ports, by index, that are reached from everywhere.
    pub failsafe_open: u32,
    /// Root of each tree, as a child of a node; `leaf::EMPTY` behind the last one of a family.
    pub roots: [[u32; TREES]; family::COUNT],
    /// Place of each set of the plan ([`crate::set_place`]): places belong to the node.
    pub set_places: [u32; MAX_SETS],
    /// Last index of each [`table`](crate::table), a power of two less one; what the table does not have is zero.
    pub last: [u32; crate::table::COUNT],
}

impl Config {
    /// No entries, no failsafe, no balancer: everything passes.
    pub const EMPTY: Config = Config {
        features: 0,
        limit_seed: 0,
        words: 1,
        slots: MAX_SLOTS,
        dimensions: [Dimension { intervals: 0, special: 0 }; crate::dimension::COUNT],
        mask: [0; WORDS],
        balancers: [0; BALANCER_WORDS],
        failsafe_ports: [FailsafePort { port: 0, protocol: 0, reserved: 0 }; MAX_FAILSAFE_PORTS],
        failsafe_sources: [FailsafeSource { address: [0; 2], mask: [0; 2], family: 0, ports: 0 };
            MAX_FAILSAFE_SOURCES],
        failsafe_filter: 0,
        straight: [Straight {
            source: [0; 2],
            source_mask: [0; 2],
            destination: [0; 2],
            destination_mask: [0; 2],
            source_ports: [0; 2],
            destination_ports: [0; 2],
            tests: 0,
            protocol: 0,
            action: 0,
            entry: 0,
            slot: 0,
            source_sets: 0,
            destination_sets: 0,
        }; MAX_STRAIGHT],
        failsafe_rate: 0,
        failsafe_burst: 0,
        wide_words: 1,
        failsafe_open: 0,
        roots: [[leaf::EMPTY; TREES]; family::COUNT],
        set_places: [0; MAX_SETS],
        last: [0; crate::table::COUNT],
    };
}

impl Default for Config {
    fn default() -> Self {
        Config::EMPTY
    }
}
