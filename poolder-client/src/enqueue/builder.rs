//! One enqueue with its options, awaited like a future.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::Duration;

use poolder_core::broker::{Durability, PreparedJob, Receipt, When};
use poolder_core::{Error, Job, JobId, Lane, Partition, Policy, QueueName, Timestamp};

use crate::client::Client;
use crate::enqueue::encode::{encode, plain};

/// A job about to be enqueued. Awaiting it enqueues the job; before that nothing happens.
#[derive(Debug)]
#[must_use = "a job is enqueued when this is awaited"]
pub struct Enqueue<'c, J> {
    client: &'c Client,
    job: J,
    queue: Option<String>,
    name: Option<String>,
    lane: Lane,
    when: When,
    policy: Option<Policy>,
    idempotent: Option<Duration>,
    durability: Durability,
    completion_kept: Option<Duration>,
    call: bool,
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
    pub fn enqueue<J: Job>(&self, job: J) -> Enqueue<'_, J> {
        Enqueue::new(self, job)
    }

    /// Enqueues many jobs with their defaults, in pipelines. Returns one result per job, in order.
    pub async fn enqueue_many<J: Job>(
        &self,
        jobs: impl IntoIterator<Item = J>,
    ) -> Vec<Result<Receipt, Error>> {
        let prepared: Vec<_> = jobs.into_iter().map(|job| self.enqueue(job).prepare()).collect();
        self.enqueue_prepared(prepared).await
    }

    /// Enqueues jobs made by [`Enqueue::prepare`], of any kinds and options, in pipelines. Returns
    /// one result per job, in order; a job that could not be prepared keeps its error.
    pub async fn enqueue_prepared(
        &self,
        prepared: Vec<Result<PreparedJob, Error>>,
    ) -> Vec<Result<Receipt, Error>> {
        let mut good = Vec::with_capacity(prepared.len());
        let mut places = Vec::with_capacity(prepared.len());
        for one in prepared {
            places.push(one.map(|new| good.push(new)));
        }
        let mut queues: Vec<&Partition> = vec![];
        for new in &good {
            if queues.last().is_none_or(|last| last.queue != new.partition.queue) {
                queues.push(&new.partition);
            }
        }
        // Boxed, so that the futures of callers are not nested too deeply.
        let storing = Box::pin(self.broker().enqueue_many(&good));
        let mut results = self.registering_all(&queues, storing).await.into_iter();
        let lost = || Err(Error::protocol("a result is missing"));
        places
            .into_iter()
            .map(|place| place.and_then(|()| results.next().unwrap_or_else(lost)))
            .collect()
    }
}

impl<'c, J: Job> Enqueue<'c, J> {
    fn new(client: &'c Client, job: J) -> Self {
        Self {
            client,
            job,
            queue: None,
            name: None,
            lane: Lane::Normal,
            when: When::Now,
            policy: None,
            idempotent: None,
            durability: Durability::Memory,
            completion_kept: None,
            call: false,
        }
    }

    /// Sets the queue. Default: the queue of the job's type.
    pub fn queue(mut self, queue: impl Into<String>) -> Self {
        self.queue = Some(queue.into());
        self
    }

    /// Sets the lane in which the job waits. Default [`Lane::Normal`].
    pub fn lane(mut self, lane: Lane) -> Self {
        self.lane = lane;
        self
    }

    /// Delays the job by this time, by the server's clock.
    pub fn after(mut self, delay: Duration) -> Self {
        self.when = When::In(delay);
        self
    }

    /// Delays the job until this moment, by the server's clock. A moment in the past means at once.
    pub fn at(mut self, at: impl Into<Timestamp>) -> Self {
        self.when = When::At(at.into());
        self
    }

    /// Derives the job's id from this name and the queue, so that the job can be found again. While
    /// a job of this id waits for its time, another delayed enqueue does not replace it. Add
    /// [`Enqueue::idempotent`] to prevent a second job also while the first is ready or done.
    /// Without it each enqueue adds a job: several jobs may have the id, and an order by the id
    /// means all of them. Costs a script, which removes the result and the progress of the job
    /// before.
    pub fn id(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets the policy. Default: the job's own.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = Some(policy);
        self
    }

    /// Treats enqueues with the same id within this time as the same job, unless that job is
    /// cancelled or deleted: then the id is free again. An enqueue whose reply is
    /// lost is sent again automatically. Costs a script and a key that is kept for `window`.
    pub fn idempotent(mut self, window: Duration) -> Self {
        self.idempotent = Some(window);
        self
    }

    /// Sets how safely the job must be stored before the enqueue returns. Default
    /// [`Durability::Memory`].
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Records the job's completion, also when the job ends without a result, dead or cancelled,
    /// and keeps the record for this time, at least 1 ms, so that [`Client::await_result`] returns
    /// at once however the job ends. Without it only a result is recorded, for 24 hours. Costs a
    /// script per job when the job is settled.
    pub fn keep_completion(mut self, kept: Duration) -> Self {
        self.completion_kept = Some(kept);
        self
    }

    /// Makes the worker run the job with `handle_call`.
    pub(crate) fn calling(mut self) -> Self {
        self.call = true;
        self
    }

    /// Checks and serializes the job without sending it, for [`Client::enqueue_prepared`].
    ///
    /// # Errors
    /// [`Error::is_invalid`] for an illegal queue, kind, lane, policy or durability, and for a
    /// completion that is kept for less than 1 ms; [`Error::is_too_large`] for a payload above
    /// 1 MiB, [`Error::is_codec`] when the payload cannot be serialized.
    pub fn prepare(&self) -> Result<PreparedJob, Error> {
        if matches!(self.lane, Lane::Front | Lane::Suspect) {
            return Err(Error::invalid(format!(
                "lane {} is Poolder's own: use high, normal or low",
                self.lane
            )));
        }
        let queue = QueueName::new(self.queue.as_deref().unwrap_or(J::QUEUE))?;
        let id = match &self.name {
            Some(name) => JobId::named(&queue, name),
            None => JobId::generate(),
        };
        let policy = self.policy.clone().or_else(|| self.job.policy());
        let mut envelope = encode(&self.job, id, &queue, policy.as_ref())?;
        if let Some(kept) = self.completion_kept {
            envelope = envelope.keeping_completion(kept)?;
        }
        if self.call {
            envelope = envelope.calling()?;
        }
        self.durability.check()?;
        let Self { lane, when, idempotent, durability, .. } = *self;
        Ok(PreparedJob { lane, when, idempotent, durability, ..plain(envelope, queue) })
    }
}

impl<'c, J: Job> IntoFuture for Enqueue<'c, J> {
    type Output = Result<Receipt, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'c>>;

    fn into_future(self) -> Self::IntoFuture {
        let (client, prepared) = (self.client, self.prepare());
        Box::pin(async move {
            let new = prepared?;
            client.registering(&new.partition, client.broker().enqueue(&new)).await
        })
    }
}
