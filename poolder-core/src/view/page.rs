//! A page of a listing of jobs.

use serde::Serialize;

use crate::view::{Cursor, JobView, Unreachable};

/// A page of a listing of jobs, over all partitions of the queue.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Page {
    /// The jobs of the page.
    pub jobs: Vec<JobView>,
    /// The cursor of the next page; `None` when this was the last page.
    pub next: Option<Cursor>,
    /// The partitions that could not be read: their jobs are missing from the page, and from those
    /// after it unless they are read again.
    pub unreachable: Vec<Unreachable>,
}

impl Page {
    /// Creates a page.
    pub(crate) fn new(
        jobs: Vec<JobView>,
        next: Option<Cursor>,
        unreachable: Vec<Unreachable>,
    ) -> Self {
        Self { jobs, next, unreachable }
    }
}
