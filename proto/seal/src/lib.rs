//! What makes a plan the operator's: a signature over the node, the epoch and all that the node is to enforce, and the
//! certificate of the key that it was made with.
//!
//! Operator and agent share one [`Statement`], so that both mean the same bytes. The agent knows no key: it knows the
//! fleet's authority, which certifies a key for a while and for this purpose. So a key is replaced without a word to the
//! nodes, and two are good at the same time.
//!
//! # Guarantees
//! * What a seal was made for is good for no other node, store, epoch or set of resources.
//! * Time is passed in; nothing here reads a clock.

mod signer;
mod statement;
mod trust;

pub use signer::Signer;
pub use statement::Statement;
pub use trust::{ROLE, Refused, Trust, Unreadable};

use serde::{Deserialize, Serialize};

/// Proves a [`Statement`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
    /// DER, of the key.
    pub certificate: Vec<u8>,
    /// Ed25519.
    pub signature: Vec<u8>,
}
