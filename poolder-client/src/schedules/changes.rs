//! Changes of schedules with their conditions, awaited like futures.

use std::future::{Future, IntoFuture};
use std::pin::Pin;

use poolder_core::broker::{ScheduleInfo, When};
use poolder_core::{Error, Partition, QueueName, Schedule, Status};

use crate::client::Client;
use crate::state::audit::Change;
use crate::state::enqueue_middleware::Outgoing;

/// A schedule about to be added or replaced; made by
/// [`Schedules::put`](crate::Schedules::put). Awaiting it stores the schedule; before that nothing
/// happens.
#[derive(Debug)]
#[must_use = "a schedule is stored when this is awaited"]
pub struct PutSchedule {
    client: Client,
    /// The partition of the queue, or the error of its name.
    partition: Result<Partition, Error>,
    name: String,
    owner: Option<String>,
    schedule: Schedule,
}

impl PutSchedule {
    pub(super) fn new(
        client: Client,
        partition: Result<Partition, Error>,
        name: &str,
        schedule: Schedule,
    ) -> Self {
        Self { client, partition, name: name.to_owned(), owner: None, schedule }
    }

    /// Makes the schedule belong to a scheduler, the owner. Schedules of other owners are not
    /// replaced. Default: no owner.
    pub fn owned_by(mut self, owner: impl AsRef<str>) -> Self {
        self.owner = Some(owner.as_ref().into());
        self
    }
}

impl IntoFuture for PutSchedule {
    /// The stored schedule. Errors: [`Error::is_invalid`] for an illegal name, an invalid schedule,
    /// one that never ticks, one of another owner, or one whose job a middleware refuses.
    type Output = Result<ScheduleInfo, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { client, partition, name, owner, mut schedule } = self;
        Box::pin(async move {
            let partition = partition?;
            client.pass_schedule(&partition.queue, &name, &mut schedule)?;
            client.register(&partition).await;
            let put = client.broker().put_schedule(&partition, &name, owner.as_deref(), &schedule);
            let change = || of_schedule("schedule.put", &partition, &name);
            client.auditor().record(change, |_| 1, put).await
        })
    }
}

/// A change of a schedule's status; made by [`Schedules::pause`](crate::Schedules::pause),
/// [`resume`](crate::Schedules::resume) or [`set_status`](crate::Schedules::set_status). Awaiting it
/// makes the change; before that nothing happens.
#[derive(Debug)]
#[must_use = "the status is set when this is awaited"]
pub struct SetStatus {
    client: Client,
    /// The partition of the queue, or the error of its name.
    partition: Result<Partition, Error>,
    name: String,
    expected: Option<Status>,
    status: Status,
}

impl SetStatus {
    pub(super) fn new(
        client: Client,
        partition: Result<Partition, Error>,
        name: &str,
        status: Status,
    ) -> Self {
        Self { client, partition, name: name.to_owned(), expected: None, status }
    }

    /// Sets the status only if it still is this one. Otherwise the schedule is left as it is, and
    /// the returned status shows that.
    pub fn if_status(mut self, expected: Status) -> Self {
        self.expected = Some(expected);
        self
    }
}

impl IntoFuture for SetStatus {
    /// The schedule after the change. Errors: [`Error::is_not_found`] when the queue has no
    /// schedule of this name.
    type Output = Result<ScheduleInfo, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { client, partition, name, expected, status } = self;
        Box::pin(async move {
            let partition = partition?;
            let (action, detail) = match status {
                Status::Active => ("schedule.resume", String::new()),
                Status::Paused => ("schedule.pause", String::new()),
                other => ("schedule.set_status", other.to_string()),
            };
            let set = client.broker().set_schedule_status(&partition, &name, expected, status);
            let is_set = |info: &ScheduleInfo| u64::from(info.status == status);
            let change = || of_schedule(action, &partition, &name).detail(&detail);
            client.auditor().record(change, is_set, set).await
        })
    }
}

/// Returns the change of a schedule.
pub(super) fn of_schedule(action: &'static str, partition: &Partition, name: &str) -> Change {
    Change::new(action, format_args!("{}/{name}", partition.queue))
}

impl Client {
    /// Passes the job of a new schedule through the middleware.
    fn pass_schedule(
        &self,
        queue: &QueueName,
        name: &str,
        schedule: &mut Schedule,
    ) -> Result<(), Error> {
        let passed = self.chain().pass(Outgoing {
            envelope: &schedule.job,
            queue,
            lane: schedule.lane,
            when: When::Now,
            schedule: Some(name),
            headers: schedule.job.headers().clone(),
        })?;
        if let Some(changed) = passed {
            schedule.job = changed;
        }
        Ok(())
    }
}
