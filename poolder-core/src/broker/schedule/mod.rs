//! Schedules in Redis, and reading them. A schedule is stored in the first partition of the queue
//! that it feeds, so that a tick is decided and its job enqueued in one step.

mod ahead;
mod change;
mod declare;
mod holder;
mod serialize;
mod tick;

use redis::Value;

use crate::broker::connection::reply;
use crate::broker::{Broker, scripts};
#[cfg(feature = "testing")]
use crate::captured::CapturedSchedule;
use crate::job::{Error, JobId, Partition, Tick, Timestamp};
use crate::schedule::{Record, Schedule, ScheduleRun, Status, StoredState, spread};
use crate::stored::Envelope;

pub use declare::{Declaration, Declared};
pub use tick::Publication;

/// The most schedules that a script reads at once: the job of each may have 64 KiB.
const READ: usize = 100;

/// A schedule, its status and its history.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ScheduleInfo {
    /// The schedule's name, unique in its queue.
    pub name: String,
    /// The partition that the schedule feeds.
    pub partition: Partition,
    /// The schedule's job and timing.
    pub schedule: Schedule,
    /// The schedule's status, which says whether it ticks.
    pub status: Status,
    /// The scheduler that owns the schedule; `None` for a schedule that a client made.
    pub owner: Option<String>,
    /// The deploy of the code that declared the schedule; `None` when no code did.
    pub deploy: Option<String>,
    /// The revision, which grows with every change of the schedule.
    pub revision: u64,
    /// The time up to which all ticks are decided: published or dropped.
    pub last: Timestamp,
    /// The time of the next tick; `None` when there is none.
    pub next: Option<Timestamp>,
    /// When a job of the schedule was last enqueued.
    pub last_run: Option<Timestamp>,
    /// The job that was last enqueued.
    pub last_job: Option<JobId>,
    /// The number of jobs that were enqueued.
    pub runs: u64,
    /// The number of ticks that were dropped: missed, or because an earlier job was still under
    /// way.
    pub missed: u64,
    /// The last runs, at most ten, the latest first. Jobs that were enqueued by hand (`run_now`) are
    /// not among them.
    pub last_runs: Vec<ScheduleRun>,
    /// True while a job of the schedule is under way. Known only for schedules whose jobs must not
    /// overlap.
    pub running: bool,
    /// True while another job waits for the running one to end.
    pub queued: bool,
    /// The server's clock when the schedule was read.
    pub now: Timestamp,
    /// The time from which an interval counts.
    origin: Timestamp,
    /// The fingerprint of the declaration in code; `None` when no code declared the schedule.
    declared: Option<[u8; 16]>,
}

impl ScheduleInfo {
    /// Returns the next ticks, as they come unless the schedule changes. The status is ignored. The
    /// iterator is empty when the schedule never ticks again.
    pub fn upcoming(&self) -> impl Iterator<Item = Timestamp> + '_ {
        self.schedule.upcoming(self.origin, self.last.max(self.now), spread(&self.name))
    }

    /// Returns true when the name, the queue or the kind of the schedule contains a text.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let all = [self.name.as_str(), self.partition.queue.as_str(), self.schedule.job.kind()];
        all.iter().any(|it| it.contains(text))
    }

    /// Builds the job of a tick at the present time, for running the schedule by hand.
    ///
    /// # Errors
    /// [`Error::is_codec`] when the job cannot be serialized.
    pub fn job_of_now(&self, id: JobId) -> Result<Envelope, Error> {
        let tick = Tick::new(&self.name, self.now, false);
        self.schedule.job.for_tick(id, tick)?.published(self.now)
    }

    /// Returns true when code has declared the schedule.
    #[must_use]
    pub fn is_declared(&self) -> bool {
        self.declared.is_some()
    }

    /// Returns the schedule in its stored form.
    fn record(&self) -> Record {
        Record {
            schedule: self.schedule.clone(),
            origin: self.origin,
            status: self.status,
            owner: self.owner.clone(),
            declared: self.declared,
            deploy: self.deploy.clone(),
        }
    }
}

/// One schedule as a script returns it.
struct Found {
    name: String,
    record: Vec<u8>,
    state: StoredState,
    next: Option<Timestamp>,
    running: bool,
    queued: bool,
    runs: Vec<ScheduleRun>,
}

/// The reply of `schedules.lua`.
struct Look {
    now: Timestamp,
    /// The time of the next tick of any schedule.
    head: Option<Timestamp>,
    /// The number of names that were looked up.
    seen: usize,
    found: Vec<Found>,
}

impl Broker {
    /// Returns a schedule of a queue; `None` when the queue has none of this name.
    ///
    /// # Errors
    /// [`Error::is_codec`] when the schedule was stored by a later version that this one cannot
    /// read. Returns an error, too, when the server does not answer or refuses the command.
    pub async fn schedule(
        &self,
        partition: &Partition,
        name: &str,
    ) -> Result<Option<ScheduleInfo>, Error> {
        Ok(self.read_schedule(partition, name).await?.1)
    }

    /// Returns one page of the queue's schedules, and the cursor of the next page: 0 after the
    /// last. Begin with cursor 0. As with `SCAN`, a schedule that is changed meanwhile may come
    /// twice.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command. A schedule that
    /// cannot be read is logged and left out.
    pub async fn schedules(
        &self,
        partition: &Partition,
        cursor: u64,
    ) -> Result<(Vec<ScheduleInfo>, u64), Error> {
        #[cfg(feature = "testing")]
        if let Some(captured) = self.captured() {
            let names = captured.schedule_names(partition);
            return Ok((self.read_schedules(partition, &names).await?, 0));
        }
        let keys = self.keys(partition);
        let mut scan = redis::cmd("HSCAN");
        // The states have the same names as the records, and are smaller.
        scan.arg(&keys.schedules.states).arg(cursor).arg("COUNT").arg(READ);
        let [cursor, page] = reply::items::<2>(self.command(&scan).await?)?;
        let cursor = u64::try_from(reply::int(cursor)?).unwrap_or(0);
        let mut names = vec![];
        for pair in reply::array(page)?.chunks(2) {
            let name = reply::text(pair.first().cloned().unwrap_or_default())?;
            if !name.is_empty() {
                names.push(name);
            }
        }
        Ok((self.read_schedules(partition, &names).await?, cursor))
    }

    /// Returns the number of schedules of the queue.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn schedule_count(&self, partition: &Partition) -> Result<u64, Error> {
        #[cfg(feature = "testing")]
        if let Some(captured) = self.captured() {
            return Ok(captured.schedule_names(partition).len() as u64);
        }
        let mut cmd = redis::cmd("HLEN");
        cmd.arg(&self.keys(partition).schedules.records);
        Ok(u64::try_from(reply::int(self.command(&cmd).await?)?).unwrap_or(0))
    }

    /// Returns the schedules of these names that exist and can be read.
    async fn read_schedules(
        &self,
        partition: &Partition,
        names: &[String],
    ) -> Result<Vec<ScheduleInfo>, Error> {
        let mut infos = vec![];
        let mut rest = names;
        while !rest.is_empty() {
            let now = &rest[..rest.len().min(READ)];
            let look = self.look(partition, None, Wanted::Named(now)).await?;
            // Each round takes at least one name, so that the loop ends whatever the reply says.
            rest = &rest[look.seen.max(1)..];
            for found in look.found {
                let name = found.name.clone();
                match info(partition, found, look.now) {
                    Ok(info) => infos.push(info),
                    Err(error) => {
                        tracing::error!(
                            %partition, schedule = name, %error,
                            "cannot read a schedule, leaving it out of the list"
                        );
                    }
                }
            }
        }
        Ok(infos)
    }

    /// Returns the server's clock, and the schedule if it exists.
    async fn read_schedule(
        &self,
        partition: &Partition,
        name: &str,
    ) -> Result<(Timestamp, Option<ScheduleInfo>), Error> {
        let names = [name.to_owned()];
        let mut look = self.look(partition, None, Wanted::Named(&names)).await?;
        let found = look.found.pop();
        Ok((look.now, found.map(|found| info(partition, found, look.now)).transpose()?))
    }

    /// Reads schedules by name, or those that are due at `now`; `None` stands for the server's
    /// clock.
    async fn look(
        &self,
        partition: &Partition,
        now: Option<Timestamp>,
        wanted: Wanted<'_>,
    ) -> Result<Look, Error> {
        #[cfg(feature = "testing")]
        if let Some(captured) = self.captured() {
            let names = match wanted {
                Wanted::Due => &[],
                Wanted::Named(names) => names,
            };
            let find = |name: &String| {
                let CapturedSchedule { record, state, next, holder, queued, runs } =
                    captured.schedule(partition, name)?;
                let (running, queued) = (holder.is_some(), queued.is_some());
                Some(Found { name: name.clone(), record, state, next, running, queued, runs })
            };
            let found = names.iter().filter_map(find).collect();
            return Ok(Look { now: captured.now(), head: None, seen: names.len(), found });
        }
        let keys = &self.keys(partition).schedules;
        let own =
            [&keys.records, &keys.states, &keys.next, &keys.running, &keys.queued, &keys.runs];
        let mut cmd = scripts::call(&scripts::SCHEDULES, own.map(String::as_str));
        cmd.arg(now.map(|now| now.millis().to_string()).unwrap_or_default());
        match wanted {
            Wanted::Due => cmd.arg(READ),
            Wanted::Named(names) => cmd.arg(0).arg(names),
        };
        read_look(self.command(&cmd).await?)
    }
}

/// The schedules to read: those that are due, or those of these names.
#[derive(Clone, Copy)]
enum Wanted<'a> {
    Due,
    Named(&'a [String]),
}

fn read_look(value: Value) -> Result<Look, Error> {
    let moment = |value: Value| -> Result<Option<Timestamp>, Error> {
        let millis = reply::int(value)?;
        Ok((millis >= 0).then(|| Timestamp::from_millis(millis)))
    };
    let mut items = reply::array(value)?.into_iter();
    let mut next = || items.next().unwrap_or_default();
    let (now, head, seen) = (reply::int(next())?, moment(next())?, reply::int(next())?);
    let mut found = vec![];
    let mut items = items.peekable();
    while items.peek().is_some() {
        let mut next = || items.next().unwrap_or_default();
        let (name, record) = (reply::text(next())?, reply::bytes(next())?);
        let (state, at) = (StoredState::parse(&reply::text(next())?), moment(next())?);
        let (running, queued) = (reply::int(next())? == 1, reply::int(next())? == 1);
        // Runs that are no text are left out, as all that cannot be read are.
        let runs = ScheduleRun::read_all(&reply::text(next()).unwrap_or_default());
        match state {
            Ok(state) => found.push(Found { name, record, state, next: at, running, queued, runs }),
            Err(error) => tracing::error!(
                schedule = name, %error,
                "cannot read the state of a schedule, leaving it out"
            ),
        }
    }
    let seen = usize::try_from(seen).unwrap_or(0);
    Ok(Look { now: Timestamp::from_millis(now), head, seen, found })
}

/// Decodes a schedule that a script returned.
fn info(partition: &Partition, found: Found, now: Timestamp) -> Result<ScheduleInfo, Error> {
    let record = Record::decode(&found.record)?;
    let state = found.state;
    Ok(ScheduleInfo {
        name: found.name,
        partition: partition.clone(),
        schedule: record.schedule,
        status: record.status,
        owner: record.owner,
        deploy: record.deploy,
        revision: state.revision,
        last: state.last,
        next: found.next,
        last_run: state.ran,
        last_job: state.job,
        runs: state.runs,
        missed: state.missed,
        last_runs: found.runs,
        running: found.running,
        queued: found.queued,
        now,
        origin: record.origin,
        declared: record.declared,
    })
}
