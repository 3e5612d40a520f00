//! Logs: JSON for machines, text on a terminal. A line of JSON has the fields of its event, and those of the spans that it
//! belongs to.

use std::io::IsTerminal;

use tracing_subscriber::reload::Handle;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

use crate::args::Format;

/// With the handle that changes what is logged.
pub fn layer(
    format: Format,
    filter: EnvFilter,
) -> (Box<dyn Layer<Registry> + Send + Sync>, Handle<EnvFilter, Registry>) {
    let (filter, handle) = reload::Layer::new(filter);
    let is_text = match format {
        Format::Auto => std::io::stderr().is_terminal(),
        Format::Json => false,
        Format::Text => true,
    };
    let colours = is_text && std::io::stderr().is_terminal();
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(colours);
    let lines =
        if is_text { lines.with_filter(filter).boxed() } else { lines.json().with_filter(filter).boxed() };
    (lines, handle)
}
