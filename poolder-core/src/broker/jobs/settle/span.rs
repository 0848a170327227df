//! The span in which ends of jobs are stored.

use tracing::Span;
use tracing::field::Empty;

use super::Settlement;
use crate::job::Partition;
#[cfg(feature = "otel")]
use crate::job::spans;

/// The most jobs to which a span is linked.
#[cfg(feature = "otel")]
const MAX_LINKS: usize = 32;

/// Starts the span of settlements that are sent together; none without any. With the feature `otel`
/// it is linked to the senders of the first 32 jobs.
pub(in crate::broker) fn settle(partition: &Partition, settlements: &[Settlement]) -> Span {
    if settlements.is_empty() {
        return Span::none();
    }
    let span = tracing::debug_span!(
        target: "poolder::span", "settle", %partition, jobs = settlements.len(), otel.name = Empty,
        otel.kind = Empty,
    );
    #[cfg(feature = "otel")]
    if !span.is_disabled() {
        let queue = partition.queue.as_str();
        spans::describe(&span, spans::Operation::Settle, queue, queue);
        let count = i64::try_from(settlements.len()).unwrap_or(i64::MAX);
        spans::attribute(&span, "messaging.batch.message_count", count);
        let parents = settlements.iter().filter_map(|settlement| settlement.trace_parent);
        parents.take(MAX_LINKS).for_each(|parent| spans::link(&span, parent));
    }
    span
}
