//! The rule classifier's tables.
//!
//! All filters of a node are flattened into one ordered list of entries: whether each filter passes established
//! connections, its rules, what it does with malformed packets, its default action. A packet is looked up once per
//! dimension (kind, protocol, source …); each look-up ends in a [`Row`], one bit per entry that the packet's value
//! satisfies. The AND of the rows holds the entries that match; the lowest bit is the first match. More entries than a
//! row has bits are looked up by trees; see `large.rs`.

/// 64-bit words of a row.
pub const WORDS: usize = 16;
/// Bits of a row: one for each entry of a node that has no more; otherwise see [`crate::leaf`] and its neighbours.
pub const MAX_BITS: usize = WORDS * 64;
/// Most entries on one node: 10,000 rules, and three more entries of each of 64 filters.
pub const MAX_ENTRIES: usize = 10_240;

/// Entries that one value of a dimension satisfies; entry `i` is bit `i % 64` of word `i / 64`.
pub type Row = [u64; WORDS];

/// Offset, in the special rows of a dimension that a packet may lack, of the row for "the packet has no such field".
pub const ABSENT: u32 = 0;
/// Offset of the row for "a later fragment, whose field is in the first one".
pub const LATER: u32 = 1;

/// Values of the kind dimension: family × fragment × malformed, `0..KINDS`.
pub mod kind {
    /// No intact IP header.
    pub const FAMILY_NONE: u32 = 0;
    pub const FAMILY_V4: u32 = 1;
    pub const FAMILY_V6: u32 = 2;
    /// Not a fragment (an IPv6 atomic fragment, RFC 6946, is none either).
    pub const WHOLE: u32 = 0;
    pub const FIRST: u32 = 1;
    /// First fragment without its whole layer-4 header (RFC 1858).
    pub const FIRST_TINY: u32 = 2;
    pub const LATER: u32 = 3;
    /// Later fragment at offset 1 (8 bytes), which could overwrite the header.
    pub const LATER_TINY: u32 = 4;
    pub const KINDS: u32 = 3 * 5 * 2;

    #[inline(always)]
    pub const fn of(family: u32, fragment: u32, malformed: bool) -> u32 {
        (family * 5 + fragment) * 2 + malformed as u32
    }
}

/// One interval of a 32-bit dimension: values from `start` up to the next element's start.
/// Elements are sorted, the first starts at 0, and IPv4 addresses are compared as host-order numbers.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct Bound32 {
    pub start: u32,
    /// Index into the rows.
    pub row: u32,
}

/// One interval of a dimension of up to 63 bits.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct Bound64 {
    pub start: u64,
    pub row: u32,
    pub reserved: u32,
}

/// One interval of the IPv6 address space; `high` and `low` are the host-order halves of its first address.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct Bound128 {
    pub high: u64,
    pub low: u64,
    pub row: u32,
    pub reserved: u32,
}

/// What a matched entry does.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct Entry {
    /// An [`EntryAction`] as a number.
    pub action: u8,
    /// Bits of [`entry_flags`].
    pub flags: u8,
    /// First entry of the next filter: where evaluation goes on after Next or an audited filter.
    pub next_filter: u16,
    /// Position of the filter in the plan.
    pub filter: u16,
    /// Position of the rule in its filter, or [`DEFAULT_ENTRY`], [`MALFORMED_ENTRY`] or [`ESTABLISHED_ENTRY`].
    pub rule: u16,
    /// Index of what the action needs to know: of RateLimit into the limits, of Mark into the
    /// marks; 0 for the others.
    pub setting: u16,
    /// The entry's counter slot; the loader sets it.
    pub slot: u16,
}

/// [`Entry::rule`] of a filter's default action.
pub const DEFAULT_ENTRY: u16 = u16::MAX;
/// [`Entry::rule`] of what a filter does with malformed packets that none of its rules decided.
pub const MALFORMED_ENTRY: u16 = u16::MAX - 1;
/// [`Entry::rule`] of packets that connections of the node's own take.
pub const ESTABLISHED_ENTRY: u16 = u16::MAX - 2;

#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryAction {
    Pass = 0,
    Drop = 1,
    /// Leave this filter at once.
    Next = 2,
    /// Go on with the next entry.
    Count = 3,
    /// Above the rate of [`Entry::setting`]: Drop; within it: go on with the next entry.
    RateLimit = 4,
    /// Mark as [`Entry::setting`] says, and go on with the next entry.
    Mark = 5,
}

pub mod entry_flags {
    /// The rule is in Audit: it never decides; evaluation goes on with the next entry.
    pub const AUDIT_RULE: u8 = 1;
    /// The filter is in Audit: its first match never decides; evaluation goes on with the next filter.
    pub const AUDIT_FILTER: u8 = 2;
    /// For a later fragment the action is Drop (`laterFragments: Drop` of a rule with layer-4 fields).
    pub const DROP_LATER: u8 = 4;
}
