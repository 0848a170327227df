//! One change to all jobs of a listing that satisfy a condition, in bounded steps.

use std::fmt;
use std::future::IntoFuture;
use std::pin::Pin;

use poolder_core::Error;
use poolder_core::view::{Filter, JobView, Listing};

use crate::admin::action::Action;
use crate::admin::inspector::Inspector;
use crate::admin::sweep::{BulkReport, Sweep};

/// One change to all jobs of a listing that satisfy a filter; made by [`Inspector::bulk`]. Awaiting
/// it makes the change; before that nothing happens.
///
/// The change is made in steps of at most 100 jobs (500 where jobs are deleted), each of which
/// checks that the jobs still are where they were seen. Dropping the future stops it between two
/// steps: jobs that were changed stay changed. Jobs that enter a lane or die after the beginning
/// are left alone.
#[must_use = "the change is made when this is awaited"]
pub struct BulkChange {
    inspector: Inspector,
    listing: Listing,
    filter: Filter,
    action: Action,
    dry_run: bool,
    progress: Option<Progress>,
    stop: Option<Stop>,
    most: u64,
}

type Progress = Box<dyn FnMut(&BulkReport) + Send>;
type Stop = Box<dyn FnMut(&BulkReport) -> bool + Send>;

impl Inspector {
    /// Prepares one change to all jobs of a listing that satisfy a filter.
    ///
    /// ```no_run
    /// # use poolder_client::{Action, Client};
    /// # use poolder_core::view::Listing;
    /// # async fn f(client: Client) -> Result<(), poolder_core::Error> {
    /// let filter = "kind=mail.* error~\"no such column\"".parse()?;
    /// let queue = client.inspect("mail");
    /// let first = queue.bulk(Listing::Dead, &filter, Action::Revive).dry_run().await?;
    /// println!("{} of {} dead jobs would be revived", first.matched, first.of);
    /// let report = queue
    ///     .bulk(Listing::Dead, &filter, Action::Revive)
    ///     .progress(|so_far| println!("{} of {}", so_far.looked_at, so_far.of))
    ///     .await?;
    /// println!("{} were revived", report.changed);
    /// # Ok(()) }
    /// ```
    pub fn bulk(&self, listing: Listing, filter: &Filter, action: Action) -> BulkChange {
        let (inspector, filter) = (self.clone(), filter.clone());
        BulkChange {
            inspector,
            listing,
            filter,
            action,
            dry_run: false,
            progress: None,
            stop: None,
            most: u64::MAX,
        }
    }
}

impl BulkChange {
    /// Changes nothing: the report says which jobs would be changed.
    pub fn dry_run(mut self) -> Self {
        self.dry_run = true;
        self
    }

    /// Calls a function with the report so far after each step.
    pub fn progress(mut self, progress: impl FnMut(&BulkReport) + Send + 'static) -> Self {
        self.progress = Some(Box::new(progress));
        self
    }

    /// Changes at most this many jobs: the first ones that satisfy the filter. Default: all of them.
    pub fn at_most(self, jobs: u64) -> Self {
        Self { most: jobs, ..self }
    }

    /// Ends the change after a step for which the function returns true: the report says what was
    /// done until then, and the audit has its end, which that of a dropped future lacks.
    pub fn stop_when(mut self, stop: impl FnMut(&BulkReport) -> bool + Send + 'static) -> Self {
        self.stop = Some(Box::new(stop));
        self
    }
}

impl IntoFuture for BulkChange {
    /// Errors: [`Error::is_invalid`] for a change that cannot be made to the jobs of the listing;
    /// also an error when no partition can be read, or a step fails: the steps before it were made.
    type Output = Result<BulkReport, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { inspector, listing, filter, action, dry_run, mut progress, mut stop, most } =
            self;
        Box::pin(async move {
            action.check(listing)?;
            let sweep = Sweep { most, ..inspector.sweep(listing, &action)? };
            let which = |job: &JobView, now| filter.matches(job, now);
            let report = |so_far: &BulkReport| {
                if let Some(progress) = &mut progress {
                    progress(so_far);
                }
                stop.as_mut().is_some_and(|stop| stop(so_far))
            };
            if dry_run {
                return sweep.dry().run(which, report).await;
            }
            let begun = inspector.client.auditor().begin(sweep.change(&filter)).await;
            let changed = sweep.recorded(&begun).run(which, report).await;
            begun.end(changed).await
        })
    }
}

impl fmt::Debug for BulkChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BulkChange")
            .field("inspector", &self.inspector)
            .field("listing", &self.listing)
            .field("filter", &self.filter)
            .field("action", &self.action)
            .field("dry_run", &self.dry_run)
            .finish_non_exhaustive()
    }
}
