//! What a process says of itself: logs, whose level can be changed while it runs, and whether it goes on.
//!
//! # Guarantees
//! * Another level ends by itself, unless it was wanted until the process ends.
//! * Only who runs the process, or root, may change its level.

mod args;
mod door;
mod error;
mod level;
mod logs;
mod pulse;
mod telemetry;

pub use args::{LevelArgs, TelemetryArgs};
pub use door::{SOCKET, give};
pub use error::{DoorError, TelemetryError};
pub use pulse::Pulse;
pub use telemetry::Telemetry;
