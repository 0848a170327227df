//! Results, completions, progress and cancellation of jobs.

use std::future::Future;
use std::time::Duration;

use poolder_core::broker::{Cancellation, Receipt};
use poolder_core::{Completion, Error, Handle, JobId, JobState};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use crate::client::Client;
use crate::state::waiters::{Ends, Waiter};

/// Number of slots whose records are read at the same time.
const SLOTS_AT_ONCE: usize = 64;

impl Client {
    /// Returns the result of a job's handler; `None` while the job has not ended. Results are kept
    /// for 24 hours. The handle comes from a [`Receipt`](poolder_core::broker::Receipt), or is made
    /// from a queue and an id with [`Handle::new`].
    ///
    /// # Errors
    /// [`Error::is_dead`], [`Error::is_cancelled`] and [`Error::is_no_result`] when the job ended
    /// that way and its enqueue asked for a record, [`Error::is_codec`] when the result is not a
    /// `T`; also returns an error when the server does not answer or refuses the command.
    pub async fn result<T: DeserializeOwned>(
        &self,
        job: impl Into<Handle>,
    ) -> Result<Option<T>, Error> {
        let handle = job.into();
        let found = self.broker().followed_completion(&handle.partition, handle.job).await?;
        found.1.map(|completion| completion.into_result(handle.job)).transpose()
    }

    /// Waits until a job has ended, and returns the result of its handler.
    ///
    /// A job that was enqueued with [`keep_completion`](crate::Enqueue::keep_completion) or by
    /// [`Client::call`] ends the wait at once, however it ends. Of another job, the wait sees a
    /// result or a death within a second or so, a death only if the user may read the dead jobs
    /// (`docs/access.md`). Such a job that is cancelled, or done without a result, leaves no record,
    /// and the wait ends with a timeout.
    ///
    /// # Errors
    /// As [`Client::result`], and [`Error::is_timeout`] when the time is up: the job continues.
    /// While the server does not answer, the wait continues, too.
    pub async fn await_result<T: DeserializeOwned>(
        &self,
        job: impl Into<Handle>,
        timeout: Duration,
    ) -> Result<T, Error> {
        let handle = job.into();
        let deadline = Instant::now().checked_add(timeout);
        let waiter = self.waiters().enter(&handle.partition, handle.job, Ends::MayBeSilent);
        self.wait_on(&handle, waiter, deadline, timeout).await?.into_result(handle.job)
    }

    /// Waits until a job of a call is stored, up to the deadline; `None` waits without limit.
    pub(crate) async fn stored(
        job: JobId,
        storing: impl Future<Output = Result<Receipt, Error>>,
        deadline: Option<Instant>,
        timeout: Duration,
    ) -> Result<Receipt, Error> {
        let Some(deadline) = deadline else { return storing.await };
        tokio::time::timeout_at(deadline, storing).await.unwrap_or_else(|_| {
            Err(Error::timeout(format!(
                "the server has not confirmed within {timeout:?} that the job is stored; the job \
                 may run"
            ))
            .with_job(job))
        })
    }

    /// Waits until a job has ended, up to the deadline; `None` waits without limit.
    pub(crate) async fn wait_on(
        &self,
        handle: &Handle,
        waiter: Waiter,
        deadline: Option<Instant>,
        timeout: Duration,
    ) -> Result<Completion, Error> {
        let completion = waiter.completion(handle, deadline);
        let Some(deadline) = deadline else { return completion.await };
        match tokio::time::timeout_at(deadline, completion).await {
            Ok(completion) => completion,
            Err(_) => Err(Error::timeout(format!(
                "the job has not ended within {timeout:?}; it continues, and its result can be \
                 read later"
            ))
            .with_job(handle.job)),
        }
    }

    /// Returns the progress that a job's handler reported last: units done and units in total. Kept
    /// for an hour after the last report.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn progress(&self, job: impl Into<Handle>) -> Result<Option<(u64, u64)>, Error> {
        let handle = job.into();
        self.broker().progress(&handle.partition, handle.job).await
    }

    /// Cancels a job in whatever state it is. A waiting job is removed. The handler of a running
    /// job is signalled to stop, on whichever node it runs. A job that is not found does not run if
    /// it appears within the next 7 days. A dead job stays dead. A job that is done before its node
    /// sees the cancellation is done. If several jobs have the same own id, all that wait or run are
    /// cancelled; a job that is enqueued later is not.
    ///
    /// ```no_run
    /// # use poolder_client::Client;
    /// # use poolder_core::{Handle, JobId, QueueName};
    /// # async fn f(client: Client, id: JobId) -> Result<(), poolder_core::Error> {
    /// let what = client.cancel(Handle::new(QueueName::new("mail")?, id)).await?;
    /// println!("{what}");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command; calling it again
    /// does no harm.
    pub async fn cancel(&self, job: impl Into<Handle>) -> Result<Cancellation, Error> {
        self.broker().cancel(&job.into()).await
    }

    /// Returns the state of a job that is stored or has a record; `None` for a job that left no
    /// trace. A job of an addressed pool is found in any slot, also by its id alone.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn state(&self, job: impl Into<Handle>) -> Result<Option<JobState>, Error> {
        let handle = job.into();
        if let Some(view) = self.broker().find(&handle).await? {
            return Ok(Some(view.state));
        }
        let state = |completion| match completion {
            Completion::Done | Completion::DoneWith(_) => Some(JobState::Completed),
            Completion::Dead(_) => Some(JobState::Dead),
            Completion::Cancelled(_) => Some(JobState::Cancelled),
            Completion::Moved(_) => None,
        };
        let broker = self.broker();
        let (_, ended) = broker.followed_completion(&handle.partition, handle.job).await?;
        if let Some(state) = ended.and_then(state) {
            return Ok(Some(state));
        }
        for slots in broker.other_slots(&handle).await?.chunks(SLOTS_AT_ONCE) {
            let all = slots.iter().map(|slot| broker.completion(slot, handle.job));
            let found = futures_util::future::try_join_all(all).await?;
            if let Some(state) = found.into_iter().flatten().find_map(state) {
                return Ok(Some(state));
            }
        }
        Ok(None)
    }
}
