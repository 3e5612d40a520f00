//! Who may speak to the operator: its certificate authority, join tokens, and the identity in a peer's certificate.
//!
//! In directory mode [`Directory`] keeps a generated authority on disk; in a cluster [`Authority::from_pem`] takes the
//! chart's Secret. There is no mode without TLS.
//!
//! # Guarantees
//! * The name in a node's certificate is the caller's, never the request's.
//! * Time is passed in; nothing here reads a clock.

mod authority;
mod credentials;
mod directory;
mod error;
mod files;
mod name;
mod peer;
mod tls;
mod token;

pub use authority::{Authority, KeyAndCertificate, NodeCertificate};
pub use credentials::Credentials;
pub use directory::Directory;
pub use error::PkiError;
pub use name::NodeName;
pub use peer::{Holder, Peer};
pub use tls::{accept, server_tls};
pub use token::{Ticket, Tokens, node_claimed_by};
