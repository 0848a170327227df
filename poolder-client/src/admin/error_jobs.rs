//! Changes of all jobs of a group of equal errors, in all queues.

use poolder_core::Error;
use poolder_core::history::ErrorGroup;
use poolder_core::view::{Filter, Listing};

use crate::admin::action::Action;
use crate::admin::sweep::BulkReport;
use crate::client::Client;

/// The number of jobs that a report shows.
const SHOWN: usize = 10;

impl Client {
    /// Retries all jobs of a group of equal errors, in all queues: those that died of it are revived,
    /// and those that wait for another attempt after it run now. The jobs of all queues are walked
    /// through, in steps as [`Inspector::bulk`](crate::Inspector::bulk) makes them.
    ///
    /// ```no_run
    /// # async fn f(client: poolder_client::Client) -> Result<(), poolder_core::Error> {
    /// for group in client.errors().await? {
    ///     if group.sample.message.contains("no such column") {
    ///         println!("{} jobs run again", client.retry_errors(&group).await?.changed);
    ///     }
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses a step: the steps before it were
    /// made.
    pub async fn retry_errors(&self, group: &ErrorGroup) -> Result<BulkReport, Error> {
        self.change_errors(group, true, false, |_| {}).await
    }

    /// Buries all jobs of a group of equal errors, in all queues, that wait for another attempt after
    /// it.
    ///
    /// # Errors
    /// As [`Client::retry_errors`].
    pub async fn bury_errors(&self, group: &ErrorGroup) -> Result<BulkReport, Error> {
        self.change_errors(group, false, false, |_| {}).await
    }

    /// Retries or buries the jobs of a group; a dry run changes none. Calls `progress` with the
    /// report so far after each step.
    #[doc(hidden)]
    pub async fn change_errors(
        &self,
        group: &ErrorGroup,
        retry: bool,
        dry_run: bool,
        progress: impl Fn(&BulkReport) + Send + Clone + 'static,
    ) -> Result<BulkReport, Error> {
        let filter = Filter::any().kind(&group.sample.kind).error(group.id);
        let changes = match retry {
            true => vec![(Listing::Dead, Action::Revive), (Listing::Retrying, Action::RunNow)],
            false => vec![(Listing::Retrying, Action::Bury(format!("error {}", group.id)))],
        };
        let mut sums = BulkReport::default();
        // A kind may run in several queues.
        for queue in self.queues().await? {
            let inspector = self.inspect(&queue);
            for (listing, action) in &changes {
                let change = inspector.bulk(*listing, &filter, action.clone());
                let change = if dry_run { change.dry_run() } else { change };
                let (before, progress) = (sums.clone(), progress.clone());
                let change = change.progress(move |so_far| progress(&before.clone().plus(so_far)));
                sums = sums.plus(&change.await?);
            }
        }
        Ok(sums)
    }
}

impl BulkReport {
    /// Returns the sums of two reports of different jobs, with the first ten of their jobs.
    #[must_use]
    pub fn plus(mut self, other: &Self) -> Self {
        self.looked_at += other.looked_at;
        self.of += other.of;
        self.matched += other.matched;
        self.changed += other.changed;
        let room = SHOWN.saturating_sub(self.first.len());
        self.first.extend(other.first.iter().take(room).cloned());
        self.unreachable.extend(other.unreachable.iter().cloned());
        self
    }
}
