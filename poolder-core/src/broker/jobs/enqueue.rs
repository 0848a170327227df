//! Stores jobs, with one command each.

use std::time::Duration;

use redis::{Cmd, Value};

use crate::broker::connection::joined::JoinedCalls;
use crate::broker::connection::limit::Limit;
use crate::broker::connection::reply;
use crate::broker::connection::round_trips::RedisOperation;
use crate::broker::jobs::prepared::{PreparedJob, When};
use crate::broker::jobs::receipt::{Receipt, Stored};
use crate::broker::keys::PartitionKeys;
use crate::broker::{Broker, Durability, scripts};
#[cfg(feature = "testing")]
use crate::captured::{Captured, NewJob, StoredJob};
use crate::job::{Error, Lane, OnDuplicate, Timestamp, clamped_millis};
use crate::policy::Counters;
use crate::stored::{JOB, grouped_value, head};

/// The maximum number of jobs in a pipeline.
const BULK_JOBS: usize = 500;
/// The maximum size of the envelopes in a pipeline in bytes. A larger single job is still sent.
const BULK_BYTES: usize = 1 << 20;
/// The number of times that an idempotent enqueue is sent again after a lost reply or a refusal.
const MAX_RESENDS: u32 = 4;

impl Broker {
    /// Stores a job.
    ///
    /// # Errors
    /// [`Error::is_refused`] when the server certainly did not store the job. [`Error::is_unknown`]
    /// when the reply was lost, or the durability was not confirmed: the job may be stored, and
    /// [`Error::job_id`] returns its id. An idempotent job is sent again up to 4 times before
    /// either error is returned.
    pub async fn enqueue(&self, new: &PreparedJob) -> Result<Receipt, Error> {
        #[cfg(feature = "testing")]
        if let Some(captured) = self.captured() {
            return new.capture(captured);
        }
        let keys = self.keys(&new.partition);
        let mut cmd = command(new, &keys);
        let (mut sent, mut limit, mut grouped) = (0, self.inner.limit(), new.group().is_some());
        loop {
            let reply = match new.durability {
                Durability::Memory => {
                    self.command_within(RedisOperation::Enqueue, &cmd, &mut limit).await
                }
                // Boxed, so that the future of the usual case stays small.
                durability => {
                    Box::pin(self.enqueue_durably(&keys.due, durability, &cmd, &mut limit)).await
                }
            };
            match reply.and_then(|value| new.receipt(value)) {
                Ok(receipt) => return Ok(receipt),
                // Without the right to the keys of the limits the job goes through its lane.
                Err(error) if grouped && error.is_auth() => {
                    (cmd, grouped) = (add_to_lane(new, &keys), false);
                    limit.next_step();
                }
                Err(error) if sent < MAX_RESENDS && new.may_resend(&error) => {
                    let pause = Duration::from_millis(50 << sent);
                    if limit.leaves_no_try(pause, Duration::MAX) {
                        return Err(error.with_job(new.envelope.id()));
                    }
                    tokio::time::sleep(pause).await;
                    sent += 1;
                    limit.next_step();
                }
                Err(error) => return Err(error.with_job(new.envelope.id())),
            }
        }
    }

    /// Stores many jobs in pipelines of at most 500. Returns one result per job, in order. When a
    /// pipeline fails, the jobs in it get the error of the pipeline, for example an unknown outcome
    /// after a lost connection, and the later jobs are not sent and get [`Error::is_refused`]. Only
    /// after [`Error::is_too_large`] the later jobs are sent.
    pub async fn enqueue_many(&self, jobs: &[PreparedJob]) -> Vec<Result<Receipt, Error>> {
        #[cfg(feature = "testing")]
        if let Some(captured) = self.captured() {
            return jobs.iter().map(|new| new.capture(captured)).collect();
        }
        let mut results = Vec::with_capacity(jobs.len());
        let mut rest = jobs;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(bulk_len(rest));
            rest = later;
            let mut calls = JoinedCalls::default();
            for alike in now.chunk_by(|one, next| one.partition == next.partition) {
                let keys = self.keys(&alike[0].partition);
                alike.iter().for_each(|new| calls.add(command(new, &keys)));
            }
            let mut pipe = redis::pipe();
            calls.commands.drain(..).for_each(|cmd| _ = pipe.add_command(cmd));
            let durability = now.first().map(|new| new.durability).unwrap_or_default();
            let sent = match durability {
                Durability::Memory => self
                    .pipeline_of(RedisOperation::Enqueue, &pipe)
                    .await
                    .map(|replies| (replies, Ok(()))),
                _ => {
                    let keys = self.keys(&now[0].partition);
                    let limit = &mut self.inner.limit();
                    Box::pin(self.durably(&keys.due, durability, &pipe, limit)).await
                }
            };
            match sent {
                Ok((replies, confirmed)) => {
                    let unconfirmed = confirmed.err().map(|error| error.to_string());
                    let replies = calls.split(replies);
                    let first = results.len();
                    results.extend(now.iter().zip(replies).map(|(new, reply)| {
                        let reply = reply.map_err(|error| self.classify(error));
                        let stored = reply.and_then(|value| new.receipt(value));
                        let receipt = match (stored, &unconfirmed) {
                            (Ok(_), Some(text)) => Err(Error::unknown(text.clone())),
                            (stored, _) => stored,
                        };
                        receipt.map_err(|error| error.with_job(new.envelope.id()))
                    }));
                    for (result, new) in results[first..].iter_mut().zip(now) {
                        let denied = result.as_ref().is_err_and(Error::is_auth);
                        if denied && new.group().is_some() {
                            *result = Box::pin(self.enqueue(new)).await;
                        }
                    }
                }
                // A large job is alone in its pipeline.
                Err(error) if error.is_too_large() => results.extend(same_error(now, &error)),
                Err(error) => {
                    results.extend(same_error(now, &error));
                    let text = error.to_string();
                    results.extend(rest.iter().map(|new| {
                        let text = format!("not sent, since an earlier job failed: {text}");
                        Err(Error::refused(text).with_job(new.envelope.id()))
                    }));
                    break;
                }
            }
        }
        results
    }

    /// Sends the command that stores a job, and waits until the durability is confirmed. `key` is
    /// one of the keys of the command's slot.
    pub(in crate::broker) async fn enqueue_durably(
        &self,
        key: &str,
        durability: Durability,
        cmd: &Cmd,
        limit: &mut Limit,
    ) -> Result<Value, Error> {
        let mut pipe = redis::pipe();
        pipe.add_command(cmd.clone());
        let (mut replies, confirmed) = self.durably(key, durability, &pipe, limit).await?;
        let stored = replies.pop().unwrap_or(Ok(Value::Nil));
        let stored = stored.map_err(|error| self.classify(error))?;
        confirmed.map(|()| stored)
    }
}

/// Returns the same error for each of the jobs.
fn same_error<'a>(
    jobs: &'a [PreparedJob],
    error: &Error,
) -> impl Iterator<Item = Result<Receipt, Error>> + use<'a> {
    let text = error.to_string();
    let make = match error {
        error if error.is_unknown() => Error::unknown,
        error if error.is_too_large() => Error::too_large,
        _ => Error::refused,
    };
    jobs.iter().map(move |new| Err(make(text.clone()).with_job(new.envelope.id())))
}

impl PreparedJob {
    /// Stores the job in the queue of a test.
    #[cfg(feature = "testing")]
    fn capture(&self, captured: &Captured) -> Result<Receipt, Error> {
        let due = match self.when {
            When::Now => None,
            When::In(delay) => Some(captured.now() + delay),
            When::At(at) => Some(at),
        };
        let stored = captured.enqueue(&NewJob {
            partition: &self.partition,
            lane: self.lane,
            due,
            envelope: &self.envelope,
            idempotent: self.idempotent,
            on_duplicate: self.on_duplicate,
            broadcast: false,
        })?;
        let (mut job, mut lane) = (self.envelope.id(), self.lane);
        let stored = match stored {
            StoredJob::Ready(entry) => Stored::Ready(entry),
            StoredJob::Due(at) => Stored::Due(at),
            StoredJob::Behind => Stored::Behind,
            StoredJob::Already => Stored::Already,
            StoredJob::Stands { id, place, replaced } => {
                job = id;
                if let Some(crate::job::Place::Entry(of, _)) = &place {
                    lane = *of;
                }
                if replaced { Stored::Replaced(place) } else { Stored::Duplicate(place) }
            }
        };
        Ok(Receipt { job, partition: self.partition.clone(), lane, stored })
    }

    /// Returns whether a single `XADD` stores a job without a group.
    fn is_plain(&self) -> bool {
        self.when == When::Now
            && self.idempotent.is_none()
            && self.has_generated_id()
            && self.envelope.unique().is_none()
    }

    /// Returns the group into which `put.lua` stores the job: that of a plain job of the lane normal.
    fn group(&self) -> Option<&str> {
        self.envelope.group().filter(|_| self.lane == Lane::Normal && self.is_plain())
    }

    /// Returns whether no other enqueue makes a job of this id. A job of any other id begins a
    /// generation of its id.
    fn has_generated_id(&self) -> bool {
        self.envelope.id().is_generated()
    }

    /// Returns whether the job may be sent again after this error. Only the receipt of an
    /// idempotent job ensures that the job is not stored twice.
    fn may_resend(&self, error: &Error) -> bool {
        self.idempotent.is_some() && (error.is_unknown() || error.is_refused())
    }

    fn receipt(&self, reply: Value) -> Result<Receipt, Error> {
        let stored = if self.is_plain() {
            let place = match reply {
                reply @ Value::Array(_) => reply::items::<1>(reply).map(|[place]| place)?,
                entry => entry,
            };
            match (place, self.group()) {
                (Value::Int(number), Some(group)) => {
                    Stored::Grouped(group.into(), u64::try_from(number).unwrap_or(0))
                }
                (entry, _) => Stored::Ready(reply::text(entry)?.into()),
            }
        } else {
            let mut items = reply::array(reply)?;
            if items.len() == 4 {
                return Receipt::standing(&self.partition, self.lane, items);
            }
            let (Some(place), Some(kind), None) = (items.pop(), items.pop(), items.pop()) else {
                return Err(Error::protocol("enqueue.lua answered something else"));
            };
            match reply::text(kind)?.as_str() {
                "ready" => Stored::Ready(reply::text(place)?.into()),
                "due" => Stored::Due(Timestamp::from_millis(reply::int(place)?)),
                _ => Stored::Already,
            }
        };
        let (job, partition) = (self.envelope.id(), self.partition.clone());
        Ok(Receipt { job, partition, lane: self.lane, stored })
    }
}

fn command(new: &PreparedJob, keys: &PartitionKeys) -> Cmd {
    let lane = keys.lane(new.lane);
    if let Some(group) = new.group() {
        let all = [lane].into_iter().chain(keys.limits.all());
        let mut cmd = scripts::call(&scripts::PUT, all);
        cmd.arg(group).arg(grouped_value(&new.envelope).as_ref());
        return cmd;
    }
    if new.is_plain() {
        return add_to_lane(new, keys);
    }
    let id = new.envelope.id();
    let sent = keys.sent(id);
    let (mode, millis) = match new.when {
        When::Now => ("now", 0),
        When::In(delay) => ("in", clamped_millis(delay)),
        When::At(at) => ("at", at.millis()),
    };
    let all = [lane, &keys.due, &keys.bodies, &sent];
    let unique = new.envelope.unique();
    let script = if unique.is_some() { &scripts::ENQUEUE_UNIQUE } else { &scripts::ENQUEUE };
    let holders = unique.iter().flat_map(|_| [&keys.unique].into_iter().chain(&keys.ready));
    let holders: Vec<&str> = holders.map(String::as_str).collect();
    let counters = Counters::starting_in(new.lane);
    let (mut cmd, counters) = if new.has_generated_id() {
        (scripts::call(script, all.into_iter().chain(holders)), counters)
    } else {
        let (result, progress) = (keys.result(id), keys.progress(id));
        let before = [keys.dead.as_str(), &keys.dead_bodies, &result, &progress];
        let cmd = scripts::call(script, all.into_iter().chain(before).chain(holders));
        (cmd, counters.of_generation(Timestamp::default()))
    };
    cmd.arg(id.as_bytes())
        .arg(head(new.lane, &counters))
        .arg(new.envelope.as_bytes())
        .arg(mode)
        .arg(millis);
    match new.idempotent {
        Some(window) => cmd.arg(clamped_millis(window).max(1)),
        None => cmd.arg(""),
    };
    cmd.arg(&keys.control);
    if let Some(held) = unique {
        let (word, most) = match new.on_duplicate {
            OnDuplicate::Keep => ("keep", 0),
            OnDuplicate::Replace => ("replace", 0),
            OnDuplicate::Renew(most) => ("renew", clamped_millis(most)),
            OnDuplicate::Behind => ("last", 0),
        };
        cmd.arg(held.key.as_bytes()).arg(clamped_millis(held.hold)).arg(held.mode.number());
        cmd.arg(word).arg(most);
    }
    cmd
}

/// Returns the command that adds a job to its lane.
fn add_to_lane(new: &PreparedJob, keys: &PartitionKeys) -> Cmd {
    let lane = keys.lane(new.lane);
    let mut cmd = Cmd::with_capacity(5, lane.len() + new.envelope.as_bytes().len() + 8);
    cmd.arg("XADD").arg(lane).arg("*").arg(JOB).arg(new.envelope.as_bytes());
    cmd
}

/// Returns how many of the jobs go into the next pipeline. All have the durability of the first job
/// and, beyond [`Durability::Memory`], its partition, since one wait confirms them all.
fn bulk_len(jobs: &[PreparedJob]) -> usize {
    let mut bytes = 0;
    let fits = jobs.iter().take(BULK_JOBS).take_while(|new| {
        bytes += new.envelope.as_bytes().len();
        let alike = new.durability == jobs[0].durability
            && (new.durability == Durability::Memory || new.partition == jobs[0].partition);
        bytes <= BULK_BYTES && alike
    });
    fits.count().max(1)
}
