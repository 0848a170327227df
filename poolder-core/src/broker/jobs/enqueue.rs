//! Storing jobs: one command each.

use std::time::Duration;

use redis::{Cmd, Value};

use crate::broker::connection::reply;
use crate::broker::keys::PartitionKeys;
use crate::broker::{Broker, Durability, scripts};
use crate::job::{
    EntryId, Error, Handle, JobId, Lane, Partition, Place, Timestamp, clamped_millis,
};
use crate::policy::Counters;
use crate::stored::{Envelope, JOB, head};

/// A pipeline carries at most this many jobs …
const BULK_JOBS: usize = 500;
/// … and about this many bytes, but always at least one job.
const BULK_BYTES: usize = 1 << 20;
/// How often an idempotent enqueue is sent again when its reply was lost.
const RESENDS: u32 = 4;

/// A job on its way into a queue.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// Where it goes.
    pub partition: Partition,
    /// In which lane it waits once it is ready.
    pub lane: Lane,
    /// When it is ready.
    pub when: When,
    /// The job.
    pub envelope: Envelope,
    /// For how long a repetition with the same id is the same job.
    pub idempotent: Option<Duration>,
    /// How far it must have come before it counts.
    pub durability: Durability,
}

/// When a job is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum When {
    /// At once.
    #[default]
    Now,
    /// That long after the server hears of it.
    In(Duration),
    /// At that time, by the server's clock.
    At(Timestamp),
}

/// What the server said about a stored job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The job.
    pub job: JobId,
    /// Where it is.
    pub partition: Partition,
    /// Its lane.
    pub lane: Lane,
    /// How it was stored.
    pub stored: Stored,
}

/// How a job was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stored {
    /// In its lane, as this entry.
    Ready(EntryId),
    /// Until that time.
    Due(Timestamp),
    /// Not again: a job of this id was there already.
    Already,
}

impl From<&Receipt> for Handle {
    fn from(receipt: &Receipt) -> Self {
        let place = match &receipt.stored {
            Stored::Ready(entry) => Some(Place::Entry(receipt.lane, entry.clone())),
            Stored::Due(at) => Some(Place::Due(*at)),
            Stored::Already => None,
        };
        Self { partition: receipt.partition.clone(), job: receipt.job, place }
    }
}

impl From<Receipt> for Handle {
    fn from(receipt: Receipt) -> Self {
        Self::from(&receipt)
    }
}

impl Broker {
    /// Stores a job.
    ///
    /// # Errors
    /// [`Error::is_refused`] when the server certainly did not, [`Error::is_unknown`] when its
    /// reply was lost: the job may be there, and [`Error::job_id`] names it. An idempotent job is
    /// sent again before that is reported.
    pub async fn enqueue(&self, new: &NewJob) -> Result<Receipt, Error> {
        let keys = self.keys(&new.partition);
        let cmd = command(new, &keys);
        let mut sent = 0;
        loop {
            let reply = match (new.durability, new.is_plain()) {
                (Durability::Memory, true) => self.command(&cmd).await,
                (Durability::Memory, false) => self.script(&scripts::ENQUEUE, &cmd).await,
                // Boxed, so that the usual way is not as large as this one.
                (durability, _) => {
                    Box::pin(self.enqueue_durably(&keys.due, durability, &cmd)).await
                }
            };
            match reply.and_then(|value| new.receipt(value)) {
                Ok(receipt) => return Ok(receipt),
                Err(error) if sent < RESENDS && new.may_resend(&error) => {
                    tokio::time::sleep(Duration::from_millis(50 << sent)).await;
                    sent += 1;
                }
                Err(error) => return Err(error.with_job(new.envelope.id())),
            }
        }
    }

    /// Stores many jobs in pipelines of at most 500. One result per job, in order: when a
    /// connection breaks, what was on its way is unknown and the rest is refused.
    pub async fn enqueue_many(&self, jobs: &[NewJob]) -> Vec<Result<Receipt, Error>> {
        let mut results = Vec::with_capacity(jobs.len());
        let mut rest = jobs;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(bulk_len(rest));
            rest = later;
            let mut pipe = redis::pipe();
            for new in now {
                pipe.add_command(command(new, &self.keys(&new.partition)));
            }
            let durability = now.first().map(|new| new.durability).unwrap_or_default();
            let sent = match durability {
                Durability::Memory => self.pipeline(&pipe).await.map(|replies| (replies, Ok(()))),
                _ => self.durably(&self.keys(&now[0].partition).due, durability, &pipe).await,
            };
            match sent {
                Ok((replies, confirmed)) => {
                    let doubt = confirmed.err().map(|error| error.to_string());
                    results.extend(now.iter().zip(replies).map(|(new, reply)| {
                        let reply = reply.map_err(|error| self.classify(error));
                        let stored = reply.and_then(|value| new.receipt(value));
                        let sure = match (stored, &doubt) {
                            (Ok(_), Some(doubt)) => Err(Error::unknown(doubt.clone())),
                            (stored, _) => stored,
                        };
                        sure.map_err(|error| error.with_job(new.envelope.id()))
                    }));
                }
                Err(error) => {
                    results.extend(again(now, &error));
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

    async fn enqueue_durably(
        &self,
        key: &str,
        durability: Durability,
        cmd: &Cmd,
    ) -> Result<Value, Error> {
        let mut pipe = redis::pipe();
        pipe.add_command(cmd.clone());
        let (mut replies, confirmed) = self.durably(key, durability, &pipe).await?;
        let stored = replies.pop().unwrap_or(Ok(Value::Nil));
        let stored = stored.map_err(|error| self.classify(error))?;
        confirmed.map(|()| stored)
    }
}

/// The same error for each of the jobs.
fn again<'a>(
    jobs: &'a [NewJob],
    error: &Error,
) -> impl Iterator<Item = Result<Receipt, Error>> + use<'a> {
    let (text, unknown) = (error.to_string(), error.is_unknown());
    jobs.iter().map(move |new| {
        let make = if unknown { Error::unknown } else { Error::refused };
        Err(make(text.clone()).with_job(new.envelope.id()))
    })
}

impl NewJob {
    /// A single `XADD` stores it.
    fn is_plain(&self) -> bool {
        self.when == When::Now && self.idempotent.is_none()
    }

    /// With a receipt beside the job, sending it again cannot store it twice.
    fn may_resend(&self, error: &Error) -> bool {
        self.idempotent.is_some() && (error.is_unknown() || error.is_refused())
    }

    fn receipt(&self, reply: Value) -> Result<Receipt, Error> {
        let stored = if self.is_plain() {
            Stored::Ready(reply::text(reply)?.into())
        } else {
            let [kind, place] = reply::items::<2>(reply)?;
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

fn command(new: &NewJob, keys: &PartitionKeys) -> Cmd {
    let lane = keys.lane(new.lane);
    if new.is_plain() {
        let mut cmd = Cmd::with_capacity(5, lane.len() + new.envelope.as_bytes().len() + 8);
        cmd.arg("XADD").arg(lane).arg("*").arg(JOB).arg(new.envelope.as_bytes());
        return cmd;
    }
    let sent = keys.sent(new.envelope.id());
    let (mode, millis) = match new.when {
        When::Now => ("now", 0),
        When::In(delay) => ("in", clamped_millis(delay)),
        When::At(at) => ("at", at.millis()),
    };
    let mut cmd = scripts::call(&scripts::ENQUEUE, [lane, &keys.due, &keys.bodies, &sent]);
    cmd.arg(new.envelope.id().as_bytes())
        .arg(head(new.lane, &Counters::starting_in(new.lane)))
        .arg(new.envelope.as_bytes())
        .arg(mode)
        .arg(millis);
    match new.idempotent {
        Some(window) => cmd.arg(clamped_millis(window).max(1)),
        None => cmd.arg(""),
    };
    cmd.arg(&keys.control);
    cmd
}

/// How many of the jobs go into the next pipeline: those that are as durable as the first and,
/// beyond memory, in its partition, since one wait confirms them all.
fn bulk_len(jobs: &[NewJob]) -> usize {
    let mut bytes = 0;
    let fits = jobs.iter().take(BULK_JOBS).take_while(|new| {
        bytes += new.envelope.as_bytes().len();
        let alike = new.durability == jobs[0].durability
            && (new.durability == Durability::Memory || new.partition == jobs[0].partition);
        bytes <= BULK_BYTES && alike
    });
    fits.count().max(1)
}
