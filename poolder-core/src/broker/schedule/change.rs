//! Changing schedules, by any number of writers. Each change names the revision on which it builds.
//! When another writer was faster, the change is computed again from the new revision, so that no
//! change is lost.

use std::time::Duration;

use redis::Value;

use super::ScheduleInfo;
use super::ahead::decided;
use crate::broker::connection::reply;
use crate::broker::keys::ScheduleKeys;
use crate::broker::{Broker, scripts};
#[cfg(feature = "testing")]
use crate::captured::SchedulePut;
use crate::job::{Error, JobId, Partition, Timestamp};
use crate::schedule::{Record, Schedule, Status, check_schedule_name, spread};

/// The most schedules of a queue. More suggests per-record schedules, for which `enqueue().at(..)`
/// is meant.
const MAX_SCHEDULES: u64 = 100_000;
/// How often a change is computed before it is given up.
const MAX_TRIES: u32 = 30;

/// A change of a schedule.
pub(super) struct Edit {
    pub(super) record: Record,
    /// True when the schedule ticks from now on only: all earlier ticks count as decided.
    pub(super) anew: bool,
    /// True when a schedule that never ticks again is refused.
    pub(super) must_tick: bool,
}

impl Broker {
    /// Stores a schedule, or replaces the one of this name, keeping its history and status. When
    /// the timing changes, the schedule counts from now on. `owner` is the scheduler that owns it,
    /// if any.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for an invalid name or schedule, a schedule that never ticks, and a
    /// schedule of another owner; [`Error::is_refused`] when other writers change the schedule all
    /// the time. Returns an error, too, when the server does not answer or refuses the command.
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

    /// Changes a schedule with a function, which is called again when another writer was faster.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when the queue has no schedule of this name; the error that the
    /// function returns; the errors of [`Broker::put_schedule`].
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

    /// Sets the status of a schedule, which makes it tick or rest. Ticks of the time in which it
    /// rested are not made up for. With `from`, a schedule that has another status by now is left
    /// as it is; the returned schedule shows its status.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when the queue has no schedule of this name. Returns an error, too,
    /// when the server does not answer or refuses the command.
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

    /// Returns the stored form of a schedule, as an export keeps it.
    ///
    /// # Errors
    /// [`Error::is_codec`] when it cannot be written.
    pub fn kept_schedule(info: &ScheduleInfo) -> Result<Vec<u8>, Error> {
        info.record().encode()
    }

    /// Stores a schedule of an export, with its status and its owner, unless one of its name is there.
    /// It ticks from now on. Returns whether it was stored.
    ///
    /// # Errors
    /// [`Error::is_codec`] for bytes that are no schedule; the errors of [`Broker::put_schedule`].
    pub async fn import_schedule(
        &self,
        partition: &Partition,
        name: &str,
        kept: &[u8],
    ) -> Result<bool, Error> {
        let record = Record::decode(kept)?;
        let mut is_new = false;
        self.edit(partition, name, |found, _| {
            is_new = found.is_none();
            let edit = Edit { record: record.clone(), anew: true, must_tick: false };
            Ok(is_new.then_some(edit))
        })
        .await?;
        Ok(is_new)
    }

    /// Returns an error for bytes that are no schedule of an export.
    ///
    /// # Errors
    /// [`Error::is_codec`] and [`Error::is_invalid`].
    pub fn check_kept_schedule(kept: &[u8]) -> Result<(), Error> {
        Record::decode(kept)?.schedule.check()
    }

    /// Removes a schedule; returns false when there was none. Jobs that the schedule has enqueued
    /// go on; a job that still waits for an earlier job of the schedule is removed, logged and
    /// counted as deleted.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn remove_schedule(&self, partition: &Partition, name: &str) -> Result<bool, Error> {
        #[cfg(feature = "testing")]
        if let Some(captured) = self.captured() {
            return Ok(captured.remove_schedule(partition, name));
        }
        let all = self.keys(partition);
        let keys = &all.schedules;
        let ScheduleKeys { records, states, next, running, queued, runs } = keys;
        let own = [records, states, next, running, queued, &all.stats, runs];
        let mut cmd = scripts::call(&scripts::SCHEDULE_DROP, own.map(String::as_str));
        cmd.arg(name);
        let [removed, queued] = reply::items::<2>(self.command(&cmd).await?)?;
        if let Ok(job) = <[u8; 16]>::try_from(reply::bytes(queued)?) {
            let job = JobId::from_bytes(job);
            tracing::warn!(%partition, schedule = name, %job, "removed a queued job with its schedule");
        }
        Ok(reply::int(removed)? == 1)
    }

    /// Reads a schedule, asks `edit` for the change, and stores the change if no other writer has
    /// changed the schedule meanwhile; else repeats. `edit` returns `None` to change nothing.
    pub(super) async fn edit(
        &self,
        partition: &Partition,
        name: &str,
        mut edit: impl FnMut(Option<&ScheduleInfo>, Timestamp) -> Result<Option<Edit>, Error>,
    ) -> Result<ScheduleInfo, Error> {
        check_schedule_name(name)?;
        for tried in 0..MAX_TRIES {
            let (now, found) = self.read_schedule(partition, name).await?;
            let Some(edit) = edit(found.as_ref(), now)? else {
                return found.ok_or_else(|| missing(partition, name));
            };
            edit.record.schedule.check()?;
            if self.store(partition, name, found.as_ref(), &edit, now).await? {
                let stored = self.schedule(partition, name).await?;
                return stored.ok_or_else(|| missing(partition, name));
            }
            // The pause depends on the time of the read, so that writers that collided rarely
            // collide again.
            let wait = 1 + (now.millis().unsigned_abs() + u64::from(tried)) % 10;
            tokio::time::sleep(Duration::from_millis(wait * u64::from(tried))).await;
        }
        Err(Error::refused(format!(
            "schedule {name:?} of queue {} was changed by other writers {MAX_TRIES} times while \
             this change was made: try again",
            partition.queue
        )))
    }

    /// Stores a change. Returns false when another writer has changed the schedule meanwhile.
    async fn store(
        &self,
        partition: &Partition,
        name: &str,
        found: Option<&ScheduleInfo>,
        edit: &Edit,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let Edit { record, anew, must_tick } = edit;
        let last = match found {
            Some(found) if *anew => decided(found.last, now).max(now),
            Some(found) => decided(found.last, now),
            None => now,
        };
        // The leader computes the plan again when this tick is due; until then, this plan is shown
        // and waited for.
        let plan = record.schedule.plan(record.origin, last, last, spread(name), 1);
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
        #[cfg(feature = "testing")]
        if let Some(captured) = self.captured() {
            return Ok(captured.put_schedule(SchedulePut {
                partition,
                name,
                revision: found.map(|found| found.revision),
                record: record.encode()?,
                next,
                last: (*anew || found.is_none()).then_some(now),
            }));
        }
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
            .arg(MAX_SCHEDULES)
            .arg(&partition_keys.control)
            .arg(if record.declared.is_some() { "1" } else { "" });
        let [verdict, _] = reply::items::<2>(self.command(&cmd).await?)?;
        match text_of(verdict)?.as_str() {
            "ok" => Ok(true),
            "conflict" => Ok(false),
            _ => Err(Error::invalid(format!(
                "queue {} has {MAX_SCHEDULES} schedules, which is the most: use one schedule \
                 whose job looks up its work, or enqueue().at(..)",
                partition.queue
            ))),
        }
    }
}

fn text_of(verdict: Value) -> Result<String, Error> {
    reply::text(verdict)
}

/// The change that replaces the content of a schedule. The schedule goes on from its last tick,
/// unless its ticks change.
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

/// The error for a schedule that another scheduler, or no scheduler, owns.
pub(super) fn foreign(name: &str, found: &ScheduleInfo) -> Error {
    let of = match &found.owner {
        Some(owner) => format!("scheduler {owner:?}"),
        None => "no scheduler: a client made it".into(),
    };
    Error::invalid(format!(
        "schedule {name:?} of queue {} belongs to {of}; use another name, or remove it first",
        found.partition.queue
    ))
}

/// The error for a schedule that does not exist.
fn missing(partition: &Partition, name: &str) -> Error {
    Error::not_found(format!("queue {} has no schedule {name:?}", partition.queue))
}
