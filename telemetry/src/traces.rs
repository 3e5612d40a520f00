//! Traces of edits: one from the object's edit to its status, over all processes.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{
    Link, SpanBuilder, SpanKind, Status, TraceContextExt, TraceId, TraceState, Tracer, TracerProvider,
};
use opentelemetry::{Context, KeyValue, global};
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, SamplingDecision, SamplingResult, SdkTracerProvider, ShouldSample,
};
use tracing::Span;
use tracing::field::Empty;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::{Layer, Registry};

use crate::error::TelemetryError;
use crate::telemetry::Service;

/// Targets of our own spans begin so; what libraries say of themselves is no part of a trace.
const OURS: &str = "sluice";
const LIBRARY: &str = "sluice";
const ROOT: &str = "edit";
/// Spans are sent together after this.
const DELAY: Duration = Duration::from_secs(1);
/// As W3C names it, and no longer than it has it.
const TRACEPARENT: &str = "traceparent";
const TRACEPARENT_LENGTH: usize = 55;

pub fn provider(endpoint: &str, service: &Service) -> Result<SdkTracerProvider, TelemetryError> {
    let wrong = |source: Box<dyn std::error::Error + Send + Sync>| TelemetryError::Endpoint {
        endpoint: endpoint.to_owned(),
        source,
    };
    let exporter = SpanExporter::builder().with_tonic().with_endpoint(endpoint).build();
    let exporter = exporter.map_err(|error| wrong(error.into()))?;
    let attributes = [
        KeyValue::new("service.instance.id", service.instance.to_owned()),
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
    ];
    let resource = Resource::builder().with_service_name(service.name).with_attributes(attributes).build();
    let batches = BatchConfigBuilder::default().with_scheduled_delay(DELAY).build();
    let sender = BatchSpanProcessor::builder(exporter).with_batch_config(batches).build();
    let provider = SdkTracerProvider::builder().with_sampler(Edits).with_resource(resource);
    Ok(provider.with_span_processor(sender).build())
}

pub fn layer(provider: &SdkTracerProvider) -> Box<dyn Layer<Registry> + Send + Sync> {
    let spans = tracing_opentelemetry::layer().with_tracer(provider.tracer(LIBRARY));
    spans.with_filter(filter_fn(|metadata| metadata.target().starts_with(OURS))).boxed()
}

/// A trace begins with an edit and with nothing else; what belongs to none is no span.
#[derive(Clone, Debug)]
struct Edits;

impl ShouldSample for Edits {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        _: TraceId,
        name: &str,
        _: &SpanKind,
        _: &[KeyValue],
        _: &[Link],
    ) -> SamplingResult {
        let goes_on = parent.is_some_and(|parent| parent.span().span_context().is_sampled());
        let is_wanted = goes_on || name == ROOT;
        let decision = if is_wanted { SamplingDecision::RecordAndSample } else { SamplingDecision::Drop };
        SamplingResult { decision, attributes: Vec::new(), trace_state: TraceState::default() }
    }
}

/// The first span of a trace. It may have begun before this process heard of it, which no span of `tracing` can have.
#[derive(Debug)]
pub struct Root(Context);

impl Root {
    /// None where nothing is traced.
    pub fn begin(since: SystemTime, attributes: Vec<KeyValue>) -> Option<Root> {
        let builder = SpanBuilder::from_name(ROOT).with_start_time(since).with_attributes(attributes);
        let span = global::tracer(LIBRARY).build_with_context(builder, &Context::new());
        let context = Context::new().with_span(span);
        context.span().span_context().is_sampled().then_some(Root(context))
    }

    pub fn attribute(name: &'static str, value: impl ToString) -> KeyValue {
        KeyValue::new(name, value.to_string())
    }

    /// A child of it.
    pub fn step(&self, name: &'static str) -> Span {
        let span = blank(name);
        // A span that is not traced has no use for a parent.
        _ = span.set_parent(self.0.clone());
        span
    }

    pub fn traceparent(&self) -> String {
        written(&self.0)
    }

    /// With the reason why it came to nothing, if it did.
    pub fn end(&self, failure: Option<&str>) {
        let span = self.0.span();
        span.set_status(failure.map_or(Status::Ok, |failure| Status::error(failure.to_owned())));
        span.end();
    }
}

/// A step of edits that began in another process, as [`traceparent`] named them there: a child of the first, with links to
/// the others. No span at all where there are none. `node` and `epoch` may be recorded.
pub fn step(name: &'static str, traces: &[String]) -> Span {
    let mut contexts = traces.iter().filter_map(|trace| read(trace));
    let Some(first) = contexts.next() else { return Span::none() };
    let span = blank(name);
    _ = span.set_parent(first);
    for other in contexts {
        span.add_link(other.span().span_context().clone());
    }
    span
}

/// What names the span to other processes (W3C trace context); none where nothing is traced.
pub fn traceparent(span: &Span) -> Option<String> {
    let context = span.context();
    context.span().span_context().is_sampled().then(|| written(&context))
}

fn blank(name: &'static str) -> Span {
    tracing::info_span!("step", otel.name = name, node = Empty, epoch = Empty)
}

/// What cannot be read is no context; it comes from the network.
fn read(traceparent: &str) -> Option<Context> {
    if traceparent.len() != TRACEPARENT_LENGTH {
        return None;
    }
    let carrier = HashMap::from([(TRACEPARENT.to_owned(), traceparent.to_owned())]);
    let context = TraceContextPropagator::new().extract_with_context(&Context::new(), &carrier);
    context.span().span_context().is_valid().then_some(context)
}

fn written(context: &Context) -> String {
    let mut carrier = HashMap::new();
    TraceContextPropagator::new().inject_context(context, &mut carrier);
    carrier.remove(TRACEPARENT).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_no_context() {
        let context = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert!(read(context).is_some());
        let zeros = "0".repeat(TRACEPARENT_LENGTH);
        let no_trace = "00-00000000000000000000000000000000-00f067aa0ba902b7-01";
        for odd in ["", &context[1..], &zeros, no_trace, &context.replace('4', "x")] {
            assert!(read(odd).is_none(), "{odd}");
        }
        assert!(step("send", &[]).is_none() && step("send", &[zeros]).is_none());
    }

    #[test]
    fn where_nobody_collects_no_trace_begins() {
        assert!(Root::begin(SystemTime::now(), Vec::new()).is_none());
    }
}
