//! The rows about looking into large queues.

use bench_protocol::Work;

use super::{Bound, Row, row};
use crate::figures::{LONGEST, MAX, TRIPS};

/// Returns the rows of looks. A job is one look.
pub(super) fn all() -> Vec<Row> {
    let look = |name: &str, title: &str, work, jobs| {
        let title = format!("{title}, of 1,000,000 ready, 100,000 dead and due, and of 64 slots");
        row(name, &title, work, jobs)
            .poolder()
            .with(|order| order.backlog = 100_000)
            .budget(MAX, Bound::AtMost(300.0))
            .budget(LONGEST, Bound::AtMost(5.0))
            .budget(TRIPS, Bound::AtMost(12.0))
            .rounds(1)
    };
    vec![
        look("look-overview", "the overview of a queue, or of all", Work::LookOverview, 400),
        look("look-page", "pages of 50 and 500 jobs", Work::LookPage, 320),
        look("look-search", "a search that finds nothing", Work::LookSearch, 60),
        look("look-commands", "what each command of the program reads", Work::LookCommand, 460),
        look("look-find", "a job by its id alone, and its place in line", Work::LookFind, 100),
    ]
}
