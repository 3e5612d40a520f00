//! The agent's side of the protocol: gets a certificate for its token, keeps one stream to an operator over mutual TLS,
//! takes updates in, sends verdicts, reports and heartbeats out.
//!
//! It knows nothing of the kernel: what is enforced comes in over channels, verified updates go out over one.

mod backoff;
mod config;
mod deltas;
mod dial;
mod enroll;
mod error;
mod fetch;
mod identity;
mod papers;
mod patience;
mod ports;
mod run;
mod session;
mod verify;

pub use config::{Config, Pace};
pub use error::ClientError;
pub use identity::{Identity, Vault};
pub use ports::{Dialling, Drifted, Held, LinkState, Ports, Shelf, Telemetry};
pub use run::run;
pub use verify::{Refusal, Update};
