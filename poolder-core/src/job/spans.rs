//! The parts of a span that OpenTelemetry sees, by its conventions for messaging, and the trace
//! contexts of spans (feature `otel`). A program without a layer for OpenTelemetry records none.

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::job::TraceParent;

/// The work that a span does with messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// A job is sent.
    Send,
    /// An attempt at a job.
    Process,
    /// Ends of jobs are stored.
    Settle,
    /// A schedule makes a job.
    Tick,
}

impl Operation {
    /// Returns the name, the kind of the span, and the type of the operation.
    fn texts(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Send => ("send", "producer", "send"),
            Self::Process => ("process", "consumer", "process"),
            Self::Settle => ("settle", "client", "settle"),
            Self::Tick => ("tick", "producer", "create"),
        }
    }
}

/// Names a span after its operation and the queue or schedule `of`, and gives it the attributes of
/// messaging. The span has the fields `otel.name` and `otel.kind`.
pub fn describe(span: &Span, operation: Operation, of: &str, queue: &str) {
    if span.is_disabled() {
        return;
    }
    let (name, kind, type_) = operation.texts();
    span.record("otel.name", tracing::field::display(format_args!("{name} {of}")));
    span.record("otel.kind", kind);
    span.set_attribute("messaging.system", "poolder");
    span.set_attribute("messaging.destination.name", queue.to_owned());
    span.set_attribute("messaging.operation.name", name);
    span.set_attribute("messaging.operation.type", type_);
}

/// Adds attributes to a span.
pub fn attribute(span: &Span, name: &'static str, value: impl Into<opentelemetry::Value>) {
    span.set_attribute(name, value);
}

/// Marks the span as failed for this cause. The span has the field `otel.status_code`.
pub fn fail(span: &Span, cause: &str) {
    span.record("otel.status_code", "ERROR");
    span.set_attribute("error.type", cause.to_owned());
}

/// Makes the span a child of the one that has sent the job. Called before the span is entered.
pub fn join(span: &Span, parent: TraceParent) {
    // Without a layer for OpenTelemetry there is no parent to set.
    let _ = span.set_parent(Context::new().with_remote_span_context(remote(parent)));
}

/// Links the span to the one that has sent the job.
pub fn link(span: &Span, parent: TraceParent) {
    span.add_link(remote(parent));
}

/// Returns the context of a span for the jobs that are sent in it: if it is disabled, that of the
/// span around it, of `tracing` or of OpenTelemetry itself. `None` without an active trace.
#[must_use]
pub fn context(span: &Span) -> Option<TraceParent> {
    let of = |context: &Context| parent(context.span().span_context());
    let own = if span.is_disabled() { None } else { of(&span.context()) };
    own.or_else(|| of(&Span::current().context())).or_else(|| of(&Context::current()))
}

fn parent(context: &SpanContext) -> Option<TraceParent> {
    let (trace, span) = (context.trace_id().to_bytes(), context.span_id().to_bytes());
    TraceParent::new(trace, span, context.trace_flags().to_u8())
}

fn remote(parent: TraceParent) -> SpanContext {
    SpanContext::new(
        TraceId::from_bytes(parent.trace_id()),
        SpanId::from_bytes(parent.span_id()),
        TraceFlags::new(parent.flags()),
        true,
        TraceState::NONE,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_is_the_same_on_both_sides() {
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let sent: TraceParent = text.parse().unwrap();
        assert_eq!(parent(&remote(sent)), Some(sent));
        assert_eq!(context(&Span::none()), None, "no trace is active");
        let _active = Context::new().with_remote_span_context(remote(sent)).attach();
        assert_eq!(context(&Span::none()), Some(sent), "that of OpenTelemetry itself");
    }
}
