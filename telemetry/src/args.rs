//! The flags that every process has.

use std::time::Duration;

use clap::{Args, ValueEnum};

#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Logs and traces")]
pub struct TelemetryArgs {
    /// How logs are written: auto is text on a terminal and JSON elsewhere
    #[arg(long, env = "SLUICE_LOG_FORMAT", value_enum, default_value_t)]
    pub log_format: Format,
    /// What is logged, as debug or info,sluice_client=trace [default: info]
    #[arg(long, env = "RUST_LOG", value_name = "DIRECTIVES")]
    pub log_level: Option<String>,
    /// OpenTelemetry collector that traces of edits go to (OTLP over gRPC), as http://127.0.0.1:4317 [default: none]
    #[arg(long, env = "SLUICE_OTLP_ENDPOINT", value_name = "URL")]
    pub otlp_endpoint: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    #[default]
    Auto,
    Json,
    Text,
}

/// Another level for a process that runs.
#[derive(Clone, Debug, Args)]
pub struct LevelArgs {
    /// What is to be logged, as debug or info,sluice_client=trace; without it the present level is shown
    pub directives: Option<String>,
    /// After this it is as usual again, as 90s or 15m
    #[arg(long = "for", value_name = "TIME", default_value = "15m", value_parser = duration, conflicts_with = "keep")]
    pub lasts: Duration,
    /// Until the process ends
    #[arg(long, requires = "directives")]
    pub keep: bool,
    /// As usual again, at once
    #[arg(long, conflicts_with_all = ["directives", "keep"])]
    pub reset: bool,
}

fn duration(text: &str) -> Result<Duration, String> {
    let parsed = text.parse::<jiff::SignedDuration>().ok().and_then(|time| Duration::try_from(time).ok());
    parsed.filter(|time| !time.is_zero()).ok_or_else(|| format!("`{text}` is no time: write 90s or 15m"))
}
