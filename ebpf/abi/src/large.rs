//! The classifier's tables for more entries than a row has bits.
//!
//! *Bits.* With [`features::LARGE`](crate::features::LARGE) a bit of a row is no longer an entry. The first
//! [`Config::wide_words`](crate::Config::wide_words) words hold **wide** entries, in order: those that ask for neither
//! addresses, protocol nor ports (defaults, malformed packets, ICMP …), and those that no tree could tell from others.
//! The words behind hold **columns**: a column is what a filter's narrow entries ask for beside addresses, protocol and
//! ports (TCP flags, kind of fragment …), once for each distinct combination. `BITS` says which entry and filter a bit
//! belongs to, so that the mask of an interface works as ever. All bits are looked up by rows, as with few entries.
//!
//! *Records.* A **narrow** entry is one [`Record`] for each combination of the items in its lists of addresses,
//! protocols and ports. It matches if every interval holds the packet's value and the row has its column's bit.
//!
//! *Trees.* Records lie in up to [`TREES`] trees, for each family apart: which one, says what narrows the record down
//! best, because a record that is wide where its tree cuts would stand in each leaf. A [`Node`] cuts one [`word`] of the
//! packet into slices of 2^shift values from `low` on; what lies outside takes the last child. A child is a number:
//! a node's index, or a [`leaf`], the place of at most [`MAX_LEAF`] records in the order of their entries. Equal leaves,
//! child lists and nodes are stored once. A way has at most [`MAX_DEPTH`] nodes.
//!
//! ```text
//! ROOTS[family][tree] -> NODES[n] -> CHILDREN[children + min((word - low) >> shift, last)] -> … -> RECORDS[start..]
//! ```
//!
//! *First match from an entry on.* The lowest of: the first wide bit from `RANKS[entry]` on, and in each tree's leaf the
//! first record from that entry on which matches.
//!
//! A port that a packet lacks is no number of 16 bits and so lies in no interval; flags of the record say what excuses
//! that ([`record_flags`]). Packets without an IP header take no tree: no narrow entry can match them.

/// Trees of one address family.
pub const TREES: usize = 4;
/// Most nodes on the way to a leaf.
pub const MAX_DEPTH: u32 = 8;
/// Most records in a leaf.
pub const MAX_LEAF: u32 = 32;
/// Most records in all leaves of one family.
pub const MAX_RECORDS: usize = 1 << 18;
/// Most elements of all child lists.
pub const MAX_CHILDREN: usize = 1 << 21;
/// Children of a node: its slices and what lies outside.
pub const MAX_SLICES: u64 = u16::MAX as u64;

/// The tree roots of a family in `Config::roots`.
pub mod family {
    pub const V4: usize = 0;
    pub const V6: usize = 1;
    pub const COUNT: usize = 2;
}

/// What a node can cut: halves of an address (an IPv4 address is the low half of its IPv6-mapped form), or a number.
pub mod word {
    pub const SOURCE_HIGH: usize = 0;
    pub const SOURCE_LOW: usize = 1;
    pub const DESTINATION_HIGH: usize = 2;
    pub const DESTINATION_LOW: usize = 3;
    pub const PROTOCOL: usize = 4;
    pub const SOURCE_PORT: usize = 5;
    pub const DESTINATION_PORT: usize = 6;
    pub const COUNT: usize = 7;
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct Node {
    /// First value of the first slice.
    pub low: u64,
    /// First child.
    pub children: u32,
    /// The child for values outside every slice; equals the number of slices.
    pub last: u16,
    /// One of [`word`].
    pub word: u8,
    /// log2 of a slice's width.
    pub shift: u8,
}

/// A child that is a leaf; any other is the index of a node.
pub mod leaf {
    pub const LEAF: u32 = 1 << 31;
    pub const EMPTY: u32 = LEAF;
    const COUNT_AT: u32 = 25;
    const START: u32 = (1 << COUNT_AT) - 1;

    const _: () = assert!(super::MAX_LEAF < 1 << (31 - COUNT_AT) && super::MAX_RECORDS <= START as usize);

    #[inline(always)]
    pub const fn of(start: u32, count: u32) -> u32 {
        LEAF | (count << COUNT_AT) | start
    }

    #[inline(always)]
    pub const fn is(child: u32) -> bool {
        child & LEAF != 0
    }

    #[inline(always)]
    pub const fn start(child: u32) -> u32 {
        child & START
    }

    #[inline(always)]
    pub const fn count(child: u32) -> u32 {
        (child >> COUNT_AT) & ((LEAF >> COUNT_AT) - 1)
    }
}

/// What a record asks for beside its addresses, and what to do: where no entry continues, a packet that matches it
/// needs no other table. Ends are included.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct Record {
    pub entry: u16,
    /// Bit of its column in the rows.
    pub column: u16,
    /// The entry's counter slot; the loader sets it.
    pub slot: u16,
    pub protocol: u8,
    /// Bits of [`record_flags`].
    pub flags: u8,
    pub first_source_port: u16,
    pub last_source_port: u16,
    pub first_destination_port: u16,
    pub last_destination_port: u16,
}

/// Flags that excuse a field which is not in its interval, and what the entry does.
pub mod record_flags {
    /// Any protocol will do, an unknown one too.
    pub const ANY_PROTOCOL: u8 = 1;
    /// Any source port will do, none too.
    pub const ANY_SOURCE_PORT: u8 = 2;
    pub const ANY_DESTINATION_PORT: u8 = 4;
    /// A later fragment, whose ports are in the first one, will do.
    pub const LATER: u8 = 8;
    /// The action is Drop; otherwise Pass, or one that continues.
    pub const DROPS: u8 = 16;
    /// For a later fragment the action is Drop.
    pub const DROPS_LATER: u8 = 32;
}

const _: () = assert!(crate::MAX_SLOTS <= u16::MAX as u32);

/// Host byte order; ends are included.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct RecordV4 {
    pub record: Record,
    pub first_source: u32,
    pub last_source: u32,
    pub first_destination: u32,
    pub last_destination: u32,
}

/// Each half of an address lies in an interval of its own, which says any prefix; ends are included.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct RecordV6 {
    pub record: Record,
    /// High half, low half.
    pub first_source: [u64; 2],
    pub last_source: [u64; 2],
    pub first_destination: [u64; 2],
    pub last_destination: [u64; 2],
}

/// What a bit of the rows stands for.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct Bit {
    /// The wide entry, or [`NO_ENTRY`].
    pub entry: u16,
    /// Position in the plan of the filter that it belongs to, or [`NO_FILTER`].
    pub filter: u16,
}

/// [`Bit::entry`] of a column, and of a bit between the wide entries and the columns.
pub const NO_ENTRY: u16 = u16::MAX;
/// [`Bit::filter`] of a bit between the wide entries and the columns.
pub const NO_FILTER: u16 = u16::MAX;
