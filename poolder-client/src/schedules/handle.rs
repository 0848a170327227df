//! The schedules of a queue, for operators and for code that changes schedules at run time.

use poolder_core::broker::{
    Declaration, Declared, Durability, PreparedJob, Receipt, ScheduleInfo, When,
};
use poolder_core::{
    Error, JobId, Partition, QueueName, Schedule, Status, Timestamp, check_schedule_name,
};

use crate::client::Client;

/// The schedules of one queue; made by [`Client::schedules`].
///
/// ```no_run
/// # use poolder_client::Client;
/// # async fn f(client: Client) -> Result<(), poolder_core::Error> {
/// let schedules = client.schedules("mail")?;
/// for info in schedules.list().await? {
///     println!("{} ({}): last {:?}, next {:?}", info.name, info.status, info.last_run, info.next);
/// }
/// schedules.change("digest", |schedule| {
///     schedule.timing = "0 9 * * Mon-Fri".parse()?;
///     Ok(())
/// }).await?;
/// schedules.pause("digest").await?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Schedules {
    client: Client,
    partition: Partition,
}

impl Client {
    /// Returns the handle of the schedules of a queue.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for an illegal queue name.
    pub fn schedules(&self, queue: impl AsRef<str>) -> Result<Schedules, Error> {
        let partition = Partition::first(QueueName::new(queue)?);
        Ok(Schedules { client: self.clone(), partition })
    }

    /// Declares all schedules of an owner, in any queues. A node does this when it starts.
    ///
    /// A schedule whose declaration differs from the last declaration is updated. A schedule whose
    /// declaration is unchanged keeps changes made at run time. A schedule that the owner declared
    /// before, and does not declare now, is disabled.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for an invalid schedule, or for a schedule of another owner.
    pub async fn declare_schedules(
        &self,
        owner: &str,
        deploy: &str,
        declarations: &[Declaration],
    ) -> Result<Declared, Error> {
        for declaration in declarations {
            self.register(&Partition::first(declaration.queue.clone())).await;
        }
        self.broker().declare_schedules(owner, deploy, declarations).await
    }
}

impl Schedules {
    /// Returns a schedule; `None` when the queue has no schedule of this name.
    ///
    /// # Errors
    /// [`Error::is_codec`] when the schedule was stored by a newer version of Poolder; also returns
    /// an error when the server does not answer or refuses the command.
    pub async fn get(&self, name: &str) -> Result<Option<ScheduleInfo>, Error> {
        check_schedule_name(name)?;
        self.client.broker().schedule(&self.partition, name).await
    }

    /// Returns all schedules, ordered by name. With very many schedules, [`Schedules::page`] needs
    /// less memory.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn list(&self) -> Result<Vec<ScheduleInfo>, Error> {
        let (mut all, mut cursor) = (vec![], 0);
        loop {
            let (page, next) = self.page(cursor).await?;
            all.extend(page);
            cursor = next;
            if cursor == 0 {
                break;
            }
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        // Two pages may contain the same schedule.
        all.dedup_by(|a, b| a.name == b.name);
        Ok(all)
    }

    /// Returns about a hundred schedules, in no order, and the cursor of the next page, which is 0
    /// after the last page. Start with cursor 0. A schedule that is changed meanwhile may be
    /// returned twice.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn page(&self, cursor: u64) -> Result<(Vec<ScheduleInfo>, u64), Error> {
        self.client.broker().schedules(&self.partition, cursor).await
    }

    /// Returns the number of schedules.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn count(&self) -> Result<u64, Error> {
        self.client.broker().schedule_count(&self.partition).await
    }

    /// Adds a schedule, or replaces the schedule of this name; [`Client::schedule`] is the typed
    /// form. A replaced schedule keeps its history and a pause. If its timing differs, the new
    /// timing counts from now on.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for an illegal name, an invalid schedule or one that never ticks.
    pub async fn put(&self, name: &str, schedule: &Schedule) -> Result<ScheduleInfo, Error> {
        self.put_for(name, None, schedule).await
    }

    /// Adds or replaces a schedule that belongs to a scheduler, the owner. Schedules of other
    /// owners are not replaced.
    ///
    /// # Errors
    /// As [`Schedules::put`]; [`Error::is_invalid`] when another owner has a schedule of this name.
    pub async fn put_for(
        &self,
        name: &str,
        owner: Option<&str>,
        schedule: &Schedule,
    ) -> Result<ScheduleInfo, Error> {
        self.client.register(&self.partition).await;
        self.client.broker().put_schedule(&self.partition, name, owner, schedule).await
    }

    /// Changes a schedule with a function. When another caller changes the schedule at the same
    /// time, the function is called again with the new state, so no change is lost.
    ///
    /// # Errors
    /// [`Error::is_gone`] when the queue has no schedule of this name; the function's error; and as
    /// [`Schedules::put`].
    pub async fn change(
        &self,
        name: &str,
        change: impl FnMut(&mut Schedule) -> Result<(), Error>,
    ) -> Result<ScheduleInfo, Error> {
        self.client.broker().change_schedule(&self.partition, name, change).await
    }

    /// Pauses a schedule until it is resumed. Its running and waiting jobs continue.
    ///
    /// # Errors
    /// [`Error::is_gone`] when the queue has no schedule of this name.
    pub async fn pause(&self, name: &str) -> Result<ScheduleInfo, Error> {
        self.set_status(name, Status::Paused).await
    }

    /// Resumes a schedule: it ticks from now on, and ticks of the time in between are not made up
    /// for.
    ///
    /// # Errors
    /// [`Error::is_gone`] when the queue has no schedule of this name.
    pub async fn resume(&self, name: &str) -> Result<ScheduleInfo, Error> {
        self.set_status(name, Status::Active).await
    }

    /// Sets the status of a schedule, active or paused.
    ///
    /// # Errors
    /// [`Error::is_gone`] when the queue has no schedule of this name.
    pub async fn set_status(&self, name: &str, status: Status) -> Result<ScheduleInfo, Error> {
        self.client.broker().set_schedule_status(&self.partition, name, None, status).await
    }

    /// Sets the status of a schedule only if its status is still `from`. Otherwise the schedule is
    /// left as it is, and the returned status shows that.
    ///
    /// # Errors
    /// [`Error::is_gone`] when the queue has no schedule of this name.
    pub async fn set_status_from(
        &self,
        name: &str,
        from: Status,
        status: Status,
    ) -> Result<ScheduleInfo, Error> {
        self.client.broker().set_schedule_status(&self.partition, name, Some(from), status).await
    }

    /// Removes a schedule; returns false when there was none. Jobs that the schedule has enqueued
    /// continue. A schedule that is declared in code returns when a node starts: pause it instead.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn remove(&self, name: &str) -> Result<bool, Error> {
        check_schedule_name(name)?;
        self.client.broker().remove_schedule(&self.partition, name).await
    }

    /// Enqueues the schedule's job once, at once, whatever its status. Neither the ticks nor the
    /// overlap policy of the schedule are affected.
    ///
    /// # Errors
    /// [`Error::is_gone`] when the queue has no schedule of this name; also the errors of an
    /// enqueue.
    pub async fn run_now(&self, name: &str) -> Result<Receipt, Error> {
        let info = self.get(name).await?.ok_or_else(|| {
            Error::gone(format!("queue {} has no schedule {name:?}", self.partition.queue))
        })?;
        let envelope = info.job_of_now(JobId::generate())?;
        let (partition, lane) = (self.partition.clone(), info.schedule.lane);
        let (when, durability) = (When::Now, Durability::Memory);
        let new = PreparedJob { partition, lane, when, envelope, idempotent: None, durability };
        self.client.broker().enqueue(&new).await
    }

    /// Returns the next ticks of a schedule, at most `count`.
    ///
    /// # Errors
    /// [`Error::is_gone`] when the queue has no schedule of this name.
    pub async fn preview(&self, name: &str, count: usize) -> Result<Vec<Timestamp>, Error> {
        let info = self.get(name).await?.ok_or_else(|| {
            Error::gone(format!("queue {} has no schedule {name:?}", self.partition.queue))
        })?;
        Ok(info.upcoming().take(count).collect())
    }

    /// Returns all schedules of this queue that belong to a scheduler, the owner.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn owned_by(&self, owner: &str) -> Result<Vec<ScheduleInfo>, Error> {
        self.client.broker().schedules_of(&self.partition, owner).await
    }
}
