//! Changing schedules, by whoever wants to: no change is lost, since each says on which revision
//! it builds, and is worked out anew when somebody else was faster.

use std::time::Duration;

use redis::Value;

use super::ScheduleInfo;
use crate::broker::connection::reply;
use crate::broker::{Broker, scripts};
use crate::job::{Error, Partition, Timestamp};
use crate::schedule::{Record, Schedule, Status, check_schedule_name, spread};

/// More schedules than this are refused: they are somebody's data, not his rhythm.
const MOST: u64 = 100_000;
/// So often a change is worked out anew before it is given up.
const TRIES: u32 = 30;

/// What to store.
pub(super) struct Edit {
    pub(super) record: Record,
    /// It ticks anew from now on: ticks of the past are decided.
    pub(super) anew: bool,
    /// It must tick again some time.
    pub(super) must_tick: bool,
}

impl Broker {
    /// Stores a schedule, or replaces the one of this name, whose history and status it keeps.
    /// Where its timing is another, it counts from now on. `owner` is the scheduler to which it
    /// belongs, if any.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for a name or schedule that cannot be, one that never ticks, and one
    /// of another owner; whatever keeps the server from doing it.
    pub async fn put_schedule(
        &self,
        partition: &Partition,
        name: &str,
        owner: Option<&str>,
        schedule: &Schedule,
    ) -> Result<ScheduleInfo, Error> {
        self.edit(partition, name, |found, now| {
            let Some(found) = found else {
                let owner = owner.map(ToOwned::to_owned);
                let record = Record { owner, ..Record::new(schedule.clone(), now) };
                return Ok(Some(Edit { record, anew: true, must_tick: true }));
            };
            if owner.is_some() && found.owner.as_deref() != owner {
                return Err(foreign(name, found));
            }
            Ok(Some(replaced(found, schedule.clone(), now)))
        })
        .await
    }

    /// Changes a schedule. The function may be called several times, when others change it too.
    ///
    /// # Errors
    /// [`Error::is_gone`] when there is none of this name, what the function returns, and as
    /// [`Broker::put_schedule`].
    pub async fn change_schedule(
        &self,
        partition: &Partition,
        name: &str,
        mut change: impl FnMut(&mut Schedule) -> Result<(), Error>,
    ) -> Result<ScheduleInfo, Error> {
        self.edit(partition, name, |found, now| {
            let found = found.ok_or_else(|| missing(partition, name))?;
            let mut schedule = found.schedule.clone();
            change(&mut schedule)?;
            Ok(Some(replaced(found, schedule, now)))
        })
        .await
    }

    /// Makes a schedule tick, or lets it rest. What it would have done while it rested is not made
    /// up for. With `from`, one whose status is another by now is left as it is: what is returned
    /// says so.
    ///
    /// # Errors
    /// [`Error::is_gone`] when there is none of this name; whatever keeps the server from doing it.
    pub async fn set_schedule_status(
        &self,
        partition: &Partition,
        name: &str,
        from: Option<Status>,
        status: Status,
    ) -> Result<ScheduleInfo, Error> {
        self.edit(partition, name, |found, _| {
            let found = found.ok_or_else(|| missing(partition, name))?;
            if found.status == status || from.is_some_and(|from| found.status != from) {
                return Ok(None);
            }
            let record = Record { status, ..found.record() };
            Ok(Some(Edit { record, anew: status == Status::Active, must_tick: false }))
        })
        .await
    }

    /// Removes a schedule; false when there was none. Jobs that it has enqueued go on.
    ///
    /// # Errors
    /// Whatever keeps the server from doing it.
    pub async fn remove_schedule(&self, partition: &Partition, name: &str) -> Result<bool, Error> {
        let keys = &self.keys(partition).schedules;
        let own = [&keys.records, &keys.states, &keys.next, &keys.running, &keys.queued];
        let mut cmd = scripts::call(&scripts::SCHEDULE_DROP, own.map(String::as_str));
        cmd.arg(name);
        Ok(reply::int(self.script(&scripts::SCHEDULE_DROP, &cmd).await?)? == 1)
    }

    /// Reads, asks what to store, and stores it if nobody has changed it meanwhile; else again.
    pub(super) async fn edit(
        &self,
        partition: &Partition,
        name: &str,
        mut edit: impl FnMut(Option<&ScheduleInfo>, Timestamp) -> Result<Option<Edit>, Error>,
    ) -> Result<ScheduleInfo, Error> {
        check_schedule_name(name)?;
        for tried in 0..TRIES {
            let (now, found) = self.read_schedule(partition, name).await?;
            let Some(edit) = edit(found.as_ref(), now)? else {
                return found.ok_or_else(|| missing(partition, name));
            };
            edit.record.schedule.check()?;
            if self.store(partition, name, found.as_ref(), &edit, now).await? {
                let stored = self.schedule(partition, name).await?;
                return stored.ok_or_else(|| missing(partition, name));
            }
            // Those who collide must not do so again in step.
            let wait = 1 + (now.millis().unsigned_abs() + u64::from(tried)) % 10;
            tokio::time::sleep(Duration::from_millis(wait * u64::from(tried))).await;
        }
        Err(Error::refused(format!(
            "schedule {name:?} of queue {} is changed by so many at once that this change found no \
             moment: try again",
            partition.queue
        )))
    }

    /// False when somebody else has changed it.
    async fn store(
        &self,
        partition: &Partition,
        name: &str,
        found: Option<&ScheduleInfo>,
        edit: &Edit,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let Edit { record, anew, must_tick } = edit;
        let decided = match found {
            Some(found) if *anew => found.last.max(now),
            Some(found) => found.last,
            None => now,
        };
        // The leader works the next tick out anew: this is for those who look before it does.
        let plan = record.schedule.plan(record.origin, decided, decided, spread(name), 1);
        if plan.next.is_none() && *must_tick {
            let zone = record.schedule.zone;
            return Err(Error::invalid(format!(
                "schedule {name:?} never ticks: {} has no tick between now, which is {}, and its \
                 end",
                record.schedule.timing,
                zone.show(now.millis())
            )));
        }
        let next = plan.next.filter(|_| record.is_active());
        let partition_keys = self.keys(partition);
        let keys = &partition_keys.schedules;
        let own = [&keys.records, &keys.states, &keys.next];
        let mut cmd = scripts::call(&scripts::SCHEDULE_PUT, own.map(String::as_str));
        let text = |millis: Option<i64>| millis.map(|ms| ms.to_string()).unwrap_or_default();
        cmd.arg(name)
            .arg(found.map(|found| found.revision.to_string()).unwrap_or_default())
            .arg(record.encode()?)
            .arg(text(next.map(Timestamp::millis)))
            .arg(text((*anew || found.is_none()).then(|| now.millis())))
            .arg(MOST)
            .arg(&partition_keys.control);
        let [word, _] = reply::items::<2>(self.script(&scripts::SCHEDULE_PUT, &cmd).await?)?;
        match word_of(word)?.as_str() {
            "ok" => Ok(true),
            "conflict" => Ok(false),
            _ => Err(Error::invalid(format!(
                "queue {} has {MOST} schedules, which is the most: one schedule whose job looks \
                 up what is to be done serves better",
                partition.queue
            ))),
        }
    }
}

fn word_of(word: Value) -> Result<String, Error> {
    reply::text(word)
}

/// The same schedule with another content. It goes on where it was, unless its times are others.
pub(super) fn replaced(found: &ScheduleInfo, schedule: Schedule, now: Timestamp) -> Edit {
    let old = &found.schedule;
    let anew = schedule.timing != old.timing
        || schedule.zone != old.zone
        || schedule.jitter != old.jitter
        || schedule.start != old.start
        || schedule.end != old.end;
    let origin = if schedule.timing == old.timing { found.origin } else { now };
    let record = Record { schedule, origin, ..found.record() };
    Edit { record, anew, must_tick: anew }
}

pub(super) fn foreign(name: &str, found: &ScheduleInfo) -> Error {
    let of = match &found.owner {
        Some(owner) => format!("scheduler {owner:?}"),
        None => "nobody's code: a client made it".into(),
    };
    Error::invalid(format!(
        "schedule {name:?} of queue {} belongs to {of}; use another name, or remove it first",
        found.partition.queue
    ))
}

fn missing(partition: &Partition, name: &str) -> Error {
    Error::gone(format!("queue {} has no schedule {name:?}", partition.queue))
}
