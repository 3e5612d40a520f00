//! Lists of prefixes over HTTP and HTTPS, for address sets.
//!
//! # Guarantees
//! No connection is made to a [`forbidden`](Targets) address, whatever a name resolves to and wherever a redirect leads:
//! what was checked is what is connected to. A reading that is too large, cut short, too slow, unreadable or suspiciously
//! small leaves the last good one as it is.

mod body;
mod connect;
mod fetch;
mod follow;
mod keep;
mod target;

pub use fetch::{FetchError, Fetched, Fetcher, Validators};
pub use follow::{Known, KnownFeeds, fetch_once, follow};
pub use keep::{Kept, KeptFeed, read_kept};
pub use target::Targets;
