//! What became of a job: its result, its end, how far it has come; and making it end.

use std::time::Duration;

use poolder_core::broker::Cancellation;
use poolder_core::{Completion, Error, Handle, State};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use crate::client::Client;
use crate::state::waiters::Waiter;

/// Hints may be lost: whoever waits asks this often …
const POLL: Duration = Duration::from_secs(1);
/// … and without hints more often at first.
const FIRST_POLL: Duration = Duration::from_millis(20);

impl Client {
    /// What the handler of a job returned, if it is done; `None` while it is not. Results are kept
    /// for 24 hours. The handle is a [`Receipt`](poolder_core::broker::Receipt), or made of a
    /// queue and an id by [`Handle::new`].
    ///
    /// # Errors
    /// [`Error::is_dead`], [`Error::is_cancelled`] and [`Error::is_no_result`] when the job ended
    /// that way and its enqueue asked for a record, [`Error::is_codec`] when the result is not a
    /// `T`, or whatever keeps the server from answering.
    pub async fn result<T: DeserializeOwned>(
        &self,
        job: impl Into<Handle>,
    ) -> Result<Option<T>, Error> {
        let handle = job.into();
        let completion = self.broker().completion(&handle.partition, handle.job).await?;
        completion.map(|completion| completion.into_result(handle.job)).transpose()
    }

    /// Waits until a job has ended, and returns what its handler returned.
    ///
    /// A job that dies ends the wait at once. One that is cancelled, or done without a result, does
    /// so if it was enqueued with [`keep_completion`](crate::Enqueue::keep_end), or by [`Client::call`];
    /// of others no trace is left, and the time runs out.
    ///
    /// # Errors
    /// As [`Client::result`], and [`Error::is_timeout`] when the time is up: the job goes on. While
    /// the server does not answer the wait goes on, too.
    pub async fn await_result<T: DeserializeOwned>(
        &self,
        job: impl Into<Handle>,
        timeout: Duration,
    ) -> Result<T, Error> {
        let handle = job.into();
        let deadline = Instant::now().checked_add(timeout);
        let waiter = self.waiters().enter(&handle.partition, handle.job);
        self.wait_on(&handle, waiter, deadline, timeout).await?.into_result(handle.job)
    }

    /// Waits for the end of a job.
    pub(crate) async fn wait_on(
        &self,
        handle: &Handle,
        waiter: Waiter,
        deadline: Option<Instant>,
        timeout: Duration,
    ) -> Result<Completion, Error> {
        let until_completed = self.until_completed(handle, waiter);
        let Some(deadline) = deadline else { return until_completed.await };
        match tokio::time::timeout_at(deadline, until_completed).await {
            Ok(completion) => completion,
            Err(_) => Err(Error::timeout(format!(
                "the job has not ended within {timeout:?}; it goes on, and its result can be had \
                 later"
            ))
            .with_job(handle.job)),
        }
    }

    async fn until_completed(
        &self,
        handle: &Handle,
        mut waiter: Waiter,
    ) -> Result<Completion, Error> {
        let mut poll = FIRST_POLL;
        loop {
            let ended = std::sync::Arc::clone(&waiter.ended);
            let ended = ended.notified();
            tokio::pin!(ended);
            // From here on a hint is not missed, so that the record can be looked at safely.
            ended.as_mut().enable();
            let heard = waiter.listen().await;
            match self.completion_of(handle).await {
                Ok(Some(completion)) => return Ok(completion),
                Ok(None) => {}
                Err(error) if error.is_refused() || error.is_unknown() => {
                    tracing::debug!(%error, job = %handle.job, "waiting for the server, too");
                }
                Err(error) => return Err(error.with_job(handle.job)),
            }
            poll = if heard { POLL } else { (poll * 2).min(POLL) };
            tokio::select! {
                () = &mut ended => {}
                () = tokio::time::sleep(poll) => {}
            }
        }
    }

    /// How a job ended: by the record, or by its place among the dead.
    async fn completion_of(&self, handle: &Handle) -> Result<Option<Completion>, Error> {
        match self.broker().completion(&handle.partition, handle.job).await? {
            Some(completion) => Ok(Some(completion)),
            None => self.broker().death(&handle.partition, handle.job).await,
        }
    }

    /// How far a running job says that it has come: done, and out of how many. Kept for an hour
    /// after the last word.
    ///
    /// # Errors
    /// Whatever keeps the server from answering.
    pub async fn progress(&self, job: impl Into<Handle>) -> Result<Option<(u64, u64)>, Error> {
        let handle = job.into();
        self.broker().progress(&handle.partition, handle.job).await
    }

    /// Cancels a job wherever it is: one that waits is removed, one that runs is told to stop, on
    /// whichever node, and one that is not found will not run should it appear. What is dead stays
    /// dead. A job that is done before it hears of it is done.
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
    /// Whatever keeps the server from answering; repeating it does no harm.
    pub async fn cancel(&self, job: impl Into<Handle>) -> Result<Cancellation, Error> {
        self.broker().cancel(&job.into()).await
    }

    /// The state of a job that has a place or a record; `None` for one that left no trace.
    ///
    /// # Errors
    /// Whatever keeps the server from answering.
    pub async fn state(&self, job: impl Into<Handle>) -> Result<Option<State>, Error> {
        let handle = job.into();
        if let Some(view) = self.broker().find(&handle).await? {
            return Ok(Some(view.state));
        }
        let completion = self.broker().completion(&handle.partition, handle.job).await?;
        Ok(completion.map(|completion| match completion {
            Completion::Done | Completion::DoneWith(_) => State::Completed,
            Completion::Dead(_) => State::Dead,
            Completion::Cancelled(_) => State::Cancelled,
        }))
    }
}
