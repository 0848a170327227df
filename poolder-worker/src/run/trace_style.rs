//! How the trace of an attempt follows that of its sender (feature `otel`).

use poolder_core::spans;
use tracing::Span;

use super::context::Context;

/// How the span of an attempt is connected with the span that has sent the job: see
/// [`Pool::trace_style`](crate::Pool::trace_style).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum TraceStyle {
    /// Each attempt begins a trace of its own, with a link to the sender. The traces of requests stay
    /// short, however late the job runs and however often it is tried. The default.
    #[default]
    Link,
    /// Each attempt is part of the trace of its sender: a request and all that it has caused are one
    /// trace.
    Child,
    /// Each attempt begins a trace of its own, without a link.
    None,
}

/// Connects the span of an attempt with its sender, and describes it.
pub(super) fn follow(span: &Span, cx: &Context, style: TraceStyle) {
    if span.is_disabled() {
        return;
    }
    match (style, cx.trace_parent()) {
        (TraceStyle::Link, Some(parent)) => spans::link(span, parent),
        (TraceStyle::Child, Some(parent)) => spans::join(span, parent),
        _ => {}
    }
    spans::describe(span, spans::Operation::Process, cx.queue(), cx.queue());
    spans::attribute(span, "messaging.message.id", cx.id().to_string());
    spans::attribute(span, "messaging.consumer.group.name", "workers");
    spans::attribute(span, "messaging.client.id", cx.node().to_owned());
    spans::attribute(span, "poolder.lane", cx.lane().as_str());
    spans::attribute(span, "poolder.fence", i64::try_from(cx.fence()).unwrap_or(i64::MAX));
    let waited = i64::try_from(cx.waited().as_millis()).unwrap_or(i64::MAX);
    spans::attribute(span, "poolder.wait_ms", waited);
}
