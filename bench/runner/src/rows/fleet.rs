//! The rows about fleets: what idle nodes cost, and what a job costs beside them.

use bench_protocol::Work;

use super::{Bound, Row, row};
use crate::figures::{CONNECTIONS, IDLE, P99, REDIS_US};

/// Returns the rows of fleets. Redis µs/job is without the CPU time that the idle fleet uses.
pub(super) fn all() -> Vec<Row> {
    let mut rows = vec![];
    for nodes in [1, 32, 256] {
        let title = format!("one job at a time, {nodes} idle nodes");
        let mut herd =
            row(&format!("herd-{nodes}"), &title, Work::Herd, 300).poolder().with(|order| {
                (order.nodes, order.concurrency) = (nodes, 4);
            });
        if nodes > 1 {
            herd = herd
                .budget(REDIS_US, Bound::AtMostRow("herd-1", 1.5))
                .budget(P99, Bound::AtMost(5.0));
        }
        rows.push(herd);
    }
    rows.push(
        row("herd-busy-32", "32 nodes of 4 slots, half busy, jobs of 20 ms", Work::HerdBusy, 9_600)
            .poolder()
            .with(|order| (order.nodes, order.concurrency, order.handler_ms) = (32, 4, 20)),
    );
    rows.push(
        row(
            "herd-busy-32-of-1",
            "32 nodes of 1 slot, half busy, jobs of 20 ms",
            Work::HerdBusy,
            4_800,
        )
        .poolder()
        .with(|order| (order.nodes, order.concurrency, order.handler_ms) = (32, 1, 20)),
    );
    for nodes in [1, 32] {
        let (name, title) = match nodes {
            1 => ("idle-5".to_owned(), "idle node, five queues".to_owned()),
            _ => (format!("idle-nodes-{nodes}"), format!("{nodes} idle nodes, five queues, each")),
        };
        rows.push(
            row(&name, &title, Work::Idle, 0)
                .poolder()
                .with(|order| (order.seconds, order.queues, order.nodes) = (60, 5, nodes))
                .budget(IDLE, Bound::AtMost(8.0))
                .budget(CONNECTIONS, Bound::AtMost(6.0))
                .rounds(1),
        );
    }
    rows
}
