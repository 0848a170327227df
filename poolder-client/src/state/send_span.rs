//! The span in which jobs are sent.

use poolder_core::broker::PreparedJob;
#[cfg(feature = "otel")]
use poolder_core::spans;
use tracing::Span;
use tracing::field::Empty;

/// Starts the span in which a job is sent, and with the feature `otel` makes the job part of the
/// trace that is active, unless it has a trace already.
pub(crate) fn send(new: &mut PreparedJob) -> Span {
    let span = tracing::debug_span!(
        target: "poolder::span", "send", queue = %new.partition.queue, kind = new.envelope.kind(),
        job = %new.envelope.id(), otel.name = Empty, otel.kind = Empty,
    );
    #[cfg(feature = "otel")]
    {
        let queue = new.partition.queue.as_str();
        spans::describe(&span, spans::Operation::Send, queue, queue);
        if !span.is_disabled() {
            let size = i64::try_from(new.envelope.payload_len()).unwrap_or(i64::MAX);
            spans::attribute(&span, "messaging.message.body.size", size);
        }
        inject(&span, std::slice::from_mut(new));
    }
    span
}

/// Starts the span in which many jobs are sent together.
pub(crate) fn send_many(jobs: &mut [PreparedJob]) -> Span {
    let span = tracing::debug_span!(
        target: "poolder::span", "send", jobs = jobs.len(), otel.name = Empty, otel.kind = Empty,
    );
    #[cfg(feature = "otel")]
    {
        if let Some(first) = jobs.first() {
            let queue = first.partition.queue.as_str();
            spans::describe(&span, spans::Operation::Send, queue, queue);
            let count = i64::try_from(jobs.len()).unwrap_or(i64::MAX);
            spans::attribute(&span, "messaging.batch.message_count", count);
        }
        inject(&span, jobs);
    }
    span
}

/// Gives the jobs without a trace that of the span. A job whose options have no room for it is sent
/// without.
#[cfg(feature = "otel")]
fn inject(span: &Span, jobs: &mut [PreparedJob]) {
    let without = |new: &&mut PreparedJob| new.envelope.trace_parent().is_none();
    let mut jobs = jobs.iter_mut().filter(without).peekable();
    if jobs.peek().is_none() {
        return;
    }
    let Some(parent) = spans::context(span) else { return };
    for new in jobs {
        if let Ok(traced) = new.envelope.with_trace_parent(parent) {
            new.envelope = traced;
        }
    }
}
