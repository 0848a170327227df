//! Many jobs in pipelines: of one type with the same options, or prepared one by one.

use std::future::{Future, IntoFuture};
use std::pin::Pin;

use poolder_core::broker::{PreparedJob, Receipt};
use poolder_core::{Error, Job, Partition, QueueName};
use tracing::Instrument;

use crate::client::Client;
use crate::enqueue::options::{EnqueueOptions, SetOptions, boxed_options, option_methods};
use crate::state::send_span;

/// The options that many jobs can share.
const SHARED_OPTIONS: &[&str] = &[
    "lane",
    "after or at",
    "policy",
    "durability",
    "keep_completion",
    "header",
    "trace_parent",
    "unique",
    "group",
    "cost",
    "expires_in",
    "expires_at",
];

/// Many jobs about to be enqueued. Awaiting it enqueues them; before that nothing happens.
#[derive(Debug)]
#[must_use = "jobs are enqueued when this is awaited"]
pub struct EnqueueMany<I> {
    client: Client,
    jobs: I,
    /// The queue that was set, or the error of its name.
    queue: Option<Result<QueueName, Error>>,
    options: SetOptions,
}

impl Client {
    /// Enqueues many jobs in pipelines when awaited. Returns one result per job, in order. Options
    /// hold for all of them; jobs with options of their own go through
    /// [`Client::enqueue_prepared`].
    ///
    /// ```no_run
    /// # use poolder_client::Client;
    /// # use poolder_core::{Job, Lane};
    /// # #[derive(serde::Serialize, serde::Deserialize)]
    /// # struct Welcome { user: u64 }
    /// # impl Job for Welcome { const KINDS: &'static [&'static str] = &["welcome"]; }
    /// # async fn f(client: Client) -> Result<(), poolder_core::Error> {
    /// let users = (0..1_000).map(|user| Welcome { user });
    /// for receipt in client.enqueue_many(users).lane(Lane::Low).await {
    ///     println!("{}", receipt?.job);
    /// }
    /// # Ok(()) }
    /// ```
    pub fn enqueue_many<I>(&self, jobs: I) -> EnqueueMany<I::IntoIter>
    where
        I: IntoIterator<Item: Job>,
    {
        let (client, jobs) = (self.clone(), jobs.into_iter());
        EnqueueMany { client, jobs, queue: None, options: None }
    }

    /// Enqueues jobs made by [`Enqueue::prepare`](crate::Enqueue::prepare), of any kinds and
    /// options, in pipelines. Returns one result per job, in order; a job that could not be
    /// prepared keeps its error.
    pub async fn enqueue_prepared(
        &self,
        prepared: Vec<Result<PreparedJob, Error>>,
    ) -> Vec<Result<Receipt, Error>> {
        let mut good = Vec::with_capacity(prepared.len());
        let mut places = Vec::with_capacity(prepared.len());
        for mut one in prepared {
            if let Ok(new) = &mut one
                && let Err(error) = self.publish(new).await
            {
                one = Err(error);
            }
            places.push(one.map(|new| good.push(new)));
        }
        let mut queues: Vec<&Partition> = vec![];
        for new in &good {
            if queues.last().is_none_or(|last| last.queue != new.partition.queue) {
                queues.push(&new.partition);
            }
        }
        let registration = self.begin_registration(&queues);
        let span = send_span::send_many(&mut good);
        // Boxed, so that the futures of callers are not nested too deeply.
        let results = Box::pin(self.broker().enqueue_many(&good).instrument(span)).await;
        good.iter().zip(&results).for_each(|(new, stored)| self.count(new, stored));
        let mut results = results.into_iter();
        registration.settle().await;
        let lost = || Err(Error::protocol("a result is missing"));
        places
            .into_iter()
            .map(|place| place.and_then(|()| results.next().unwrap_or_else(lost)))
            .collect()
    }
}

impl<J: Job, I: Iterator<Item = J>> EnqueueMany<I> {
    option_methods! {
    lane after at policy durability keep_completion header headers trace_parent unique group cost
        expires_in expires_at options
    }

    boxed_options!();

    /// Sets the queue. Default: the queue of the jobs' type.
    pub fn queue(mut self, queue: impl AsRef<str>) -> Self {
        self.queue = Some(QueueName::new(queue));
        self
    }
}

impl<J: Job, I: Iterator<Item = J>> IntoFuture for EnqueueMany<I> {
    type Output = Vec<Result<Receipt, Error>>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { client, jobs, queue, options } = self;
        let options = EnqueueOptions::of(&options);
        let mend = "give it to each job, and send what Enqueue::prepare returns with \
                    Client::enqueue_prepared";
        let honoured = options.check_only(SHARED_OPTIONS, "an enqueue of many jobs", mend);
        let queue = queue.unwrap_or_else(|| QueueName::new(J::QUEUE));
        let queue = honoured.and(queue);
        let prepare = |job: J| match &queue {
            Ok(queue) => options.prepare(&client, &job, queue.clone(), None, None),
            Err(error) => Err(error.repeated()),
        };
        let prepared: Vec<_> = jobs.map(prepare).collect();
        Box::pin(async move { client.enqueue_prepared(prepared).await })
    }
}
