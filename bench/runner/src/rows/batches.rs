//! The rows about batchers, and their budgets.

use bench_protocol::Work;

use super::{Bound, Row, row};
use crate::figures::{JOBS_S, P50, P99};

/// Returns the rows of batchers. A job is an entry in them, or a batch in the rows about sealing.
pub(super) fn all() -> Vec<Row> {
    let mut rows = vec![
        row("batch-push-64", "push entries one at a time, 64 in flight", Work::Push, 200_000)
            .with(|order| order.limit = 100)
            .budget(JOBS_S, Bound::AtLeastRaw(0.6))
            .quick(),
    ];
    for limit in [100, 1_000] {
        let (name, title) =
            (format!("batch-bulk-{limit}"), format!("push entries in bulk, limit {limit}"));
        rows.push(
            row(&name, &title, Work::PushBulk, 500_000)
                .with(|order| order.limit = limit)
                .budget(JOBS_S, Bound::AtLeastRaw(0.5))
                .quick(),
        );
    }
    // The same limit for every length: the cost must not grow with the batch.
    for (entries, batches) in [(100, 200), (1_000, 200), (10_000, 100), (100_000, 20)] {
        let (name, title) =
            (format!("batch-seal-{entries}"), format!("seal a list of {entries} entries"));
        rows.push(
            row(&name, &title, Work::Seal, batches)
                .with(|order| order.backlog = entries)
                .budget(P50, Bound::AtMost(1.0)),
        );
    }
    rows.push(
        row("batch-timeout", "lateness of batches sealed by their timeout", Work::Timeout, 500)
            .with(|order| order.delay_ms = 500)
            .budget(P99, Bound::AtMost(50.0))
            .quick(),
    );
    rows
}
