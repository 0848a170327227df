//! The rows about finished jobs that are kept.

use bench_protocol::Work;

use super::{Bound, Row, row};
use crate::figures::{BYTES, REDIS_US};

/// Returns the rows: jobs at an even rate, and the same jobs kept once they are done.
pub(super) fn all() -> Vec<Row> {
    vec![
        row("paced", "400 jobs a second", Work::Paced, 8_000).poolder().rounds(3),
        row("paced-kept", "the same, each kept once it is done", Work::PacedKept, 8_000)
            .poolder()
            .budget(BYTES, Bound::AtMost(500.0))
            .budget(REDIS_US, Bound::AtMostRow("paced", 1.5))
            .rounds(3),
    ]
}
