//! From lists of prefixes to the contents of sets. Pure.
//!
//! # Guarantees
//! A list is read whole or not at all: one line that is no prefix, and the reading is a [`Fault`] with that line. A set
//! whose parts cannot all be had keeps the contents that it has; half a set is never made.

mod contents;
mod guard;
mod list;
mod resolve;

pub use contents::Contents;
pub use guard::check_reading;
pub use list::{AddressList, Fault, ListState, read_list};
pub use resolve::{Resolution, Unresolved, resolve};
