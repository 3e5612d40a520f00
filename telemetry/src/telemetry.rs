//! Begins what a process says of itself.

use std::path::Path;

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::args::TelemetryArgs;
use crate::door;
use crate::error::TelemetryError;
use crate::level::{self, Level};
use crate::logs;

/// Logs of this process, to its end.
pub struct Telemetry {
    level: Option<Level>,
}

impl Telemetry {
    /// `log_level` is what is logged if nobody says otherwise.
    ///
    /// # Errors
    /// Flags that say nothing, or a second begin in one process.
    pub fn begin(args: &TelemetryArgs, log_level: &str) -> Result<Telemetry, TelemetryError> {
        let given = args.log_level.as_deref().filter(|level| !level.is_empty());
        let usual = given.unwrap_or(log_level);
        let filter = level::parse(usual).map_err(TelemetryError::Level)?;
        let (lines, handle) = logs::layer(args.log_format, filter);
        tracing_subscriber::registry().with(lines).try_init().map_err(|_| TelemetryError::Begun)?;
        Ok(Telemetry { level: Some(Level::new(handle, usual.to_owned())) })
    }

    /// Lets who may change the level do so, by a socket in this directory.
    pub fn open_door(&mut self, directory: &Path) {
        let Some(level) = self.level.take() else { return };
        let directory = directory.to_owned();
        tokio::spawn(async move {
            let Err(error) = door::serve(level, &directory).await;
            tracing::warn!(directory = %directory.display(), %error, "the log level cannot be changed while this runs");
        });
    }
}
