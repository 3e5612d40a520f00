//! The plain data that the kernel program and user space share: map elements, the constants that specialise a
//! program, counters. Integers are in host byte order unless a field says otherwise; every type is `repr(C)` without
//! implicit padding, so that its bytes can be hashed, written to a map and read back.
#![no_std]

mod balance;
mod classify;
mod config;
mod count;
mod exception;
mod failsafe;
mod headers;
mod large;
mod limit;
mod mark;
mod payload;
mod sample;
mod set;
mod straight;
pub mod table;
mod trace;
pub mod trie;

pub use balance::{
    BALANCER_WORDS, DecapPeer, HopState, MAX_BALANCERS, NO_TARGET, NextHop, Target, Vip, VipKey,
};
pub use classify::{
    ABSENT, Bound32, Bound64, Bound128, DEFAULT_ENTRY, ESTABLISHED_ENTRY, Entry, EntryAction, LATER,
    MALFORMED_ENTRY, MAX_BITS, MAX_ENTRIES, Row, WORDS, entry_flags, kind,
};
pub use config::{Config, Dimension, dimension, features};
pub use count::{Counted, Counter, MAX_SLOTS, STAGED_OFFSET, STATS, Stat, VERDICTS};
pub use exception::{
    ERRNOS, EXCEPTION_ACTIONS, EXCEPTION_FORWARD, EXCEPTION_REDIRECT, EXCEPTION_TRANSMIT, EXCEPTIONS,
};
pub use failsafe::{
    Bucket, ControlPeer, FAILSAFE_BUCKETS, FailsafePort, FailsafeSource, MAX_FAILSAFE_PORTS,
    MAX_FAILSAFE_SOURCES, MAX_NODE_SET, NodeAddress, PROTOCOL_PORTS, failsafe_bit,
};
pub use headers::{extension_headers, ip_options};
pub use large::{
    Bit, MAX_CHILDREN, MAX_DEPTH, MAX_LEAF, MAX_RECORDS, MAX_SLICES, NO_ENTRY, NO_FILTER, Node, Record,
    RecordV4, RecordV6, TREES, family, leaf, record_flags, word,
};
pub use limit::{COST_DIGITS, FullAt, LIMIT_BUCKETS, LIMIT_REGIONS, Limit, LimitKey, UNITS_PER_NS};
pub use mark::{MARK_TAG, Mark, MarkMetadata};
pub use payload::{MAX_PATTERNS, PATTERN_BYTES, PATTERNS_OF_GROUP, Pattern, PatternLayer};
pub use sample::{SAMPLE_BYTES, SAMPLE_RING, Sample, Sampling};
pub use set::{
    BucketV4, BucketV6, CUT_BUCKET, MAX_SETS, SET_BLOCK, SET_CELLS, SET_DEPTH, SET_PLACES, SET_SEARCH_STEPS,
    SetHead, SetNode, set_place,
};
pub use straight::{MAX_STRAIGHT, Straight, tests};
pub use trace::{Stage, Trace};

/// An IP address as 16 bytes in network order; an IPv4 address is `::ffff:a.b.c.d`, so that one key serves both.
pub type Address = [u8; 16];
