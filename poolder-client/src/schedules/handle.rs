//! The schedules of a queue, for operators and for code that changes schedules at run time.

use poolder_core::broker::{Declaration, Declared, PreparedJob, Receipt, ScheduleInfo};
use poolder_core::history::{JournalEvent, JournalRecord};
use poolder_core::{
    Error, JobId, Partition, QueueName, Schedule, Status, Timestamp, check_schedule_name,
};

use crate::client::Client;
use crate::schedules::changes::{PutSchedule, SetStatus, of_schedule};

/// The schedules of one queue; made by [`Client::schedules`]. An illegal name of the queue, or of a
/// schedule, is the error of each call ([`Error::is_invalid`]).
///
/// ```no_run
/// # use poolder_client::Client;
/// # async fn f(client: Client) -> Result<(), poolder_core::Error> {
/// let schedules = client.schedules("mail");
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
    queue: String,
}

impl Client {
    /// Returns the handle of the schedules of a queue.
    #[must_use]
    pub fn schedules(&self, queue: impl AsRef<str>) -> Schedules {
        Schedules { client: self.clone(), queue: queue.as_ref().into() }
    }

    /// Declares all schedules of an owner, in any queues. A node does this when it starts.
    ///
    /// A schedule whose declaration differs from the last declaration is updated. A schedule whose
    /// declaration is unchanged keeps changes made at run time. A schedule that the owner declared
    /// before, and does not declare now, is disabled, which the journal tells.
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
        let declared = self.broker().declare_schedules(owner, deploy, declarations).await?;
        if declared.disabled > 0 {
            let record = JournalRecord::new(JournalEvent::ScheduleUndeclared);
            let record = record.count(declared.disabled as u64).by(owner);
            self.auditor().note(&record.detail(&format!("by deploy {deploy} of {owner}"))).await;
        }
        Ok(declared)
    }
}

impl Schedules {
    /// Returns a schedule; `None` when the queue has no schedule of this name.
    ///
    /// # Errors
    /// [`Error::is_codec`] when the schedule was stored by a newer version of Poolder; also returns
    /// an error when the server does not answer or refuses the command.
    pub async fn get(&self, name: impl AsRef<str>) -> Result<Option<ScheduleInfo>, Error> {
        let name = name.as_ref();
        check_schedule_name(name)?;
        self.client.broker().schedule(&self.partition()?, name).await
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
        self.client.broker().schedules(&self.partition()?, cursor).await
    }

    /// Returns the number of schedules.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn count(&self) -> Result<u64, Error> {
        self.client.broker().schedule_count(&self.partition()?).await
    }

    /// Adds a schedule when awaited, or replaces the schedule of this name; [`Client::schedule`] is
    /// the typed form. A replaced schedule keeps its history and a pause. If its timing differs, the
    /// new timing counts from now on.
    pub fn put(&self, name: impl AsRef<str>, schedule: Schedule) -> PutSchedule {
        PutSchedule::new(self.client.clone(), self.partition(), name.as_ref(), schedule)
    }

    /// Changes a schedule with a function. When another caller changes the schedule at the same
    /// time, the function is called again with the new state, so no change is lost.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when the queue has no schedule of this name; the function's error;
    /// and as [`Schedules::put`].
    pub async fn change(
        &self,
        name: impl AsRef<str>,
        change: impl FnMut(&mut Schedule) -> Result<(), Error>,
    ) -> Result<ScheduleInfo, Error> {
        let (partition, name) = (self.partition()?, name.as_ref());
        let changed = self.client.broker().change_schedule(&partition, name, change);
        let change = || of_schedule("schedule.change", &partition, name);
        self.client.auditor().record(change, |_| 1, changed).await
    }

    /// Pauses a schedule when awaited, until it is resumed. Its running and waiting jobs continue.
    pub fn pause(&self, name: impl AsRef<str>) -> SetStatus {
        self.set_status(name, Status::Paused)
    }

    /// Resumes a schedule when awaited: it ticks from now on, and ticks of the time in between are
    /// not made up for.
    pub fn resume(&self, name: impl AsRef<str>) -> SetStatus {
        self.set_status(name, Status::Active)
    }

    /// Sets the status of a schedule when awaited.
    pub fn set_status(&self, name: impl AsRef<str>, status: Status) -> SetStatus {
        SetStatus::new(self.client.clone(), self.partition(), name.as_ref(), status)
    }

    /// Removes a schedule; returns false when there was none. Jobs that the schedule has enqueued
    /// continue. A schedule that is declared in code returns when a node starts: pause it instead.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn remove(&self, name: impl AsRef<str>) -> Result<bool, Error> {
        let name = name.as_ref();
        check_schedule_name(name)?;
        let partition = self.partition()?;
        let removed = self.client.broker().remove_schedule(&partition, name);
        let change = || of_schedule("schedule.remove", &partition, name);
        self.client.auditor().record(change, |gone| u64::from(*gone), removed).await
    }

    /// Enqueues the schedule's job once, at once, whatever its status. Neither the ticks nor the
    /// overlap policy of the schedule are affected.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when the queue has no schedule of this name; also the errors of an
    /// enqueue.
    pub async fn run_now(&self, name: impl AsRef<str>) -> Result<Receipt, Error> {
        let name = name.as_ref();
        let info = self.existing(name).await?;
        let envelope = info.job_of_now(JobId::generate())?;
        let mut new = PreparedJob::new(self.partition()?, envelope);
        new.lane = info.schedule.lane;
        let enqueued = self.client.broker().enqueue(&new);
        let change = || {
            let job = format_args!("job {}", new.envelope.id());
            of_schedule("schedule.run", &new.partition, name).detail(job)
        };
        self.client.auditor().record(change, |_| 1, enqueued).await
    }

    /// Returns the next ticks of a schedule, at most `count`.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when the queue has no schedule of this name.
    pub async fn preview(
        &self,
        name: impl AsRef<str>,
        count: usize,
    ) -> Result<Vec<Timestamp>, Error> {
        let info = self.existing(name.as_ref()).await?;
        Ok(info.upcoming().take(count).collect())
    }

    /// Returns all schedules of this queue that belong to a scheduler, the owner.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn owned_by(&self, owner: impl AsRef<str>) -> Result<Vec<ScheduleInfo>, Error> {
        self.client.broker().schedules_of(&self.partition()?, owner.as_ref()).await
    }

    async fn existing(&self, name: &str) -> Result<ScheduleInfo, Error> {
        let none = || Error::not_found(format!("queue {} has no schedule {name:?}", self.queue));
        self.get(name).await?.ok_or_else(none)
    }

    fn partition(&self) -> Result<Partition, Error> {
        QueueName::new(&self.queue).map(Partition::first)
    }
}
