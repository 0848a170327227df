//! The schedules of a queue, for operators and for code that changes them at run time.

use poolder_core::broker::{
    Declaration, Declared, Durability, NewJob, Receipt, ScheduleInfo, When,
};
use poolder_core::{
    Error, JobId, Partition, QueueName, Schedule, Status, Timestamp, check_schedule_name,
};

use crate::client::Client;

/// The schedules of one queue: [`Client::schedules`].
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
    /// The schedules that feed a queue.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for an illegal queue name.
    pub fn schedules(&self, queue: impl AsRef<str>) -> Result<Schedules, Error> {
        let partition = Partition::first(QueueName::new(queue)?);
        Ok(Schedules { client: self.clone(), partition })
    }

    /// Declares all schedules of an owner, in whatever queues: what a node does when it starts.
    ///
    /// What the code says counts when it says something new: a schedule whose declaration differs
    /// from the last is updated, one whose declaration is the same keeps what was changed at run
    /// time. What the owner declared before, and now does not, is disabled.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for a schedule that cannot be, or one of another owner.
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
    /// One of them; `None` when there is none of this name.
    ///
    /// # Errors
    /// [`Error::is_codec`] when it was stored by a newer version of Poolder; whatever keeps the
    /// server from answering.
    pub async fn get(&self, name: &str) -> Result<Option<ScheduleInfo>, Error> {
        check_schedule_name(name)?;
        self.client.broker().schedule(&self.partition, name).await
    }

    /// All of them, by name. For very many, [`Schedules::page`] holds fewer in memory.
    ///
    /// # Errors
    /// Whatever keeps the server from answering.
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
        // A page may bring one again that another has brought.
        all.dedup_by(|a, b| a.name == b.name);
        Ok(all)
    }

    /// About a hundred of them, in no order, and the cursor of the next page, 0 after the last.
    /// Start with 0. One that is changed meanwhile may come twice.
    ///
    /// # Errors
    /// Whatever keeps the server from answering.
    pub async fn page(&self, cursor: u64) -> Result<(Vec<ScheduleInfo>, u64), Error> {
        self.client.broker().schedules(&self.partition, cursor).await
    }

    /// How many there are.
    ///
    /// # Errors
    /// Whatever keeps the server from answering.
    pub async fn count(&self) -> Result<u64, Error> {
        self.client.broker().schedule_count(&self.partition).await
    }

    /// Adds a schedule, or replaces the one of this name; [`Client::schedule`] is the typed form.
    /// A schedule that is replaced keeps its history and a pause; where its times are others, they
    /// count from now.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for a name or schedule that cannot be, or that never ticks.
    pub async fn put(&self, name: &str, schedule: &Schedule) -> Result<ScheduleInfo, Error> {
        self.put_for(name, None, schedule).await
    }

    /// The same for a scheduler, which does not touch those of others.
    ///
    /// # Errors
    /// As [`Schedules::put`]; [`Error::is_invalid`] when another owns a schedule of this name.
    pub async fn put_for(
        &self,
        name: &str,
        owner: Option<&str>,
        schedule: &Schedule,
    ) -> Result<ScheduleInfo, Error> {
        self.client.register(&self.partition).await;
        self.client.broker().put_schedule(&self.partition, name, owner, schedule).await
    }

    /// Changes whatever the function changes. It may be called several times, when others change
    /// the schedule too: no change is lost.
    ///
    /// # Errors
    /// [`Error::is_gone`] when there is none of this name; what the function returns; and as
    /// [`Schedules::put`].
    pub async fn change(
        &self,
        name: &str,
        change: impl FnMut(&mut Schedule) -> Result<(), Error>,
    ) -> Result<ScheduleInfo, Error> {
        self.client.broker().change_schedule(&self.partition, name, change).await
    }

    /// Lets it rest until it is resumed. A job that is under way goes on.
    ///
    /// # Errors
    /// [`Error::is_gone`] when there is none of this name.
    pub async fn pause(&self, name: &str) -> Result<ScheduleInfo, Error> {
        self.set_status(name, Status::Paused).await
    }

    /// Makes it tick again, from now on: what it would have done meanwhile is not made up for.
    ///
    /// # Errors
    /// [`Error::is_gone`] when there is none of this name.
    pub async fn resume(&self, name: &str) -> Result<ScheduleInfo, Error> {
        self.set_status(name, Status::Active).await
    }

    /// Sets whether it ticks.
    ///
    /// # Errors
    /// [`Error::is_gone`] when there is none of this name.
    pub async fn set_status(&self, name: &str, status: Status) -> Result<ScheduleInfo, Error> {
        self.client.broker().set_schedule_status(&self.partition, name, None, status).await
    }

    /// The same, unless its status is no longer `from`: then it is left as it is, which the status
    /// that is returned shows.
    ///
    /// # Errors
    /// [`Error::is_gone`] when there is none of this name.
    pub async fn set_status_from(
        &self,
        name: &str,
        from: Status,
        status: Status,
    ) -> Result<ScheduleInfo, Error> {
        self.client.broker().set_schedule_status(&self.partition, name, Some(from), status).await
    }

    /// Removes it; false when there was none. Jobs that it has enqueued go on. One that code
    /// declares comes back when a node starts: pause it instead.
    ///
    /// # Errors
    /// Whatever keeps the server from doing it.
    pub async fn remove(&self, name: &str) -> Result<bool, Error> {
        check_schedule_name(name)?;
        self.client.broker().remove_schedule(&self.partition, name).await
    }

    /// Enqueues its job once more, at once, whatever its status. Neither its ticks nor its policy
    /// for jobs that overlap have a part in that.
    ///
    /// # Errors
    /// [`Error::is_gone`] when there is none of this name; as an enqueue does.
    pub async fn run_now(&self, name: &str) -> Result<Receipt, Error> {
        let info = self.get(name).await?.ok_or_else(|| {
            Error::gone(format!("queue {} has no schedule {name:?}", self.partition.queue))
        })?;
        let envelope = info.job_of_now(JobId::generate())?;
        let (partition, lane) = (self.partition.clone(), info.schedule.lane);
        let (when, durability) = (When::Now, Durability::Memory);
        let new = NewJob { partition, lane, when, envelope, idempotent: None, durability };
        self.client.broker().enqueue(&new).await
    }

    /// When it will tick next, at most `count` times.
    ///
    /// # Errors
    /// [`Error::is_gone`] when there is none of this name.
    pub async fn preview(&self, name: &str, count: usize) -> Result<Vec<Timestamp>, Error> {
        let info = self.get(name).await?.ok_or_else(|| {
            Error::gone(format!("queue {} has no schedule {name:?}", self.partition.queue))
        })?;
        Ok(info.upcoming().take(count).collect())
    }

    /// All schedules of a scheduler.
    ///
    /// # Errors
    /// Whatever keeps the server from answering.
    pub async fn owned_by(&self, owner: &str) -> Result<Vec<ScheduleInfo>, Error> {
        self.client.broker().schedules_of(&self.partition, owner).await
    }
}
