//! Addressed pools: their registered settings, and the nodes that serve them. Both are stored in
//! the home partition, which is the queue's first.

use std::time::Duration;

use redis::Value;
use serde::Serialize;

use crate::broker::connection::reply;
use crate::broker::connection::round_trips::RedisOperation;
use crate::broker::keys::PartitionKeys;
use crate::broker::{Broker, Durability, scripts};
use crate::job::{EntryId, Error, Lane, Partition, QueueName, clamped_millis};
use crate::policy::dispatch::{MAX_SLOTS, Mode};
use crate::stored::Envelope;

/// A member that has sent no heartbeat for this long is removed. The roster reports dead nodes
/// earlier.
const MEMBER_TIMEOUT: Duration = Duration::from_secs(15);

/// The registered state of a pool at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PoolView {
    /// How jobs are assigned to the pool's slots.
    pub mode: Mode,
    /// The number of slots in the fleet; 0 for a broadcast pool, of which each process chooses its
    /// number of slots.
    pub size: u16,
    /// The generation of this size, from 1: each resize begins a new generation.
    pub generation: u64,
    /// False while slots still run jobs stored before the last resize. Jobs stored since then wait,
    /// so that no key is in two slots at once.
    pub open: bool,
    /// The number of slots in service. Slots beyond the size stay in service until they are empty.
    pub tail: u16,
    /// The size before the last resize; `None` for a pool that was never resized.
    pub before: Option<u16>,
    /// The most slots that the pool ever had. Jobs may be left in slots that are out of service.
    pub top: u16,
    /// True when the whole pool was stopped.
    pub stopped: bool,
    /// True when the queue is paused.
    pub paused: bool,
    /// The nodes that serve the pool, at most 500.
    pub members: Vec<String>,
}

/// The purpose of a [`Broker::pool_heartbeat`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolHeartbeat {
    /// The node serves the pool.
    Join,
    /// The node no longer serves the pool.
    Leave,
    /// The caller only reads the pool's state.
    Look,
}

/// The progress of a slot after a resize.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// The slot has run all jobs stored before the resize.
    Drained,
    /// The slot is beyond the pool's size, and empty.
    Retired,
}

/// The outcome of [`Broker::cast`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CastReply {
    /// The job is stored, as this entry.
    Stored(EntryId),
    /// The job was not stored: the pool has been resized meanwhile.
    Stale,
}

impl Broker {
    /// Registers an addressed or broadcast pool, or compares it with the registered one. Returns the
    /// registered size, which holds, if the given one is neither this size nor the size that was
    /// declared before a resize.
    ///
    /// # Errors
    /// [`Error::is_invalid`] when the pool is registered with another mode; nothing is changed then.
    pub async fn define_pool(
        &self,
        queue: &QueueName,
        mode: Mode,
        size: u16,
    ) -> Result<Option<u16>, Error> {
        #[cfg(feature = "testing")]
        if let Some(captured) = self.captured() {
            let (found, slots) = captured.define_pool(queue, mode, size);
            return if found == mode {
                Ok((slots != size && mode != Mode::Broadcast).then_some(slots))
            } else {
                Err(other_mode(queue, found.as_str(), mode))
            };
        }
        let keys = self.home(queue);
        let mut cmd = scripts::call(&scripts::POOL_DEFINE, [keys.meta.as_str()]);
        cmd.arg(mode.as_str()).arg(if mode == Mode::Broadcast { 0 } else { size });
        let reply = self.command(&cmd).await?;
        let [verdict, found, slots] = reply::items::<3>(reply)?;
        let (found, slots) = (reply::text(found)?, reply::int(slots)?);
        match reply::text(verdict)?.as_str() {
            "ok" => Ok(None),
            "mode" => Err(other_mode(queue, &found, mode)),
            _ => Ok(Some(u16::try_from(slots).unwrap_or(MAX_SLOTS))),
        }
    }

    /// Returns the registered state of a pool; `None` for a shared pool, which is not registered.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn pool_view(&self, queue: &QueueName) -> Result<Option<PoolView>, Error> {
        #[cfg(feature = "testing")]
        if let Some(captured) = self.captured() {
            let view = |(mode, size): (Mode, u16)| PoolView {
                mode,
                size: if mode == Mode::Broadcast { 0 } else { size },
                generation: 1,
                open: true,
                tail: size,
                before: None,
                top: size,
                stopped: false,
                paused: false,
                members: vec![],
            };
            return Ok(captured.pool(queue).map(view));
        }
        self.pool_heartbeat(queue, "", PoolHeartbeat::Look).await
    }

    /// Records whether a node serves the pool, and returns the pool's state; `None` when the pool
    /// is not registered.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn pool_heartbeat(
        &self,
        queue: &QueueName,
        node: &str,
        purpose: PoolHeartbeat,
    ) -> Result<Option<PoolView>, Error> {
        let keys = self.home(queue);
        let action = match purpose {
            PoolHeartbeat::Join => "join",
            PoolHeartbeat::Leave => "leave",
            PoolHeartbeat::Look => "look",
        };
        let mut cmd =
            scripts::call(&scripts::POOL_JOIN, [keys.meta.as_str(), keys.members.as_str()]);
        cmd.arg(node).arg(action).arg(clamped_millis(MEMBER_TIMEOUT));
        let [meta, members] = reply::items::<2>(self.command(&cmd).await?)?;
        let meta: [Value; 9] = reply::items(meta)?;
        let mut fields = vec![];
        for field in meta {
            fields.push(reply::text(field)?);
        }
        if fields[0].is_empty() {
            return Ok(None);
        }
        let number = |at: usize| fields[at].parse::<u64>().unwrap_or(0);
        let slots = |at: usize| u16::try_from(number(at)).unwrap_or(MAX_SLOTS);
        // A member that is not text is not a node.
        let members = reply::array(members)?.into_iter().flat_map(reply::text);
        Ok(Some(PoolView {
            mode: fields[0].parse()?,
            size: slots(1),
            generation: number(2),
            open: number(3) == 0,
            tail: slots(4).max(slots(1)),
            // Written by the resize that began this generation, unless an older version made it.
            before: fields[7]
                .split_once(' ')
                .filter(|(generation, _)| *generation == fields[2])
                .and_then(|(_, size)| size.parse().ok()),
            top: slots(8).max(slots(4)).max(slots(1)),
            stopped: !fields[5].is_empty(),
            paused: !fields[6].is_empty() && fields[6] != "0",
            members: members.collect(),
        }))
    }

    /// Resizes an addressed pool while it runs. Returns the generation of the new size.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for a size of 0 or above 10,000, [`Error::is_not_found`] for a pool
    /// that was never registered, [`Error::is_refused`] while slots still run jobs stored before an
    /// earlier resize.
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
        let reply = reply::array(self.command(&cmd).await?)?;
        let mut reply = reply.into_iter();
        let verdict = reply::text(reply.next().unwrap_or_default())?;
        let number = reply.next().map_or(Ok(0), reply::int)?;
        match verdict.as_str() {
            "ok" => Ok(u64::try_from(number).unwrap_or(0)),
            "none" => Err(no_such_pool(queue)),
            _ => Err(Error::refused(format!(
                "pool {queue} is being resized: {number} slots still run jobs stored before the \
                 last resize; try again when they are done"
            ))),
        }
    }

    /// Records the progress of a slot after the resize that began this generation.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn report_slot(
        &self,
        slot: &Partition,
        generation: u64,
        report: Report,
    ) -> Result<(), Error> {
        let keys = self.home(&slot.queue);
        let (set, name) = match report {
            Report::Drained => (&keys.drained, "drained"),
            Report::Retired => (&keys.retired, "retired"),
        };
        let mut cmd = scripts::call(&scripts::POOL_REPORT, [&keys.meta, set.as_str()]);
        cmd.arg(generation).arg(slot.index).arg(name);
        self.command(&cmd).await.map(|_| ())
    }

    /// Stops all slots of an addressed pool, or starts them again.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn stop_pool(&self, queue: &QueueName, stopped: bool) -> Result<(), Error> {
        let keys = self.home(queue);
        self.flag(&keys.meta, stopped).await
    }

    /// Stops a slot of a pool, so that no node can take it and its holder starts no further job; or
    /// starts it again.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn stop_slot(&self, slot: &Partition, stopped: bool) -> Result<(), Error> {
        let keys = self.keys(slot);
        self.flag(&keys.lease, stopped).await
    }

    /// Sets or removes the `stopped` field of a hash.
    async fn flag(&self, key: &str, stopped: bool) -> Result<(), Error> {
        let mut cmd = scripts::write(if stopped { "HSET" } else { "HDEL" }, key);
        cmd.arg("stopped");
        if stopped {
            cmd.arg("1");
        }
        self.command(&cmd).await.map(|_| ())
    }

    /// Stores a job for a slot, unless the slot knows a later generation of the pool.
    ///
    /// # Errors
    /// As [`Broker::enqueue`].
    pub async fn cast(
        &self,
        generation: u64,
        slot: &Partition,
        envelope: &Envelope,
        durability: Durability,
    ) -> Result<CastReply, Error> {
        #[cfg(feature = "testing")]
        if let Some(captured) = self.captured() {
            return captured.cast(slot, envelope, false).map(CastReply::Stored);
        }
        let keys = self.keys(slot);
        let own = [keys.lease.as_str(), keys.lane(Lane::Normal)];
        let mut cmd = scripts::call(&scripts::SLOT_CAST, own);
        cmd.arg(generation).arg(envelope.as_bytes());
        let reply = match durability {
            Durability::Memory => self.command_of(RedisOperation::Enqueue, &cmd).await,
            // Boxed, so that the future of the usual case stays small.
            durability => {
                let limit = &mut self.inner.limit();
                Box::pin(self.enqueue_durably(&keys.due, durability, &cmd, limit)).await
            }
        };
        reply.and_then(cast_reply).map_err(|error| error.with_job(envelope.id()))
    }

    fn home(&self, queue: &QueueName) -> std::sync::Arc<PartitionKeys> {
        self.keys(&Partition::first(queue.clone()))
    }
}

pub(super) fn cast_reply(reply: Value) -> Result<CastReply, Error> {
    Ok(match reply {
        Value::Int(_) => CastReply::Stale,
        entry => CastReply::Stored(reply::text(entry)?.into()),
    })
}

/// The error for a pool that is registered with another mode.
fn other_mode(queue: &QueueName, found: &str, mode: Mode) -> Error {
    Error::invalid(format!(
        "pool {queue} is registered with mode {found}, not {mode}: give this one another name, or \
         the same mode"
    ))
}

/// The error for a pool that is not registered.
fn no_such_pool(queue: &QueueName) -> Error {
    Error::not_found(format!(
        "no addressed pool {queue} is registered: start a node that serves it first, with the \
         same namespace"
    ))
}
