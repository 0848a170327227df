//! Addressed pools: what is registered of them, and who serves them. All of it lives in the home
//! partition, the queue's first.

use std::time::Duration;

use redis::Value;

use crate::broker::connection::reply;
use crate::broker::keys::PartitionKeys;
use crate::broker::{Broker, scripts};
use crate::job::{EntryId, Error, Lane, Partition, QueueName, clamped_millis};
use crate::policy::dispatch::{MAX_SLOTS, Mode};
use crate::stored::Envelope;

/// A member that has not been seen for this long is none; dead nodes are known before.
const SILENT: Duration = Duration::from_secs(15);

/// What a pool is like at the moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolView {
    /// How its jobs find their slots.
    pub mode: Mode,
    /// Its slots in the fleet; 0 for a broadcast pool, of which each process has its own number.
    pub size: u16,
    /// Which size this is, from 1: each resize is a new generation.
    pub generation: u64,
    /// False while slots still run what was stored before the last resize: what was stored since
    /// waits, so that no key is in two slots at once.
    pub open: bool,
    /// Slots up to here are in service: those beyond the size until they are empty.
    pub tail: u16,
    /// True when the whole pool was stopped.
    pub stopped: bool,
    /// True when the queue is paused.
    pub paused: bool,
    /// The nodes that serve it, at most 500.
    pub members: Vec<String>,
}

/// What a node says when it asks after a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolHeartbeat {
    /// It serves the pool.
    Join,
    /// It does no longer.
    Leave,
    /// It only wants to know.
    Look,
}

/// What a slot has done about a resize.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// All that was stored before it has been run.
    Drained,
    /// The slot is beyond the size, and empty.
    Retired,
}

/// What became of a job for a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CastReply {
    /// Stored, as this entry.
    Stored(EntryId),
    /// Not stored: the pool has another size by now.
    Stale,
}

impl Broker {
    /// Registers an addressed or broadcast pool, or finds it as it was registered.
    ///
    /// # Errors
    /// [`Error::is_invalid`] when another mode or size stands under this name: nothing is changed.
    pub async fn define_pool(&self, queue: &QueueName, mode: Mode, size: u16) -> Result<(), Error> {
        let keys = self.home(queue);
        let mut cmd = scripts::call(&scripts::POOL_DEFINE, [keys.meta.as_str()]);
        cmd.arg(mode.as_str()).arg(if mode == Mode::Broadcast { 0 } else { size });
        let reply = self.script(&scripts::POOL_DEFINE, &cmd).await?;
        let [verdict, found, slots] = reply::items::<3>(reply)?;
        let (found, slots) = (reply::text(found)?, reply::int(slots)?);
        match reply::text(verdict)?.as_str() {
            "ok" => Ok(()),
            "mode" => Err(Error::invalid(format!(
                "pool {queue} is registered with mode {found}, not {mode}: give this one another \
                 name, or the same mode"
            ))),
            _ => Err(Error::invalid(format!(
                "pool {queue} is registered with {slots} slots, not {size}: resize it first, \
                 client.pool::<MyJob>({:?}).resize({size}), or say size {slots}",
                queue.as_str()
            ))),
        }
    }

    /// What is registered of a pool; `None` for a shared one, of which nothing is.
    ///
    /// # Errors
    /// Whatever keeps the server from answering.
    pub async fn pool_view(&self, queue: &QueueName) -> Result<Option<PoolView>, Error> {
        self.pool_heartbeat(queue, "", PoolHeartbeat::Look).await
    }

    /// Says whether a node serves the pool, and learns what the pool is like.
    ///
    /// # Errors
    /// Whatever keeps the server from answering.
    pub async fn pool_heartbeat(
        &self,
        queue: &QueueName,
        node: &str,
        attendance: PoolHeartbeat,
    ) -> Result<Option<PoolView>, Error> {
        let keys = self.home(queue);
        let word = match attendance {
            PoolHeartbeat::Join => "join",
            PoolHeartbeat::Leave => "leave",
            PoolHeartbeat::Look => "look",
        };
        let mut cmd =
            scripts::call(&scripts::POOL_JOIN, [keys.meta.as_str(), keys.members.as_str()]);
        cmd.arg(node).arg(word).arg(clamped_millis(SILENT));
        let [meta, members] = reply::items::<2>(self.script(&scripts::POOL_JOIN, &cmd).await?)?;
        let meta: [Value; 7] = reply::items(meta)?;
        let mut fields = vec![];
        for field in meta {
            fields.push(reply::text(field)?);
        }
        if fields[0].is_empty() {
            return Ok(None);
        }
        let number = |at: usize| fields[at].parse::<u64>().unwrap_or(0);
        let slots = |at: usize| u16::try_from(number(at)).unwrap_or(MAX_SLOTS);
        // What is no text is no node.
        let members = reply::array(members)?.into_iter().flat_map(reply::text);
        Ok(Some(PoolView {
            mode: fields[0].parse()?,
            size: slots(1),
            generation: number(2),
            open: number(3) == 0,
            tail: slots(4).max(slots(1)),
            stopped: !fields[5].is_empty(),
            paused: !fields[6].is_empty() && fields[6] != "0",
            members: members.collect(),
        }))
    }

    /// Gives an addressed pool another size, live. Returns its generation.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for a size of 0 or above 10,000, [`Error::is_gone`] for a pool that
    /// was never registered, [`Error::is_refused`] while a resize before it is still under way.
    pub async fn resize_pool(&self, queue: &QueueName, size: u16) -> Result<u64, Error> {
        if size == 0 || size > MAX_SLOTS {
            return Err(Error::invalid(format!(
                "pool {queue}: size {size} is not allowed: use 1 to {MAX_SLOTS} slots"
            )));
        }
        let keys = self.home(queue);
        let own = [keys.meta.as_str(), keys.drained.as_str(), keys.retired.as_str()];
        let mut cmd = scripts::call(&scripts::POOL_RESIZE, own);
        cmd.arg(size);
        let reply = reply::array(self.script(&scripts::POOL_RESIZE, &cmd).await?)?;
        let mut reply = reply.into_iter();
        let word = reply::text(reply.next().unwrap_or_default())?;
        let number = reply.next().map_or(Ok(0), reply::int)?;
        match word.as_str() {
            "ok" => Ok(u64::try_from(number).unwrap_or(0)),
            "none" => Err(no_such_pool(queue)),
            _ => Err(Error::refused(format!(
                "pool {queue} is being resized: {number} slots still run what came before; try \
                 again when they have"
            ))),
        }
    }

    /// Notes what a slot has done about the resize that opened this generation.
    ///
    /// # Errors
    /// Whatever keeps the server from answering.
    pub async fn report_slot(
        &self,
        slot: &Partition,
        generation: u64,
        report: Report,
    ) -> Result<(), Error> {
        let keys = self.home(&slot.queue);
        let (set, word) = match report {
            Report::Drained => (&keys.drained, "drained"),
            Report::Retired => (&keys.retired, "retired"),
        };
        let mut cmd = scripts::call(&scripts::POOL_REPORT, [&keys.meta, set.as_str()]);
        cmd.arg(generation).arg(slot.index).arg(word);
        self.script(&scripts::POOL_REPORT, &cmd).await.map(|_| ())
    }

    /// Stops a whole addressed pool, or starts it again.
    ///
    /// # Errors
    /// Whatever keeps the server from answering.
    pub async fn stop_pool(&self, queue: &QueueName, stopped: bool) -> Result<(), Error> {
        let keys = self.home(queue);
        self.flag(&keys.meta, stopped).await
    }

    /// Lets a stopped slot of a pool run again, or keeps it from being taken.
    ///
    /// # Errors
    /// Whatever keeps the server from answering.
    pub async fn stop_slot(&self, slot: &Partition, stopped: bool) -> Result<(), Error> {
        let keys = self.keys(slot);
        self.flag(&keys.lease, stopped).await
    }

    async fn flag(&self, key: &str, stopped: bool) -> Result<(), Error> {
        let mut cmd = redis::cmd(if stopped { "HSET" } else { "HDEL" });
        cmd.arg(key).arg("stopped");
        if stopped {
            cmd.arg("1");
        }
        self.command(&cmd).await.map(|_| ())
    }

    /// Stores a job for a slot, if that generation is still the pool's.
    ///
    /// # Errors
    /// As [`Broker::enqueue`].
    pub async fn cast(
        &self,
        generation: u64,
        slot: &Partition,
        envelope: &Envelope,
    ) -> Result<CastReply, Error> {
        let keys = self.keys(slot);
        let own = [keys.lease.as_str(), keys.lane(Lane::Normal)];
        let mut cmd = scripts::call(&scripts::SLOT_CAST, own);
        cmd.arg(generation).arg(envelope.as_bytes());
        let reply = self.script(&scripts::SLOT_CAST, &cmd).await;
        reply.and_then(fate).map_err(|error| error.with_job(envelope.id()))
    }

    fn home(&self, queue: &QueueName) -> std::sync::Arc<PartitionKeys> {
        self.keys(&Partition::first(queue.clone()))
    }
}

fn fate(reply: Value) -> Result<CastReply, Error> {
    Ok(match reply {
        Value::Int(_) => CastReply::Stale,
        entry => CastReply::Stored(reply::text(entry)?.into()),
    })
}

/// The error for a pool of which nothing is registered.
fn no_such_pool(queue: &QueueName) -> Error {
    Error::gone(format!(
        "no addressed pool {queue} is registered: start a node that serves it first, with the \
         same namespace"
    ))
}
