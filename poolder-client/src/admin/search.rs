//! A search for the jobs of a listing that satisfy a filter, within a budget.

use std::time::{Duration, Instant};

use poolder_core::broker::Passed;
use poolder_core::view::{Cursor, Filter, JobView, Listing, Unreachable};
use poolder_core::{Error, Partition};
use serde::Serialize;

use crate::admin::inspector::Inspector;
use crate::admin::sweep::size;

/// The most jobs that are read at once.
const STEP: u64 = 500;
/// The most round trips of a search.
const MAX_TRIPS: u32 = 12;
/// The most round trips that read the overview, with which a search begins.
const OVERVIEW_TRIPS: u32 = 2;

/// How much a search may return and look at. The first limit that is reached ends it; whatever the
/// budget, it makes 12 round trips at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    jobs: usize,
    entries: u64,
    time: Duration,
}

impl Default for Budget {
    /// 50 jobs, 5,000 entries and 250 ms.
    fn default() -> Self {
        Self { jobs: 50, entries: 5_000, time: Duration::from_millis(250) }
    }
}

impl Budget {
    /// Returns a budget that ends a search when it has found so many jobs; 0 counts as 1.
    #[must_use]
    pub fn jobs(jobs: usize) -> Self {
        Self { jobs: jobs.max(1), ..Self::default() }
    }

    /// Sets how many jobs are looked at, at most. Default 5,000.
    #[must_use]
    pub fn entries(self, entries: u64) -> Self {
        Self { entries, ..self }
    }

    /// Sets the time after which no more jobs are read. Default 250 ms.
    #[must_use]
    pub fn time(self, time: Duration) -> Self {
        Self { time, ..self }
    }
}

/// The jobs that a search has found, and how far it has looked.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Matches {
    /// The jobs that satisfy the filter, in the order of the listing.
    pub jobs: Vec<JobView>,
    /// The number of jobs that were looked at.
    pub looked_at: u64,
    /// The number of jobs in the listing. Of scheduled and of retrying jobs the number of both.
    pub of: u64,
    /// The cursor with which the search goes on; `None` when all jobs were looked at.
    pub next: Option<Cursor>,
    /// The partitions that could not be read: their jobs were not looked at.
    pub unreachable: Vec<Unreachable>,
}

impl Inspector {
    /// Searches a listing for the jobs that satisfy a filter, from the beginning or behind the
    /// cursor of an earlier search. A search that has reached the end of its budget says how far it
    /// looked, and where to go on.
    ///
    /// ```no_run
    /// # use poolder_client::{Budget, Client};
    /// # use poolder_core::view::Listing;
    /// # async fn f(client: Client) -> Result<(), poolder_core::Error> {
    /// let filter = "kind=mail.* payload.user.id=7".parse()?;
    /// let queue = client.inspect("mail");
    /// let found = queue.find_where(Listing::Dead, &filter, None, Budget::jobs(20)).await?;
    /// println!("{} found; looked at {} of {}", found.jobs.len(), found.looked_at, found.of);
    /// if let Some(next) = &found.next {
    ///     queue.find_where(Listing::Dead, &filter, Some(next), Budget::default()).await?;
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`Error::is_invalid`] for a cursor of another listing; also returns an error when no partition
    /// can be read.
    pub async fn find_where(
        &self,
        listing: Listing,
        filter: &Filter,
        after: Option<&Cursor>,
        budget: Budget,
    ) -> Result<Matches, Error> {
        let began = Instant::now();
        let view = self.overview().await?;
        let partitions: Vec<Partition> =
            view.partitions.iter().map(|part| part.partition.clone()).collect();
        let mut walk = self.client.broker().walk(&partitions, listing, None, after)?;
        let (mut found, mut stopped) = (vec![], None);
        let mut looked_at = 0;
        while !walk.is_done() && stopped.is_none() {
            let trips = OVERVIEW_TRIPS + walk.round_trips();
            let is_over = looked_at >= budget.entries || began.elapsed() >= budget.time;
            if walk.round_trips() > 0 && (is_over || trips + walk.next_round_trips() > MAX_TRIPS) {
                break;
            }
            let most = budget.entries.saturating_sub(looked_at).clamp(1, STEP);
            let passed = walk.next(usize::try_from(most).unwrap_or(1)).await?;
            let mut passed = passed.into_iter().peekable();
            while let Some(Passed { job, cursor, .. }) = passed.next() {
                looked_at += u64::from(job.is_some());
                found.extend(job.filter(|job| filter.matches(job, view.now)));
                // No cursor lies between the jobs of a place of a limited queue.
                let goes_on = passed.peek().is_some_and(|next| next.cursor == cursor);
                if found.len() >= budget.jobs && !goes_on {
                    stopped = Some((passed.peek().is_some() || !walk.is_done()).then_some(cursor));
                    break;
                }
            }
        }
        let mut unreachable = view.unreachable.clone();
        unreachable.extend(walk.unreachable().iter().cloned());
        Ok(Matches {
            jobs: found,
            looked_at,
            of: size(&view, listing),
            next: stopped.unwrap_or_else(|| walk.cursor()),
            unreachable,
        })
    }
}
