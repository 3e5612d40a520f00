//! What a process says of itself: logs, whose level can be changed while it runs, and the traces of edits.
//!
//! # Guarantees
//! * Without `--otlp-endpoint` no trace is begun, so nothing of it is sent to agents or agreed on.
//! * Another level ends by itself, unless it was wanted until the process ends.
//! * Only who runs the process, or root, may change its level.
//! * A collector that does not answer costs the traces and nothing else.

mod args;
mod door;
mod error;
mod level;
mod logs;
mod pulse;
mod telemetry;
mod traces;

pub use args::{LevelArgs, TelemetryArgs};
pub use door::{SOCKET, give};
pub use error::{DoorError, TelemetryError};
pub use pulse::Pulse;
pub use telemetry::{Service, Telemetry};
pub use traces::{Root, step, traceparent};
