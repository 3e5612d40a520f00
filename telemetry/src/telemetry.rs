//! Begins both, and ends them.

use std::path::Path;
use std::time::Duration;

use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::args::TelemetryArgs;
use crate::door;
use crate::error::TelemetryError;
use crate::level::{self, Level};
use crate::{logs, traces};

/// So long spans that are not sent yet may take at the end.
const LAST_SPANS: Duration = Duration::from_secs(1);

/// The process as logs and traces have it.
pub struct Service<'a> {
    /// `service.name` of its traces.
    pub name: &'static str,
    /// What tells it from the others of its name.
    pub instance: &'a str,
    /// What is logged if nobody says otherwise.
    pub log_level: &'static str,
}

/// Logs and traces of this process, to its end.
pub struct Telemetry {
    level: Option<Level>,
    provider: Option<SdkTracerProvider>,
}

impl Telemetry {
    /// # Errors
    /// Flags that say nothing, or a second begin in one process.
    pub fn begin(args: &TelemetryArgs, service: &Service) -> Result<Telemetry, TelemetryError> {
        let given = args.log_level.as_deref().filter(|level| !level.is_empty());
        let usual = given.unwrap_or(service.log_level);
        let filter = level::parse(usual).map_err(TelemetryError::Level)?;
        let (lines, handle) = logs::layer(args.log_format, filter);
        let endpoint = args.otlp_endpoint.as_deref().filter(|endpoint| !endpoint.is_empty());
        let provider = endpoint.map(|endpoint| traces::provider(endpoint, service)).transpose()?;
        let spans = provider.as_ref().map(traces::layer);
        let layers: Vec<_> = [Some(lines), spans].into_iter().flatten().collect();
        tracing_subscriber::registry().with(layers).try_init().map_err(|_| TelemetryError::Begun)?;
        if let Some(provider) = &provider {
            opentelemetry::global::set_tracer_provider(provider.clone());
        }
        Ok(Telemetry { level: Some(Level::new(handle, usual.to_owned())), provider })
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

    /// Sends what spans are left. Blocks for a moment, if the collector does not answer.
    pub fn end(self) {
        if let Some(provider) = self.provider
            && let Err(error) = provider.shutdown_with_timeout(LAST_SPANS)
        {
            tracing::warn!(%error, "the last spans were not sent");
        }
    }
}
