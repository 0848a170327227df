//! Waiting for jobs to end.

use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::pin::Pin;
use std::time::Duration;

use poolder_core::broker::Receipt;
use poolder_core::{Completion, Error, Handle, JobId};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use crate::client::Client;
use crate::state::waiters::{Ends, Waiter};

/// Default time of a wait.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// A wait for the end of a job; made by [`JobClient::wait`](crate::JobClient::wait). Awaiting it
/// returns the result of the job's handler.
#[must_use = "nothing is waited for until this is awaited"]
pub struct JobWait<T> {
    client: Client,
    /// The handle, or the error of its text.
    handle: Result<Handle, Error>,
    timeout: Duration,
    result: PhantomData<fn() -> T>,
}

impl<T> JobWait<T> {
    pub(super) fn new(client: Client, handle: Result<Handle, Error>) -> Self {
        Self { client, handle, timeout: DEFAULT_TIMEOUT, result: PhantomData }
    }

    /// Sets how long to wait. Default 30 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

impl<T: DeserializeOwned + 'static> IntoFuture for JobWait<T> {
    /// The result. Errors: [`Error::is_timeout`] when the time is up, the job continues;
    /// [`Error::is_dead`], [`Error::is_cancelled`] and [`Error::is_no_result`] when the job ended
    /// that way; [`Error::is_codec`] when the result is not a `T`. While the server does not answer,
    /// the wait continues.
    type Output = Result<T, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { client, handle, timeout, .. } = self;
        Box::pin(async move {
            let handle = handle?;
            let deadline = Instant::now().checked_add(timeout);
            let waiter = client.waiters().enter(&handle.partition, handle.job, Ends::MayBeSilent);
            client.wait_on(&handle, waiter, deadline, timeout).await?.into_result(handle.job)
        })
    }
}

impl<T> std::fmt::Debug for JobWait<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { handle, timeout, .. } = self;
        f.debug_struct("JobWait").field("handle", handle).field("timeout", timeout).finish()
    }
}

impl Client {
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
}
