//! Jobs that every living slot runs: a capped stream that each process reads from the moment it
//! registered. Readers claim nothing, so a reader that dies leaves no claimed entry behind.

use std::sync::Arc;
use std::time::Instant;

use redis::Value;
use redis::aio::{ConnectionLike, MultiplexedConnection};

use crate::broker::connection::config::BLOCK;
use crate::broker::connection::reply;
use crate::broker::connection::reply_limit::{ItemSizes, MAX_TRIES, SMALL};
use crate::broker::connection::round_trips::{RedisOperation, Trip};
use crate::broker::jobs::pending::listed;
use crate::broker::{Broker, scripts};
use crate::job::{EntryId, Error, Lane, Partition, QueueName};
use crate::stored::{Entry, Envelope, entry_bytes, read_entry};

/// The approximate number of entries that a broadcast stream keeps, for readers that fall behind.
const STREAM_LENGTH: usize = 10_000;
/// The most entries that one read returns.
const MAX_ENTRIES: usize = 64;

/// The entries that one read returned.
#[derive(Debug, Default)]
pub struct Copies {
    /// The entries to run, in this order.
    pub entries: Vec<Entry>,
    /// The number of entries that were trimmed before this reader could read them.
    pub missed: u64,
}

/// The place in a broadcast stream up to which a process has read.
#[derive(Debug, Clone)]
pub struct BroadcastPosition {
    after: EntryId,
    /// The number of the last entry read; entries are numbered by the stream's counter.
    number: u64,
    /// The number of replies in a row that were lost although they had only the next entry.
    lost: u32,
}

impl BroadcastPosition {
    /// Notes that the server cannot be reached: replies were not lost because of their sizes.
    pub const fn forget_losses(&mut self) {
        self.lost = 0;
    }
}

/// A reader of a broadcast stream, with its own connection.
pub struct BroadcastReader {
    broker: Broker,
    stream: Arc<str>,
    connection: MultiplexedConnection,
    position: BroadcastPosition,
    /// The sizes of the entries that this reader has read.
    sizes: ItemSizes,
}

impl Broker {
    /// Stores a job for every living slot of a broadcast pool.
    ///
    /// # Errors
    /// As [`Broker::enqueue`].
    pub async fn broadcast(
        &self,
        queue: &QueueName,
        envelope: &Envelope,
    ) -> Result<EntryId, Error> {
        #[cfg(feature = "testing")]
        if let Some(captured) = self.captured() {
            return captured.cast(&Partition::first(queue.clone()), envelope, true);
        }
        let [stream, counter] = self.inner.keys.broadcast(queue);
        let mut cmd = scripts::call(&scripts::BROADCAST, [stream.as_str(), counter.as_str()]);
        cmd.arg(envelope.as_bytes()).arg(STREAM_LENGTH);
        let reply = self.command_of(RedisOperation::Enqueue, &cmd).await;
        let id = reply.and_then(reply::text).map_err(|error| error.with_job(envelope.id()))?;
        Ok(id.into())
    }

    /// Adds a number of copies to a counter in the queue's statistics.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn count_copies(
        &self,
        queue: &QueueName,
        counter: &'static str,
        copies: u64,
    ) -> Result<(), Error> {
        let keys = self.keys(&Partition::first(queue.clone()));
        let mut cmd = scripts::write("HINCRBY", &keys.stats);
        cmd.arg(counter).arg(copies);
        self.command(&cmd).await.map(|_| ())
    }
}

impl BroadcastReader {
    /// Opens a reader of the entries stored from now on. With `last`, the
    /// [position](Self::position) of an earlier reader, it reads the entries after that position.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn open(
        broker: &Broker,
        queue: &QueueName,
        last: Option<BroadcastPosition>,
    ) -> Result<Self, Error> {
        let [stream, counter] = broker.inner.keys.broadcast(queue);
        let mut connection = broker.waiting_on(&stream).await?;
        let position = match last {
            Some(last) => last,
            None => {
                let mut pipe = redis::pipe();
                // The entry goes first: a number that is too high makes no entry look missed. This
                // is no transaction, since a full server refuses those.
                pipe.cmd("XREVRANGE").arg(&stream).arg("+").arg("-").arg("COUNT").arg(1);
                pipe.cmd("GET").arg(&counter);
                let trip = broker.inner.round_trips.trip(RedisOperation::Other);
                let replies = pipe.query_async(&mut connection).await;
                broker.inner.round_trips.end(trip, &replies);
                let replies: Value = replies.map_err(|error| broker.classify(error))?;
                let [entry, number] = reply::items::<2>(replies)?;
                let last = reply::entries(entry)?.pop().map(|(id, _)| id);
                let number = match number {
                    Value::Nil => 0,
                    number => u64::try_from(reply::int(number)?).unwrap_or(0),
                };
                BroadcastPosition { after: last.unwrap_or_else(|| "0-0".into()), number, lost: 0 }
            }
        };
        let stream = stream.into();
        let sizes = ItemSizes::default();
        Ok(Self { broker: broker.clone(), stream, connection, position, sizes })
    }

    /// Returns the reader's position, from which another reader can go on.
    #[must_use]
    pub fn position(&self) -> BroadcastPosition {
        self.position.clone()
    }

    /// Waits up to 5 s for entries. The future may be dropped while it waits. A read brings no more
    /// entries than fit into a reply, going by the sizes of the entries before; the first read
    /// brings one. An entry whose reply was lost four times although it was alone is left unread,
    /// and comes as one that cannot be decoded.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command; open another reader
    /// at the position of this one then.
    pub async fn read(&mut self) -> Result<Copies, Error> {
        if self.position.lost >= MAX_TRIES
            && let Some(unread) = self.skip_next().await?
        {
            return Ok(Copies { entries: vec![unread], missed: 0 });
        }
        let mut cmd = redis::cmd("XREAD");
        let most = self.broker.inner.reply_limit().most(Instant::now());
        let mean = self.sizes.expected(1).unwrap_or(most).max(1);
        let count = (most / mean).clamp(1, MAX_ENTRIES);
        cmd.arg("COUNT").arg(count).arg("BLOCK").arg(crate::job::clamped_millis(BLOCK));
        cmd.arg("STREAMS").arg(self.stream.as_ref()).arg(self.position.after.as_ref());
        let reply = self.connection.req_packed_command(&cmd).await.and_then(Value::extract_error);
        let trips = &self.broker.inner.round_trips;
        trips.end(Trip::waiting(RedisOperation::Claim), &reply);
        let reply = reply.map_err(|error| self.broker.classify(error));
        if reply.as_ref().is_err_and(Error::is_unknown) {
            self.broker.reply_was_lost(mean.saturating_mul(count), false);
            self.position.lost += u32::from(count == 1);
        }
        let reply = reply?;
        self.position.lost = 0;
        let mut copies = Copies::default();
        for stream in reply::array(reply)? {
            let [_, entries] = reply::items::<2>(stream)?;
            for (id, fields) in reply::entries(entries)? {
                let Some(fields) = fields else { continue };
                self.sizes.note(1, entry_bytes(&fields));
                let number = fields
                    .iter()
                    .find(|(name, _)| name == b"n")
                    .and_then(|(_, value)| std::str::from_utf8(value).ok()?.parse::<u64>().ok());
                if let Some(number) = number {
                    // A lower number means that the server lost the counter, not that the reader
                    // missed entries.
                    copies.missed += number.saturating_sub(self.position.number + 1);
                    self.position.number = number;
                }
                self.position.after = id.clone();
                copies.entries.push(read_entry(&self.stream, Lane::Normal, id, fields));
            }
        }
        Ok(copies)
    }

    /// Goes on behind the next entry, without reading it, if it is so large that its replies may
    /// have been lost because of its size.
    async fn skip_next(&mut self) -> Result<Option<Entry>, Error> {
        let mut cmd = scripts::call(&scripts::LIST_READY, [self.stream.as_ref()]);
        // One entry, of which only the size and the id of the job are returned.
        cmd.arg(self.position.after.as_ref()).arg(1).arg(1).arg(0);
        let [_more, next] = reply::items::<2>(self.broker.command(&cmd).await?)?;
        let next = reply::entries(next)?.pop();
        self.position.lost = 0;
        let Some((id, Some(fields))) = next else { return Ok(None) };
        let entry = listed(&self.stream, Lane::Normal, id.clone(), fields);
        if entry.bytes() <= SMALL {
            return Ok(None);
        }
        self.position.after = id;
        self.position.number += 1;
        Ok(Some(entry))
    }
}

impl std::fmt::Debug for BroadcastReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BroadcastReader")
            .field("after", &self.position.after)
            .finish_non_exhaustive()
    }
}
