//! Reads the entries that a consumer holds, in replies of a bounded size.

use std::time::Instant;

use redis::aio::ConnectionLike;
use redis::{Cmd, Value};

use crate::broker::connection::reply;
use crate::broker::connection::request::{Request, only};
use crate::broker::connection::round_trips::RedisOperation;
use crate::broker::connection::together::LARGE_BYTES;
use crate::broker::keys::GROUP as CONSUMERS;
use crate::broker::{Broker, scripts};
use crate::job::{EntryId, Error, Fields, JobId, Lane, MAX_STORED};
use crate::stored::{Entry, GROUP, JOB, Undecodable, entry_bytes, read_entry};

/// The most bytes of entries in a reply of a script.
pub(in crate::broker) const MAX_SCRIPT_BYTES: usize = 1 << 20;
/// The most entries that one call of `read.lua` gets.
const MAX_READ: usize = 500;
/// The number of strings of an entry of which `limits/claim.lua` returns the envelope and the group.
const GROUPED: i64 = -2;

/// Builds the `XPENDING` of one consumer; with `after` for the entries behind that one.
pub(in crate::broker) fn pending(
    stream: &str,
    consumer: &str,
    after: Option<&EntryId>,
    count: usize,
) -> Cmd {
    let mut cmd = redis::cmd("XPENDING");
    let first = after.map_or_else(|| "-".to_owned(), |after| format!("({after}"));
    cmd.arg(stream).arg(CONSUMERS).arg(first).arg("+").arg(count).arg(consumer);
    cmd
}

/// Reads the entry ids in the reply to `XPENDING`.
pub(in crate::broker) fn pending_ids(reply: Value) -> Result<Vec<EntryId>, Error> {
    reply::array(reply)?
        .into_iter()
        .map(|item| {
            let [id, _consumer, _idle, _deliveries] = reply::items::<4>(item)?;
            Ok(reply::text(id)?.into())
        })
        .collect()
}

/// An entry in the reply of a script that bounds its reply.
#[derive(Debug)]
pub(in crate::broker) enum Found {
    /// The entry, and its bytes.
    Read(Entry, usize),
    /// An entry that was left out of the reply: its bytes, and its job if Poolder wrote it.
    TooLarge(EntryId, usize, Option<JobId>),
    /// There is no such entry.
    Gone(EntryId),
}

/// Builds the call of `read.lua` for up to 500 entries. With 0 `bytes` the reply has only the sizes
/// and the jobs of the entries.
pub(in crate::broker) fn read_call(stream: &str, ids: &[EntryId], bytes: usize) -> Cmd {
    let mut cmd = scripts::call(&scripts::READ, [stream]);
    cmd.arg(bytes);
    ids.iter().for_each(|id| {
        cmd.arg(id.as_ref());
    });
    cmd
}

impl Found {
    /// Returns the job of the entry; `None` for an entry that Poolder has not written.
    pub(in crate::broker) fn job(&self) -> Option<JobId> {
        match self {
            Self::Read(Entry::Job(claim), _) => Some(claim.job_id()),
            Self::TooLarge(.., job) => *job,
            Self::Read(Entry::Undecodable(_), _) | Self::Gone(_) => None,
        }
    }

    pub(in crate::broker) fn id(&self) -> &EntryId {
        match self {
            Self::Read(entry, _) => entry.key().1,
            Self::TooLarge(id, ..) | Self::Gone(id) => id,
        }
    }

    /// Returns the bytes of the entry.
    pub(in crate::broker) fn bytes(&self) -> usize {
        match self {
            Self::Read(_, bytes) | Self::TooLarge(_, bytes, _) => *bytes,
            Self::Gone(_) => 0,
        }
    }
}

/// Reads a flat list of entries, as `claim.lua`, `read.lua` and `slot_poll.lua` return it.
pub(in crate::broker) fn read_found(
    stream: &str,
    lane: Lane,
    mut values: impl Iterator<Item = Value>,
) -> Result<Vec<Found>, Error> {
    let mut all = vec![];
    while let Some(id) = values.next() {
        let id: EntryId = reply::text(id)?.into();
        let strings = reply::int(values.next().unwrap_or_default())?;
        all.push(match usize::try_from(strings) {
            Err(_) if strings == GROUPED => {
                let [envelope, group] =
                    [(); 2].map(|()| reply::bytes(values.next().unwrap_or_default()));
                let fields = vec![(JOB.into(), envelope?), (GROUP.into(), group?)];
                let bytes = entry_bytes(&fields);
                Found::Read(read_entry(stream, lane, id, fields), bytes)
            }
            Err(_) => Found::Gone(id),
            Ok(0) => {
                let bytes = reply::int(values.next().unwrap_or_default())?;
                let job = reply::bytes(values.next().unwrap_or_default())?.try_into().ok();
                let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
                Found::TooLarge(id, bytes, job.map(JobId::from_bytes))
            }
            Ok(count) => {
                let strings = Value::Array(values.by_ref().take(count).collect());
                let fields = reply::fields_of(strings)?.unwrap_or_default();
                let bytes = entry_bytes(&fields);
                Found::Read(read_entry(stream, lane, id, fields), bytes)
            }
        });
    }
    Ok(all)
}

/// Reads an entry as the scripts list it.
pub(in crate::broker) fn listed(stream: &str, lane: Lane, id: EntryId, fields: Fields) -> Entry {
    if let [(name, bytes), (_, job)] = fields.as_slice()
        && name == b"unread"
        && let Some(bytes) = std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok())
    {
        let job = job.as_slice().try_into().ok().map(JobId::from_bytes);
        return Entry::Undecodable(Undecodable::unread(stream, lane, id, bytes, job));
    }
    read_entry(stream, lane, id, fields)
}

impl Broker {
    /// Reads entries of a lane into `entries`, in replies that follow the sizes of the entries.
    /// Entries that are too large are not read. Acknowledges pending entries that were deleted.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses a command; `entries` then has
    /// those that were read before.
    pub(in crate::broker) async fn read_entries(
        &self,
        connection: &mut impl ConnectionLike,
        (stream, lane): (&str, Lane),
        ids: &[EntryId],
        entries: &mut Vec<Entry>,
    ) -> Result<(), Error> {
        let (mut rest, mut gone) = (ids, vec![]);
        while !rest.is_empty() {
            let most = rest.len().min(MAX_READ);
            let sizes = self.read_some(connection, (stream, lane), &rest[..most], 0).await?;
            rest = &rest[sizes.len().clamp(1, rest.len())..];
            let (mut chunk, mut chunk_bytes) = (vec![], 0_usize);
            for found in sizes {
                let (id, bytes) = match found {
                    Found::Gone(id) => {
                        gone.push(id);
                        continue;
                    }
                    Found::Read(entry, _) => {
                        entries.push(entry);
                        continue;
                    }
                    Found::TooLarge(id, bytes, job) if self.leaves_unread(bytes) => {
                        let unread = Undecodable::unread(stream, lane, id, bytes, job);
                        entries.push(Entry::Undecodable(unread));
                        continue;
                    }
                    Found::TooLarge(id, bytes, _) => (id, bytes),
                };
                if chunk_bytes.saturating_add(bytes) > self.script_reply_bytes() {
                    let ids = std::mem::take(&mut chunk);
                    self.read_chunk(connection, (stream, lane), &ids, chunk_bytes, entries).await?;
                    chunk_bytes = 0;
                }
                chunk.push(id);
                chunk_bytes = chunk_bytes.saturating_add(bytes);
            }
            self.read_chunk(connection, (stream, lane), &chunk, chunk_bytes, entries).await?;
        }
        self.ack_missing(stream, &gone).await
    }

    /// Reads entries whose sizes add up to this many bytes, in one reply.
    async fn read_chunk(
        &self,
        connection: &mut impl ConnectionLike,
        lane: (&str, Lane),
        ids: &[EntryId],
        bytes: usize,
        entries: &mut Vec<Entry>,
    ) -> Result<(), Error> {
        if ids.is_empty() {
            return Ok(());
        }
        let read = self.read_some(connection, lane, ids, bytes).await;
        match &read {
            Ok(_) => self.reply_came(bytes),
            Err(error) if error.is_unknown() => self.reply_was_lost(bytes, ids.len() == 1),
            Err(_) => {}
        }
        // An entry cannot change, and one that was deleted meanwhile has nothing to run.
        entries.extend(read?.into_iter().filter_map(|found| match found {
            Found::Read(entry, _) => Some(entry),
            Found::TooLarge(..) | Found::Gone(_) => None,
        }));
        Ok(())
    }

    /// Calls `read.lua`.
    async fn read_some(
        &self,
        connection: &mut impl ConnectionLike,
        (stream, lane): (&str, Lane),
        ids: &[EntryId],
        bytes: usize,
    ) -> Result<Vec<Found>, Error> {
        let mut pipe = redis::pipe();
        pipe.add_command(read_call(stream, ids, bytes));
        let trip = self.inner.round_trips.trip(RedisOperation::Other);
        let reply = only(Request::new(&pipe).send(connection).await);
        self.inner.round_trips.end(trip, &reply);
        let reply = reply.map_err(|error| self.classify(error))?;
        read_found(stream, lane, reply::array(reply)?.into_iter())
    }

    /// Acknowledges pending entries that were found to be deleted.
    pub(in crate::broker) async fn ack_missing(
        &self,
        stream: &str,
        gone: &[EntryId],
    ) -> Result<(), Error> {
        if gone.is_empty() {
            return Ok(());
        }
        let mut cmd = scripts::call(&scripts::ACK_MISSING, [stream]);
        gone.iter().for_each(|id| {
            cmd.arg(id.as_ref());
        });
        self.command(&cmd).await.map(|_| ())
    }

    /// Runs a script that only reads, on a connection for long reads. `call` builds the call for the
    /// most bytes of its reply. A reply that was lost is asked for again as long as the next one is
    /// smaller.
    pub(in crate::broker) async fn ask_bounded(
        &self,
        key: &str,
        call: impl Fn(usize) -> Cmd,
    ) -> Result<Value, Error> {
        let mut bytes = self.script_reply_bytes();
        loop {
            // Boxed, so that the futures of handlers that read a batch are not nested too deeply.
            let reply = Box::pin(self.ask(key, &call(bytes))).await;
            if !reply.as_ref().is_err_and(Error::is_unknown) {
                return reply;
            }
            self.reply_was_lost(bytes, false);
            let smaller = self.script_reply_bytes();
            if smaller >= bytes {
                return reply;
            }
            bytes = smaller;
        }
    }

    /// Returns the most bytes of entries in a reply of a script.
    pub(in crate::broker) fn script_reply_bytes(&self) -> usize {
        let most = if self.together().is_some() { LARGE_BYTES } else { MAX_SCRIPT_BYTES };
        self.inner.reply_limit().most(Instant::now()).min(most)
    }

    /// Returns true when an entry of this many bytes is not read.
    fn leaves_unread(&self, bytes: usize) -> bool {
        let lost_from = self.inner.reply_limit().unread_from();
        bytes > MAX_STORED || lost_from.is_some_and(|from| bytes >= from)
    }

    /// Notes that the server could not be reached: replies that were lost before were not too large.
    pub fn note_outage(&self) {
        self.inner.reply_limit().outage();
    }

    /// Notes a reply with entries of this many bytes.
    pub(in crate::broker) fn reply_came(&self, bytes: usize) {
        self.inner.reply_limit().came(bytes);
    }

    /// Notes that a reply with entries of this many bytes was lost.
    pub(in crate::broker) fn reply_was_lost(&self, bytes: usize, single: bool) {
        self.inner.reply_limit().was_lost(bytes, single, Instant::now());
    }
}
