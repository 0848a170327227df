//! One enqueue with its options, awaited like a future.

use std::future::{Future, IntoFuture};
use std::pin::Pin;

use poolder_core::broker::{PreparedJob, Receipt};
use poolder_core::{Error, Job, QueueName};

use crate::client::Client;
use crate::enqueue::options::{EnqueueOptions, SetOptions, boxed_options, option_methods};

/// A job about to be enqueued. Awaiting it enqueues the job; before that nothing happens.
#[derive(Debug)]
#[must_use = "a job is enqueued when this is awaited"]
pub struct Enqueue<J> {
    client: Client,
    job: J,
    /// The queue that was set, or the error of its name.
    queue: Option<Result<QueueName, Error>>,
    options: SetOptions,
}

impl Client {
    /// Enqueues a job when awaited; set its time, queue and other options first.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use poolder_client::Client;
    /// # use poolder_core::{Job, Lane};
    /// # #[derive(serde::Serialize, serde::Deserialize)]
    /// # struct Welcome { user: u64 }
    /// # impl Job for Welcome { const KINDS: &'static [&'static str] = &["welcome"]; }
    /// # async fn f(client: Client) -> Result<(), poolder_core::Error> {
    /// client.enqueue(Welcome { user: 7 }).await?;
    /// client.enqueue(Welcome { user: 8 }).after(Duration::from_secs(60)).lane(Lane::Low).await?;
    /// let window = Duration::from_secs(24 * 60 * 60);
    /// client.enqueue(Welcome { user: 9 }).id("welcome-9").idempotent(window).await?;
    /// # Ok(()) }
    /// ```
    pub fn enqueue<J: Job>(&self, job: J) -> Enqueue<J> {
        Enqueue { client: self.clone(), job, queue: None, options: None }
    }
}

impl<J: Job> Enqueue<J> {
    option_methods! {
        lane after at id policy idempotent durability keep_completion header headers
        trace_parent unique group cost expires_in expires_at options
    }

    boxed_options!();

    /// Sets the queue. Default: the queue of the job's type.
    pub fn queue(mut self, queue: impl AsRef<str>) -> Self {
        self.queue = Some(QueueName::new(queue));
        self
    }

    /// Checks and serializes the job without sending it, for [`Client::enqueue_prepared`].
    ///
    /// # Errors
    /// [`Error::is_invalid`] for an illegal queue, kind, lane, policy, durability or header, for a
    /// completion that is kept for less than 1 ms, and when a middleware refuses the job;
    /// [`Error::is_too_large`] for a payload above 1 MiB, [`Error::is_codec`] when the payload
    /// cannot be serialized.
    pub fn prepare(self) -> Result<PreparedJob, Error> {
        let queue = self.queue.unwrap_or_else(|| QueueName::new(J::QUEUE))?;
        EnqueueOptions::of(&self.options).prepare(&self.client, &self.job, queue, None, None)
    }
}

impl<J: Job> IntoFuture for Enqueue<J> {
    type Output = Result<Receipt, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        let (client, prepared) = (self.client.clone(), self.prepare());
        Box::pin(async move {
            let mut new = prepared?;
            client.store(&mut new).await
        })
    }
}
