//! Listing the jobs of a queue, page by page, over all its partitions.

use crate::broker::Broker;
use crate::job::{Error, Lane, Partition};
use crate::view::{Cursor, Listing, Page};

impl Broker {
    /// Returns the next page of a listing of these partitions of a queue; `lane` is the only lane to
    /// list. A page has at most `most` jobs, never more than 500, and about 1 MiB, but at least one
    /// job while jobs are left.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for a cursor of another listing; also returns an error when no
    /// partition can be read.
    pub async fn page(
        &self,
        partitions: &[Partition],
        (listing, lane): (Listing, Option<Lane>),
        after: Option<&Cursor>,
        most: usize,
    ) -> Result<Page, Error> {
        let mut walk = self.walk(partitions, listing, lane, after)?;
        let mut jobs = vec![];
        // All members of a step may be no jobs, or have left the listing meanwhile.
        while jobs.is_empty() && !walk.is_done() {
            jobs.extend(walk.next(most).await?.into_iter().filter_map(|passed| passed.job));
        }
        Ok(Page::new(jobs, walk.cursor(), walk.unreachable().to_vec()))
    }
}
