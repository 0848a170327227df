//! The rows about limited queues, and their budgets: multiples of what a plain queue costs in the same
//! run.

use bench_protocol::Work;

use super::{Bound, Row, Who, drain, row};
use crate::figures::{BYTES, JOBS_S, REDIS_US};

/// The number of groups of the measured queue.
const GROUPS: u64 = 10_000;

/// Returns the rows.
pub(super) fn all() -> Vec<Row> {
    let mut rows = vec![];
    for (callers, jobs, plain, most) in
        [(1, 20_000, "enqueue-1", 12.0), (64, 200_000, "enqueue-64", 3.0)]
    {
        let title = format!("enqueue jobs of 10,000 groups, {callers} in flight");
        rows.push(
            row(&format!("groups-{callers}"), &title, Work::EnqueueGroups, jobs)
                .with(|order| (order.concurrency, order.groups) = (callers, GROUPS))
                .poolder()
                .budget(REDIS_US, Bound::AtMostRow(plain, most)),
        );
    }
    for (slots, jobs, plain, most) in [
        (1, 20_000, "drain-1", 3.2),
        (8, 100_000, "plain-drain-8", 3.6),
        (16, 100_000, "plain-drain-16", 4.0),
        // On Valkey; on Redis, whose scripts cost less, 5.
        (64, 200_000, "drain-64", 6.0),
    ] {
        if plain.starts_with("plain") {
            let title = format!("drain, concurrency {slots}");
            rows.push(drain(plain, &title, jobs).with(|order| order.concurrency = slots).poolder());
        }
        let title = format!("drain of 10,000 groups, concurrency {slots}");
        rows.push(
            row(&format!("groups-drain-{slots}"), &title, Work::DrainGroups, jobs)
                .with(|order| {
                    (order.concurrency, order.backlog, order.groups) = (slots, jobs, GROUPS);
                })
                .poolder()
                .budget(REDIS_US, Bound::AtMostRow(plain, most)),
        );
    }
    // Neither groups nor jobs that wait cost more, nor groups that may not start a job.
    for (name, title, groups, waiting, full) in [
        ("groups-few", "drain of 100 groups", 100, 200_000, 0),
        ("groups-many", "drain of 1,000,000 groups", 1_000_000, 1_000_000, 0),
        (
            "groups-deep",
            "drain of 10,000 groups in which 1,000,000 jobs wait",
            GROUPS,
            1_000_000,
            0,
        ),
        ("groups-full", "drain of 100 groups beside 9,900 full ones", 100, 200_000, 9_900),
    ] {
        rows.push(
            row(name, title, Work::DrainGroups, 200_000)
                .with(|order| {
                    (order.backlog, order.groups, order.running) = (waiting, groups, full);
                    order.limit = u32::from(full > 0);
                })
                .poolder()
                .budget(REDIS_US, Bound::AtMostRow("groups-drain-64", 1.25)),
        );
    }
    let mut beside = row(
        "groups-peer",
        "drain of 1,000 groups, one job of each at a time",
        Work::DrainGroups,
        20_000,
    )
    .with(|order| (order.backlog, order.groups, order.limit) = (20_000, 1_000, 1))
    .budget(JOBS_S, Bound::AtLeastPeer("groupmq", 8.0));
    beside.who = Who::Grouped;
    rows.push(beside);
    for (groups, name, title, most) in [
        (GROUPS, "bytes-groups", "memory of a waiting job, 10,000 groups", 210.0),
        (200_000, "bytes-alone", "memory of a waiting job, alone in its group", 320.0),
    ] {
        rows.push(
            row(name, title, Work::StoreGroups, 200_000)
                .with(|order| order.groups = groups)
                .poolder()
                .budget(BYTES, Bound::AtMost(most))
                .rounds(1),
        );
    }
    rows
}
