//! Claims jobs on a separate connection, since a blocking read would delay all other commands on a
//! shared one.

use std::sync::Arc;
use std::time::Instant;

use redis::aio::MultiplexedConnection;
use redis::{Cmd, Pipeline, RedisResult, Value};
use tracing::Instrument;

use crate::broker::connection::config::BLOCK;
use crate::broker::connection::failure::{is_nogroup, spoils_connection};
use crate::broker::connection::reply;
use crate::broker::connection::reply_limit::ItemSizes;
use crate::broker::connection::request::{Replies, Request};
use crate::broker::connection::round_trips::{RedisOperation, Trip};
use crate::broker::connection::routing::slot_of;
use crate::broker::jobs::claimed::{Claimed, Exchange};
use crate::broker::jobs::connection_id::ConnectionId;
use crate::broker::jobs::lane_read::{create_groups, read_claimed, read_lanes};
use crate::broker::jobs::pending::{Found, MAX_SCRIPT_BYTES, pending, pending_ids, read_found};
use crate::broker::jobs::settle::{SettlePipeline, settle_span};
use crate::broker::keys::PartitionKeys;
use crate::broker::{Broker, DeadLimits, Settlement, scripts};
use crate::job::{EntryId, Error, Lane, MAX_STORED, Partition};
use crate::stored::{ClaimedRange, Undecodable};

/// The connection on which a consumer claims jobs, and settles jobs in the same round trip.
#[derive(Debug)]
pub struct ClaimConnection {
    pub(in crate::broker) broker: Broker,
    partition: Partition,
    pub(in crate::broker) keys: Arc<PartitionKeys>,
    pub(in crate::broker) consumer: Arc<str>,
    limits: DeadLimits,
    pub(super) connection: Connection,
    id: Option<ConnectionId>,
    history: Option<Arc<str>>,
    /// The sizes of the entries that this connection has claimed.
    sizes: ItemSizes,
}

/// The most entries that one call of `claim.lua` claims.
const MAX_MEASURED: usize = 500;
/// The most pending entries that one reply lists.
const MAX_LISTED: usize = 1000;

/// A claim that was asked for.
struct Asked {
    lane: Lane,
    count: usize,
    /// The most bytes of the reply; for a claim that the server does not measure, its expected
    /// bytes.
    bytes: usize,
    measured: bool,
}

/// Wraps the connection of the Redis client, which does not implement `Debug`.
pub(in crate::broker) struct Connection(pub(in crate::broker) MultiplexedConnection);

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connection")
    }
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
        let keys = broker.keys(partition);
        let slot = Some(slot_of(keys.due.as_bytes()));
        broker.needs_server()?;
        let trips = &broker.inner.round_trips;
        let peer = broker.inner.route.peer(slot, &mut broker.inner.limit()).await;
        trips.end(Trip::waiting(RedisOperation::Claim), &peer);
        let peer = peer.map_err(|error| broker.classify(error))?;
        let reply = BLOCK + broker.inner.config.longest_reply();
        let opened = peer.opener.open(reply, || ()).await;
        trips.end(Trip::waiting(RedisOperation::Claim), &opened);
        let mut connection = opened.map_err(|error| broker.classify(error))?;
        let mut setup = scripts::load_all();
        let scripts = setup.len();
        setup.cmd("CLIENT").arg("ID").cmd("INFO").arg("replication");
        let trip = trips.trip(RedisOperation::Other);
        let sent = Request::new(&setup).send(&mut connection).await;
        trips.end(trip, &sent);
        let mut replies =
            sent.map_err(|error| broker.classify(error))?.split_off(scripts).into_iter();
        // Access rules may deny either command, and neither is essential: without an id a shutdown
        // waits until the blocking read ends, without a history every settlement checks the owner.
        let id = replies.next().and_then(Result::ok).and_then(|value| reply::int(value).ok());
        let info = replies.next().and_then(Result::ok).and_then(|value| reply::text(value).ok());
        let history = info.as_deref().and_then(replication_id).map(Arc::from);
        let mut claimer = Self {
            broker: broker.clone(),
            partition: partition.clone(),
            keys,
            consumer: consumer.into(),
            limits,
            connection: Connection(connection),
            id: id.map(|number| ConnectionId::new(peer, number)),
            history,
            sizes: ItemSizes::default(),
        };
        create_groups(broker, &mut claimer.connection.0, &claimer.keys).await?;
        Ok(claimer)
    }

    /// Returns the server history in which this connection claims, `None` when the server did not
    /// report it.
    #[must_use]
    pub fn history(&self) -> Option<Arc<str>> {
        self.history.clone()
    }

    /// Returns the consumer that claims on this connection.
    #[must_use]
    pub fn consumer(&self) -> &Arc<str> {
        &self.consumer
    }

    /// Returns the id with which [`Broker::unblock`] ends a wait of this connection.
    #[must_use]
    pub fn id(&self) -> Option<ConnectionId> {
        self.id.clone()
    }

    /// Returns true when the sizes of the next entries must be known before they are read: nothing
    /// is known about the sizes of the entries, or a reply was lost lately.
    #[must_use]
    pub fn is_cautious(&self) -> bool {
        let mut limit = self.broker.inner.reply_limit();
        limit.is_reduced(Instant::now()) || self.sizes.expected(1).is_none()
    }

    /// Settles and claims in one round trip. The claim does not wait. Reading the depths of the
    /// lanes costs the server as much as settling ten jobs, so the depths are read only if `depths`
    /// is true.
    ///
    /// The claim brings no more jobs than fit into a reply, going by the sizes of the jobs before.
    /// When these are not known, many such jobs do not fit, or a reply was lost lately, a script
    /// measures the entries. An entry that is too large is claimed unread.
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
        let plan = self.add_settlements(&mut pipe, settlements, depths, false);
        let asked = claim.map(|(lane, count)| self.ask(lane, count));
        if let Some(asked) = &asked {
            pipe.add_command(self.claim(asked));
        }
        let lost = asked.as_ref().map(|asked| asked.bytes);
        let mut replies = self.round_trip(&pipe, settlements, lost).await?.into_iter();
        let (settled, depths) = plan.read(replies.by_ref(), self.broker.address());
        let mut could_bring = asked.as_ref().map_or(0, |asked| asked.count);
        let claimed = match (replies.next(), asked) {
            (Some(Ok(reply)), Some(asked)) if asked.measured => {
                let found = reply::array(reply)?.into_iter();
                let claimed = self.read_measured(found, asked.lane, asked.bytes).await;
                if let Ok((claimed, true)) = &claimed {
                    could_bring = claimed.len();
                }
                claimed.map(|(claimed, _)| claimed)
            }
            (Some(reply), _) => self.read_unmeasured(reply).await,
            (None, _) => Ok(Claimed::default()),
        };
        Ok(Exchange { settled, depths, claimed, asked: could_bring })
    }

    /// Adds the commands that apply settlements. `claims` says that a claim of jobs of a limited
    /// queue follows.
    pub(in crate::broker) fn add_settlements(
        &self,
        pipe: &mut Pipeline,
        settlements: &[Settlement],
        depths: bool,
        claims: bool,
    ) -> SettlePipeline {
        SettlePipeline::add_to(pipe, &self.keys, self.limits, settlements, depths, claims)
    }

    /// Sends settlements and a claim whose reply has `bytes` bytes at most. Errors that leave the
    /// connection unusable are those of the round trip.
    pub(in crate::broker) async fn round_trip(
        &mut self,
        pipe: &Pipeline,
        settlements: &[Settlement],
        bytes: Option<usize>,
    ) -> Result<Replies, Error> {
        let span = settle_span(&self.partition, settlements);
        let operation = match bytes {
            Some(_) => RedisOperation::Claim,
            None => RedisOperation::Settle,
        };
        let sent = self.send(self.trip(operation), pipe).instrument(span).await;
        let replies = sent.inspect_err(|error| {
            if let Some(bytes) = bytes.filter(|_| error.is_unknown()) {
                self.broker.reply_was_lost(bytes, false);
            }
        })?;
        let spoiled = |reply: &RedisResult<Value>| {
            reply.as_ref().err().filter(|error| spoils_connection(error)).cloned()
        };
        match replies.iter().find_map(spoiled) {
            Some(error) => Err(self.broker.classify(error)),
            None => Ok(replies),
        }
    }

    /// Returns the pending entries of this consumer in a lane.
    ///
    /// # Errors
    /// As [`ClaimConnection::exchange`].
    pub async fn held(&mut self, lane: Lane) -> Result<Vec<EntryId>, Error> {
        let mut held: Vec<EntryId> = vec![];
        loop {
            let mut pipe = redis::pipe();
            let stream = self.keys.lane(lane);
            pipe.add_command(pending(stream, &self.consumer, held.last(), MAX_LISTED));
            let page = match self.send(self.trip(RedisOperation::Claim), &pipe).await?.pop() {
                Some(Ok(reply)) => pending_ids(reply)?,
                Some(Err(error)) if is_nogroup(&error) => vec![],
                Some(Err(error)) => return Err(self.broker.classify(error)),
                None => return Err(Error::protocol("the reply to a pipeline was empty")),
            };
            let is_last = page.len() < MAX_LISTED;
            held.extend(page);
            if is_last {
                return Ok(held);
            }
        }
    }

    /// Reads entries that this consumer holds into `claimed`, in replies that follow the sizes of
    /// the entries. Acknowledges held entries that were deleted meanwhile.
    ///
    /// # Errors
    /// As [`ClaimConnection::exchange`]; `claimed` then has the entries that were read before.
    pub async fn adopt(
        &mut self,
        lane: Lane,
        ids: &[EntryId],
        claimed: &mut Claimed,
    ) -> Result<(), Error> {
        let (mut entries, stream) = (vec![], self.keys.lane(lane));
        let connection = &mut self.connection.0;
        let read = self.broker.read_entries(connection, (stream, lane), ids, &mut entries).await;
        entries.into_iter().for_each(|entry| claimed.push(entry, None));
        read
    }

    /// Decides how a claim of up to `count` entries is asked for.
    fn ask(&self, lane: Lane, count: usize) -> Asked {
        let mut limit = self.broker.inner.reply_limit();
        let now = Instant::now();
        let most = limit.most(now);
        let expected = self.sizes.expected(count.max(1));
        match expected {
            Some(bytes) if bytes <= most && !limit.is_reduced(now) => {
                Asked { lane, count: count.max(1), bytes, measured: false }
            }
            _ => {
                let bytes = most.min(MAX_SCRIPT_BYTES);
                Asked { lane, count: count.clamp(1, MAX_MEASURED), bytes, measured: true }
            }
        }
    }

    fn claim(&self, asked: &Asked) -> Cmd {
        if !asked.measured {
            let lane = self.keys.lane(asked.lane);
            return read_lanes(&[lane], &self.consumer, asked.count, None);
        }
        let mut cmd = scripts::call(&scripts::CLAIM, [self.keys.lane(asked.lane)]);
        cmd.arg(self.consumer.as_ref()).arg(asked.count).arg(asked.bytes).arg(MAX_STORED);
        cmd
    }

    /// Reads the entries in the reply of a script that claims up to `most` bytes, and those that did
    /// not fit into it. Returns also whether the reply was full.
    pub(in crate::broker) async fn read_measured(
        &mut self,
        reply: impl Iterator<Item = Value>,
        lane: Lane,
        most: usize,
    ) -> Result<(Claimed, bool), Error> {
        let keys = Arc::clone(&self.keys);
        let stream = keys.lane(lane);
        let all = read_found(stream, lane, reply)?;
        let range = ClaimedRange::of(all.iter().map(Found::id));
        let (mut claimed, mut rest, mut sizes) = (Claimed::default(), vec![], vec![]);
        for found in all {
            sizes.push(found.bytes());
            match found {
                Found::Read(entry, _) => claimed.push(entry, range.as_ref()),
                Found::TooLarge(id, bytes, job) if bytes > MAX_STORED => {
                    let unread = Undecodable::unread(stream, lane, id, bytes, job);
                    claimed.undecodable.push(unread);
                }
                Found::TooLarge(id, ..) => rest.push(id),
                Found::Gone(_) => {}
            }
        }
        let bytes = sizes.iter().sum();
        self.sizes.note(sizes.len(), bytes);
        if !claimed.is_empty() {
            self.broker.reply_came(bytes.min(most));
        }
        if !rest.is_empty() {
            self.adopt(lane, &rest, &mut claimed).await?;
        }
        Ok((claimed, bytes >= most))
    }

    /// Notes the sizes of entries that were claimed.
    pub(super) fn note_sizes(&mut self, entries: usize, bytes: usize) {
        if entries > 0 {
            self.sizes.note(entries, bytes);
        }
    }

    /// Reads the reply to a claim that the server did not measure.
    async fn read_unmeasured(&mut self, reply: RedisResult<Value>) -> Result<Claimed, Error> {
        let (keys, connection) = (Arc::clone(&self.keys), &mut self.connection.0);
        let (mut claimed, bytes) = read_claimed(&self.broker, connection, &[&keys], reply).await?;
        let claimed = claimed.pop().unwrap_or_default();
        self.note_sizes(claimed.len(), bytes);
        Ok(claimed)
    }

    /// Creates the consumer groups that are missing.
    pub(in crate::broker) async fn create_groups(&mut self) -> Result<(), Error> {
        let keys = Arc::clone(&self.keys);
        create_groups(&self.broker, &mut self.connection.0, &keys).await
    }

    pub(super) fn trip(&self, operation: RedisOperation) -> Trip {
        self.broker.inner.round_trips.trip(operation)
    }

    pub(in crate::broker) async fn send(
        &mut self,
        trip: Trip,
        pipe: &Pipeline,
    ) -> Result<Replies, Error> {
        let sent = Request::new(pipe).send(&mut self.connection.0).await;
        self.broker.inner.round_trips.end_all(trip, &sent);
        sent.map_err(|error| self.broker.classify(error))
    }
}

fn replication_id(info: &str) -> Option<&str> {
    info.lines().find_map(|line| line.strip_prefix("master_replid:")).map(str::trim)
}
