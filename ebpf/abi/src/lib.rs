//! The plain data that the kernel program and user space share: map elements, the constants that specialise a
//! program, counters. Integers are in host byte order unless a field says otherwise; every type is `repr(C)` without
//! implicit padding, so that its bytes can be hashed, written to a map and read back.
#![no_std]

mod balance;
mod classify;
mod config;
mod count;
mod failsafe;
mod trace;

pub use balance::{DecapPeer, HopState, NextHop, Target, VipKey, Vip, NO_TARGET};
pub use classify::{
    Bound32, Bound128, Entry, EntryAction, Row, ABSENT, DEFAULT_ENTRY, LATER, MALFORMED_ENTRY, MAX_ENTRIES, WORDS,
    entry_flags, kind,
};
pub use config::{Config, Dimension, dimension, features};
pub use count::{Counted, Counter, MAX_SLOTS, STAGED_OFFSET, VERDICTS, Stat, STATS};
pub use failsafe::{ControlPeer, FAILSAFE_BUCKETS, FailsafePort, NodeAddress, MAX_FAILSAFE_PORTS};
pub use trace::{Stage, Trace};

/// An IP address as 16 bytes in network order; an IPv4 address is `::ffff:a.b.c.d`, so that one key serves both.
pub type Address = [u8; 16];
