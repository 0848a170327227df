//! Schedules in Redis: reading them. They live in the first partition of the queue they feed, so
//! that a tick and its job are one step.

mod change;
mod declare;
mod tick;

use redis::Value;

use crate::broker::connection::reply;
use crate::broker::{Broker, scripts};
use crate::job::{Error, JobId, Partition, Tick, Timestamp};
use crate::schedule::{Record, Schedule, Status, StoredState, spread};
use crate::stored::Envelope;

pub use declare::{Declaration, Declared};
pub use tick::Publication;

/// A script looks at this many schedules at most: their jobs may have 64 KiB each.
const READ: usize = 100;

/// A schedule, and what has become of it so far.
#[derive(Debug, Clone, PartialEq)]
pub struct ScheduleInfo {
    /// Its name, unique in its queue.
    pub name: String,
    /// The partition it feeds.
    pub partition: Partition,
    /// What it runs, and when.
    pub schedule: Schedule,
    /// Whether it ticks.
    pub status: Status,
    /// The scheduler to which it belongs; `None` for one that a client made.
    pub owner: Option<String>,
    /// The deploy of the code that declared it; `None` when no code did.
    pub deploy: Option<String>,
    /// Grows with every change.
    pub revision: u64,
    /// All ticks up to this moment are decided.
    pub last: Timestamp,
    /// When the next tick comes; `None` when there is none.
    pub next: Option<Timestamp>,
    /// When a job was last enqueued.
    pub last_run: Option<Timestamp>,
    /// That job.
    pub last_job: Option<JobId>,
    /// How many jobs were enqueued.
    pub runs: u64,
    /// How many ticks were dropped: missed, or because an earlier job was still under way.
    pub missed: u64,
    /// Its job is under way; only known where jobs must not overlap.
    pub running: bool,
    /// Another job waits for it to end.
    pub queued: bool,
    /// The server's clock when this was read.
    pub now: Timestamp,
    /// From when an interval counts.
    origin: Timestamp,
    /// The fingerprint of what the code declared.
    declared: Option<[u8; 16]>,
}

impl ScheduleInfo {
    /// The next ticks as they will come unless something changes, whatever the status: none when
    /// it never ticks again.
    pub fn upcoming(&self) -> impl Iterator<Item = Timestamp> + '_ {
        self.schedule.upcoming(self.origin, self.last.max(self.now), spread(&self.name))
    }

    /// Its job, as if it ticked now: what running it by hand enqueues.
    ///
    /// # Errors
    /// [`Error::is_codec`] when it cannot be serialized.
    pub fn job_of_now(&self, id: JobId) -> Result<Envelope, Error> {
        self.schedule.job.for_tick(id, Tick::new(&self.name, self.now, false))
    }

    /// True when code has declared it.
    #[must_use]
    pub fn is_declared(&self) -> bool {
        self.declared.is_some()
    }

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
}

/// What a script found.
struct Look {
    now: Timestamp,
    /// The time of the first tick of any.
    head: Option<Timestamp>,
    /// How many names were looked up.
    seen: usize,
    found: Vec<Found>,
}

impl Broker {
    /// A schedule of this queue; `None` when there is none of this name.
    ///
    /// # Errors
    /// [`Error::is_codec`] when it was stored by a version that knows more than this one, and
    /// whatever keeps the server from answering.
    pub async fn schedule(
        &self,
        partition: &Partition,
        name: &str,
    ) -> Result<Option<ScheduleInfo>, Error> {
        Ok(self.read_schedule(partition, name).await?.1)
    }

    /// One page of the queue's schedules, and the cursor of the next page, 0 after the last. Start
    /// with cursor 0. As with `SCAN`, one that is changed meanwhile may come twice.
    ///
    /// # Errors
    /// Whatever keeps the server from answering. One that cannot be read is logged and left out.
    pub async fn schedules(
        &self,
        partition: &Partition,
        cursor: u64,
    ) -> Result<(Vec<ScheduleInfo>, u64), Error> {
        let keys = self.keys(partition);
        let mut scan = redis::cmd("HSCAN");
        // The state is small, and has the same names.
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

    /// How many schedules the queue has.
    ///
    /// # Errors
    /// Whatever keeps the server from answering.
    pub async fn schedule_count(&self, partition: &Partition) -> Result<u64, Error> {
        let mut cmd = redis::cmd("HLEN");
        cmd.arg(&self.keys(partition).schedules.records);
        Ok(u64::try_from(reply::int(self.command(&cmd).await?)?).unwrap_or(0))
    }

    /// Those of these schedules that are there and can be read.
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
            // At least one was looked up: else this would never end.
            rest = &rest[look.seen.max(1)..];
            for found in look.found {
                let name = found.name.clone();
                match info(partition, found, look.now) {
                    Ok(info) => infos.push(info),
                    Err(error) => {
                        tracing::error!(%partition, schedule = name, %error, "left out of a list");
                    }
                }
            }
        }
        Ok(infos)
    }

    /// A schedule, with the server's clock in any case.
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

    async fn look(
        &self,
        partition: &Partition,
        now: Option<Timestamp>,
        wanted: Wanted<'_>,
    ) -> Result<Look, Error> {
        let keys = &self.keys(partition).schedules;
        let own = [&keys.records, &keys.states, &keys.next, &keys.running, &keys.queued];
        let mut cmd = scripts::call(&scripts::SCHEDULES, own.map(String::as_str));
        cmd.arg(now.map(|now| now.millis().to_string()).unwrap_or_default());
        match wanted {
            Wanted::Due => cmd.arg(READ),
            Wanted::Named(names) => cmd.arg(0).arg(names),
        };
        read_look(self.script(&scripts::SCHEDULES, &cmd).await?)
    }
}

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
        match state {
            Ok(state) => found.push(Found { name, record, state, next: at, running, queued }),
            Err(error) => tracing::error!(schedule = name, %error, "left out"),
        }
    }
    let seen = usize::try_from(seen).unwrap_or(0);
    Ok(Look { now: Timestamp::from_millis(now), head, seen, found })
}

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
        running: found.running,
        queued: found.queued,
        now,
        origin: record.origin,
        declared: record.declared,
    })
}
