//! A synchronous call: enqueues a job and waits for its result.

use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::pin::Pin;
use std::time::Duration;

use poolder_core::{Error, Handle, Job, QueueName};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use crate::client::Client;
use crate::enqueue::options::{EnqueueOptions, SetOptions, boxed_options, option_methods};
use crate::state::waiters::Ends;

/// Default time that a call waits.
pub(super) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
/// Extra time for which the completion record is kept after the caller's timeout.
pub(super) const RECORD_MARGIN: Duration = Duration::from_secs(60);

/// A job about to be enqueued and waited for. Awaiting it makes the call; before that nothing
/// happens.
#[must_use = "a call is made when this is awaited"]
pub struct Call<J, T> {
    client: Client,
    job: J,
    /// The queue that was set, or the error of its name.
    queue: Option<Result<QueueName, Error>>,
    options: SetOptions,
    timeout: Duration,
    result: PhantomData<fn() -> T>,
}

impl<J, T> std::fmt::Debug for Call<J, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Call").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

impl Client {
    /// Enqueues a job and waits for the value that the worker's `handle_call` returns; by default
    /// `handle_call` runs `handle_job`. A job that dies, is cancelled, or is done without a result
    /// ends the wait at once. Ask for `()` when no result is expected.
    ///
    /// The call is no transaction: when the caller stops waiting, the job continues.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use poolder_client::Client;
    /// # use poolder_core::Job;
    /// # #[derive(serde::Serialize, serde::Deserialize)]
    /// # struct Count { text: String }
    /// # impl Job for Count { const KINDS: &'static [&'static str] = &["count"]; }
    /// # async fn f(client: Client) -> Result<(), poolder_core::Error> {
    /// let job = Count { text: "to be or not to be".into() };
    /// let words: u64 = client.call(job).timeout(Duration::from_secs(5)).await?;
    /// # Ok(()) }
    /// ```
    pub fn call<J: Job, T: DeserializeOwned>(&self, job: J) -> Call<J, T> {
        let (client, timeout) = (self.clone(), DEFAULT_TIMEOUT);
        Call { client, job, queue: None, options: None, timeout, result: PhantomData }
    }
}

impl<J: Job, T> Call<J, T> {
    option_methods! {
        lane after at id policy idempotent durability keep_completion header headers
        trace_parent unique group cost expires_in expires_at options
    }

    boxed_options!();

    /// Sets how long to wait: for the job to be stored, and for its result. Default 30 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the queue. Default: the queue of the job's type.
    pub fn queue(mut self, queue: impl AsRef<str>) -> Self {
        self.queue = Some(QueueName::new(queue));
        self
    }
}

impl<J: Job, T: DeserializeOwned + 'static> IntoFuture for Call<J, T> {
    /// The result, or an error of the enqueue; [`Error::is_timeout`] when the time is up;
    /// [`Error::is_dead`], [`Error::is_cancelled`], [`Error::is_no_result`] when the job ended that
    /// way; [`Error::is_codec`] when the result is not a `T`.
    type Output = Result<T, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { client, job, queue, options, timeout, .. } = self;
        let kept = timeout.saturating_add(RECORD_MARGIN);
        let queue = queue.unwrap_or_else(|| QueueName::new(J::QUEUE));
        let options = EnqueueOptions::of(&options);
        let prepared =
            queue.and_then(|queue| options.prepare(&client, &job, queue, None, Some(kept)));
        Box::pin(async move {
            let mut new = prepared?;
            let deadline = Instant::now().checked_add(timeout);
            let (partition, job) = (new.partition.clone(), new.envelope.id());
            // Subscribes to the completion hint while the job is sent.
            let waiter = client.waiters().enter(&partition, job, Ends::AreRecorded);
            let storing = client.store(&mut new);
            let handle = Handle::from(Client::stored(job, storing, deadline, timeout).await?);
            // A unique job that stands already is waited for in place of this one.
            let waiter = match handle.job == job {
                true => waiter,
                false => client.waiters().enter(&partition, handle.job, Ends::AreRecorded),
            };
            client.wait_on(&handle, waiter, deadline, timeout).await?.into_result(handle.job)
        })
    }
}
