//! Claims jobs on a separate connection, since a blocking read would delay all other commands on a
//! shared one.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{Cmd, Pipeline, RedisResult, Value};

use crate::broker::connection::config::BLOCK;
use crate::broker::connection::failure::{is_nogroup, spoils_connection};
use crate::broker::connection::open::open;
use crate::broker::connection::reply;
use crate::broker::connection::request::{Replies, Request};
use crate::broker::connection::routing::{Peer, slot_of};
use crate::broker::jobs::pending::{pending, pending_ids, ranges, read_ranges};
use crate::broker::jobs::settle::SettlePipeline;
use crate::broker::keys::{GROUP, PartitionKeys};
use crate::broker::{Broker, DeadLimits, Depths, Settled, Settlement, scripts};
use crate::job::{EntryId, Error, Lane, Partition};
use crate::stored::{Claim, ClaimedRange, Entry, Undecodable, read_entry};

/// The connection on which a consumer claims jobs, and settles jobs in the same round trip.
#[derive(Debug)]
pub struct ClaimConnection {
    broker: Broker,
    keys: Arc<PartitionKeys>,
    consumer: Arc<str>,
    limits: DeadLimits,
    connection: Connection,
    id: Option<ConnectionId>,
    history: Option<Arc<str>>,
}

/// The id of a [`ClaimConnection`] at its server.
#[derive(Clone)]
pub struct ConnectionId {
    peer: Arc<Peer>,
    number: i64,
}

impl std::fmt::Debug for ConnectionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ConnectionId({})", self.number)
    }
}

/// Wraps the connection of the Redis client, which does not implement `Debug`.
struct Connection(MultiplexedConnection);

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connection")
    }
}

/// The result of a claim.
#[derive(Debug, Default)]
pub struct Claimed {
    /// Jobs to run.
    pub jobs: Vec<Claim>,
    /// Claimed entries that are not jobs. The caller must bury them.
    pub undecodable: Vec<Undecodable>,
}

impl Claimed {
    /// Returns whether the claim got no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty() && self.undecodable.is_empty()
    }

    /// Returns the number of claimed entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.jobs.len() + self.undecodable.len()
    }

    /// Adds the entries that one read got from a lane.
    fn extend(&mut self, name: &str, lane: Lane, entries: Vec<reply::StreamEntry>) {
        let range = ClaimedRange::of(entries.iter().map(|(id, _)| id));
        for (id, fields) in entries {
            // New entries have fields. An entry deleted at this moment has nothing to run.
            let Some(fields) = fields else { continue };
            let mut entry = read_entry(name, lane, id, fields);
            if let Entry::Job(claim) = &mut entry {
                claim.range.clone_from(&range);
            }
            self.push(entry);
        }
    }

    fn push(&mut self, entry: Entry) {
        match entry {
            Entry::Job(claim) => self.jobs.push(claim),
            Entry::Undecodable(found) => self.undecodable.push(found),
        }
    }
}

/// The result of one round trip.
#[derive(Debug)]
pub struct Exchange {
    /// One result per settlement, in order.
    pub settled: Vec<Settled>,
    /// The number of waiting jobs per lane before the claim; `None` when the caller did not ask for
    /// it, or the server did not report it.
    pub depths: Option<Depths>,
    /// The claimed entries.
    pub claimed: Result<Claimed, Error>,
}

impl ClaimConnection {
    /// Opens a connection for a consumer. Creates a missing consumer group at the start of its
    /// stream, since all jobs stored there are unfinished.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses one of the commands.
    pub async fn open(
        broker: &Broker,
        partition: &Partition,
        consumer: &str,
        limits: DeadLimits,
    ) -> Result<Self, Error> {
        let config = &broker.inner.config;
        let settings = config.connection_waiting(BLOCK + config.longest_reply());
        let keys = broker.keys(partition);
        let slot = Some(slot_of(keys.due.as_bytes()));
        let peer = broker.inner.route.peer(slot).await.map_err(|error| broker.classify(error))?;
        let mut connection =
            open(&peer.client, &settings).await.map_err(|error| broker.classify(error))?;
        let mut setup = scripts::load_all();
        let scripts = setup.len();
        setup.cmd("CLIENT").arg("ID").cmd("INFO").arg("replication");
        let mut replies = Request::new(&setup)
            .send(&mut connection)
            .await
            .map_err(|error| broker.classify(error))?
            .split_off(scripts)
            .into_iter();
        // Access rules may deny either command, and neither is essential: without an id a shutdown
        // waits until the blocking read ends, without a history every settlement checks the owner.
        let id = replies.next().and_then(Result::ok).and_then(|value| reply::int(value).ok());
        let info = replies.next().and_then(Result::ok).and_then(|value| reply::text(value).ok());
        let history = info.as_deref().and_then(replication_id).map(Arc::from);
        let mut claimer = Self {
            broker: broker.clone(),
            keys,
            consumer: consumer.into(),
            limits,
            connection: Connection(connection),
            id: id.map(|number| ConnectionId { peer, number }),
            history,
        };
        claimer.create_groups().await?;
        Ok(claimer)
    }

    /// Returns the server history in which this connection claims, `None` when the server did not
    /// report it.
    #[must_use]
    pub fn history(&self) -> Option<Arc<str>> {
        self.history.clone()
    }

    /// Returns the id with which [`Broker::unblock`] ends a wait of this connection.
    #[must_use]
    pub fn id(&self) -> Option<ConnectionId> {
        self.id.clone()
    }

    /// Settles and claims in one round trip. The claim does not wait. Reading the depths of the
    /// lanes costs the server as much as settling ten jobs, so the depths are read only if `depths`
    /// is true.
    ///
    /// # Errors
    /// Returns an error when the connection failed. The outcome of every settlement is then
    /// unknown, and the server may have assigned jobs to this consumer in a lost reply. The caller
    /// must drop this connection, open another one, and adopt the unknown entries that
    /// [`ClaimConnection::held`] returns.
    pub async fn exchange(
        &mut self,
        settlements: &[Settlement],
        claim: Option<(Lane, usize)>,
        depths: bool,
    ) -> Result<Exchange, Error> {
        let mut pipe = redis::pipe();
        let plan = SettlePipeline::add_to(&mut pipe, &self.keys, self.limits, settlements, depths);
        if let Some((lane, count)) = claim {
            pipe.add_command(self.read(&[lane], count, None));
        }
        let replies = self.send(&pipe).await?;
        let spoiled = |reply: &RedisResult<Value>| {
            reply.as_ref().err().filter(|error| spoils_connection(error)).cloned()
        };
        if let Some(error) = replies.iter().find_map(spoiled) {
            return Err(self.broker.classify(error));
        }
        let mut replies = replies.into_iter();
        let (settled, depths) = plan.read(replies.by_ref(), self.broker.address());
        let claimed = match replies.next() {
            None => Ok(Claimed::default()),
            Some(Ok(reply)) => self.read_claimed(reply),
            Some(Err(error)) if is_nogroup(&error) => {
                self.create_groups().await.map(|()| Claimed::default())
            }
            Some(Err(error)) => Err(self.broker.classify(error)),
        };
        Ok(Exchange { settled, depths, claimed })
    }

    /// Waits up to 5 s for a job in any of the lanes, and claims at most one from each. The caller
    /// must not drop the future before it ends: the server would still assign a job to this
    /// consumer, and the reply would be lost.
    ///
    /// # Errors
    /// As [`ClaimConnection::exchange`].
    pub async fn wait(&mut self, lanes: &[Lane]) -> Result<Claimed, Error> {
        let cmd = self.read(lanes, 1, Some(BLOCK));
        let connection = &mut self.connection.0;
        match connection.req_packed_command(&cmd).await.and_then(reply::checked) {
            Ok(reply) => self.read_claimed(reply),
            Err(error) if is_nogroup(&error) => {
                self.create_groups().await.map(|()| Claimed::default())
            }
            Err(error) => Err(self.broker.classify(error)),
        }
    }

    /// Returns the pending entries of this consumer in a lane, at most 1,000.
    ///
    /// # Errors
    /// As [`ClaimConnection::exchange`].
    pub async fn held(&mut self, lane: Lane) -> Result<Vec<EntryId>, Error> {
        let mut pipe = redis::pipe();
        pipe.add_command(pending(self.keys.lane(lane), &self.consumer, None, 1000));
        match self.send(&pipe).await?.pop() {
            Some(Ok(reply)) => pending_ids(reply),
            Some(Err(error)) if is_nogroup(&error) => Ok(vec![]),
            Some(Err(error)) => Err(self.broker.classify(error)),
            None => Err(Error::protocol("the reply to a pipeline was empty")),
        }
    }

    /// Reads entries that this consumer holds. Acknowledges held entries that were deleted
    /// meanwhile.
    ///
    /// # Errors
    /// As [`ClaimConnection::exchange`].
    pub async fn adopt(&mut self, lane: Lane, ids: &[EntryId]) -> Result<Claimed, Error> {
        let mut claimed = Claimed::default();
        let stream = self.keys.lane(lane).to_owned();
        for chunk in ids.chunks(16) {
            let replies = self.send(&ranges(&stream, chunk)).await?;
            let (entries, gone) = read_ranges(&stream, lane, chunk, replies)
                .map_err(|error| error.unwrap_or_else(|error| self.broker.classify(error)))?;
            entries.into_iter().for_each(|entry| claimed.push(entry));
            self.broker.ack_missing(&stream, &gone).await?;
        }
        Ok(claimed)
    }

    fn read(&self, lanes: &[Lane], count: usize, block: Option<Duration>) -> Cmd {
        let mut cmd = redis::cmd("XREADGROUP");
        cmd.arg("GROUP").arg(GROUP).arg(self.consumer.as_ref()).arg("COUNT").arg(count.max(1));
        if let Some(block) = block {
            cmd.arg("BLOCK").arg(crate::job::clamped_millis(block));
        }
        cmd.arg("STREAMS");
        for lane in lanes {
            cmd.arg(self.keys.lane(*lane));
        }
        for _ in lanes {
            cmd.arg(">");
        }
        cmd
    }

    fn read_claimed(&self, reply: Value) -> Result<Claimed, Error> {
        let mut claimed = Claimed::default();
        for stream in reply::array(reply)? {
            let [name, entries] = reply::items::<2>(stream)?;
            let name = reply::text(name)?;
            let lane = Lane::ALL
                .into_iter()
                .find(|lane| self.keys.lane(*lane) == name)
                .ok_or_else(|| Error::protocol(format!("stream {name} was not requested")))?;
            claimed.extend(&name, lane, reply::entries(entries)?);
        }
        Ok(claimed)
    }

    async fn create_groups(&mut self) -> Result<(), Error> {
        let mut pipe = redis::pipe();
        for lane in Lane::ALL {
            let mut cmd = scripts::write("XGROUP CREATE", self.keys.lane(lane));
            cmd.arg(GROUP).arg("0").arg("MKSTREAM");
            pipe.add_command(cmd);
        }
        for reply in self.send(&pipe).await? {
            match reply {
                Err(error) if error.code() == Some("BUSYGROUP") => {}
                Err(error) => return Err(self.broker.classify(error)),
                Ok(_) => {}
            }
        }
        Ok(())
    }

    async fn send(&mut self, pipe: &Pipeline) -> Result<Replies, Error> {
        let sent = Request::new(pipe).send(&mut self.connection.0).await;
        sent.map_err(|error| self.broker.classify(error))
    }
}

impl Broker {
    /// Ends the wait of the connection with this id, as if its time were up. An error is only
    /// logged, for example when access rules deny the command: the wait then ends by itself.
    pub async fn unblock(&self, id: &ConnectionId) {
        let mut cmd = redis::cmd("CLIENT");
        cmd.arg("UNBLOCK").arg(id.number);
        if let Err(error) = id.peer.link.command(&cmd).await {
            tracing::debug!(%error, "a waiting claim could not be ended early");
        }
    }
}

fn replication_id(info: &str) -> Option<&str> {
    info.lines().find_map(|line| line.strip_prefix("master_replid:")).map(str::trim)
}
