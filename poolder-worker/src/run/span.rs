//! The span of an attempt. Middleware and handler run in it, so that their lines name the job.

use poolder_core::policy::decide::Transition;
#[cfg(feature = "otel")]
use poolder_core::spans;
use tracing::Span;
use tracing::field::Empty;

use super::context::Context;

/// Starts the span of an attempt at a job. It costs a branch while no subscriber wants it.
pub(super) fn process(cx: &Context) -> Span {
    tracing::info_span!(
        target: "poolder::span", parent: None, "process", job = %cx.id(), kind = cx.kind(),
        queue = cx.queue(), attempt = cx.attempt(), max_attempts = cx.max_attempts(),
        node = cx.node(), slot = cx.slot_number(), outcome = Empty, otel.name = Empty,
        otel.kind = Empty, otel.status_code = Empty,
    )
}

/// Records how the attempt has ended.
pub(super) fn ended(span: &Span, transition: &Transition) {
    span.record("outcome", transition.outcome());
    #[cfg(feature = "otel")]
    if let Some(failure) = transition.failure().filter(|_| !span.is_disabled()) {
        spans::fail(span, &failure.cause.to_string());
    }
}
