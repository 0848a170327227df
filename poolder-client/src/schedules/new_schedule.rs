//! One new schedule with its options, awaited like a future.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::Duration;

use poolder_core::broker::{Declaration, ScheduleInfo};
use poolder_core::{
    Error, Job, JobId, Missed, Overlap, QueueName, Schedule, Timestamp, Timing, Unique,
    check_schedule_name,
};

use crate::client::Client;
use crate::enqueue::encode;
use crate::enqueue::options::{EnqueueOptions, SetOptions, boxed_options, option_methods};

/// The options that the jobs of a schedule can have: each tick decides their time and their id.
const JOB_OPTIONS: &[&str] = &[
    "lane",
    "policy",
    "keep_completion",
    "header",
    "trace_parent",
    "unique",
    "group",
    "cost",
    "expires_in",
];

/// A schedule about to be added. Awaiting it adds the schedule; before that nothing happens.
#[derive(Debug)]
#[must_use = "a schedule is added when this is awaited"]
pub struct NewSchedule {
    client: Client,
    name: String,
    /// The queue, or the error of its name.
    queue: Result<QueueName, Error>,
    /// The schedule, or the first error in its settings.
    schedule: Result<Schedule, Error>,
    /// The options of its jobs.
    options: SetOptions,
    /// The rule by which jobs of the type are unique.
    unique: Option<Unique>,
    /// The time within which jobs of the type start.
    expires_in: Option<Duration>,
}

impl Client {
    /// Enqueues a job repeatedly: by a cron expression, or after an interval (a text such as
    /// `"90s"`, a `Duration`, or milliseconds). Await it, or set its options first.
    ///
    /// The name identifies the schedule in its queue: a schedule of the same name is replaced.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use poolder_client::Client;
    /// # use poolder_core::{Job, Missed, Overlap};
    /// # #[derive(serde::Serialize, serde::Deserialize)]
    /// # struct Digest { list: u64 }
    /// # impl Job for Digest { const KINDS: &'static [&'static str] = &["digest"]; }
    /// # async fn f(client: Client) -> Result<(), poolder_core::Error> {
    /// client.schedule("digest", "30 7 * * Mon-Fri", Digest { list: 3 })
    ///     .zone("Europe/Berlin")
    ///     .missed(Missed::Skip)
    ///     .overlap(Overlap::Skip)
    ///     .await?;
    /// client.schedule("poll", Duration::from_secs(90), Digest { list: 4 }).await?;
    /// # Ok(()) }
    /// ```
    #[expect(clippy::needless_pass_by_value, reason = "jobs are passed by value, as in enqueue")]
    pub fn schedule<J: Job>(
        &self,
        name: impl Into<String>,
        timing: impl TryInto<Timing, Error: Into<Error>>,
        job: J,
    ) -> NewSchedule {
        let (unique, expires_in) = (job.unique(), job.expires_in());
        let schedule = timing.try_into().map_err(Into::into).and_then(|timing| {
            let queue = QueueName::new(J::QUEUE)?;
            let mut made = encode(&job, JobId::generate(), &queue, job.policy().as_ref())?;
            if let Some(group) = job.group() {
                made = made.in_group(&group)?;
            }
            if let Some(cost) = job.cost() {
                made = made.costing(cost)?;
            }
            Ok(Schedule::new(timing, made))
        });
        let (client, queue) = (self.clone(), QueueName::new(J::QUEUE));
        let (name, options) = (name.into(), None);
        NewSchedule { client, name, queue, schedule, options, unique, expires_in }
    }
}

impl NewSchedule {
    option_methods! {
        lane policy keep_completion header headers trace_parent unique group cost expires_in options
    }

    boxed_options!();

    /// Sets the queue. Default: the queue of the job's type.
    pub fn queue(mut self, queue: impl AsRef<str>) -> Self {
        self.queue = QueueName::new(queue);
        self
    }

    /// Sets the time zone of a cron expression, by its name in the IANA database. Default UTC.
    pub fn zone(mut self, zone: impl AsRef<str>) -> Self {
        self.schedule = self.schedule.and_then(|mut schedule| {
            schedule.zone = zone.as_ref().parse()?;
            Ok(schedule)
        });
        self
    }

    /// Sets the policy for ticks that no node published in time. Default [`Missed::One`].
    pub fn missed(self, missed: Missed) -> Self {
        self.with(|schedule| schedule.missed = missed)
    }

    /// Sets the policy for a tick that comes while the job of an earlier tick is waiting, running
    /// or between two attempts. Default [`Overlap::Allow`].
    pub fn overlap(self, overlap: Overlap) -> Self {
        self.with(|schedule| schedule.overlap = overlap)
    }

    /// Delays all ticks by a fixed part of this time, which depends on the schedule's name. Default
    /// zero.
    pub fn jitter(self, jitter: Duration) -> Self {
        self.with(|schedule| schedule.jitter = jitter)
    }

    /// Sets the moment before which there is no tick; an interval starts with a tick at this
    /// moment.
    pub fn start(self, start: impl Into<Timestamp>) -> Self {
        self.with(|schedule| schedule.start = Some(start.into()))
    }

    /// Sets the moment after which there is no tick.
    pub fn end(self, end: impl Into<Timestamp>) -> Self {
        self.with(|schedule| schedule.end = Some(end.into()))
    }

    fn with(mut self, change: impl FnOnce(&mut Schedule)) -> Self {
        if let Ok(schedule) = &mut self.schedule {
            change(schedule);
        }
        self
    }

    /// Checks the schedule without storing it, for [`Client::declare_schedules`] or to preview its
    /// ticks.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for an illegal name or an invalid setting.
    pub fn prepare(self) -> Result<Declaration, Error> {
        let Self { name, queue, schedule, options, unique, expires_in, .. } = self;
        let (queue, mut schedule) = (queue?, schedule?);
        check_schedule_name(&name)?;
        let options = EnqueueOptions::of(&options);
        let mend = "leave it out; each tick decides the time and the id of its job";
        options.check_only(JOB_OPTIONS, format_args!("schedule {name:?}"), mend)?;
        schedule.lane = options.lane;
        if let Some(policy) = &options.policy {
            schedule.job = schedule.job.with_policy(policy)?;
        }
        if let Some(kept) = options.completion_kept {
            schedule.job = schedule.job.keeping_completion(kept)?;
        }
        if !options.headers.is_empty() {
            schedule.job = schedule.job.with_headers(&options.headers)?;
        }
        if let Some(parent) = options.trace_parent {
            schedule.job = schedule.job.with_trace_parent(parent)?;
        }
        if let Some(group) = &options.group {
            schedule.job = schedule.job.in_group(group)?;
        }
        if let Some(cost) = options.cost {
            schedule.job = schedule.job.costing(cost)?;
        }
        schedule.job = options.expiry.give(schedule.job, || expires_in)?;
        if let Some(rule) = options.unique.rule(|| unique) {
            schedule.job = schedule.job.made_unique(&rule)?;
        }
        schedule.check()?;
        Ok(Declaration::new(queue, name, schedule))
    }
}

impl IntoFuture for NewSchedule {
    type Output = Result<ScheduleInfo, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        let client = self.client.clone();
        let prepared = self.prepare();
        Box::pin(async move {
            let Declaration { queue, name, schedule, .. } = prepared?;
            client.schedules(&queue).put(&name, schedule).await
        })
    }
}
