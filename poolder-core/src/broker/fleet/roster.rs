//! The roster: heartbeats of nodes, and marks of dead nodes.
//!
//! Heartbeats use a separate blocking connection and a separate thread, so that neither a busy
//! runtime nor a busy connection can make a node look dead.

use std::io::{Error as IoError, ErrorKind};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use redis::{Cmd, RedisResult, Value};
use serde::Serialize;

use crate::broker::connection::failure::code;
use crate::broker::connection::reply;
use crate::broker::connection::request::{Request, only};
use crate::broker::connection::round_trips::{RedisOperation, Trip};
use crate::broker::connection::routing::slot_of;
use crate::broker::fleet::beat_limit::{BeatLimit, MAX_LIMIT};
use crate::broker::fleet::node_info::NodeInfo;
use crate::broker::keys::RosterKeys;
use crate::broker::{Broker, scripts};
use crate::job::{Error, Partition, Timestamp, clamped_millis};
use crate::mutation::mutated;

/// The name of one incarnation of a node, and of its consumers.
pub type NodeName = std::sync::Arc<str>;

/// The time without a heartbeat after which a node is reported as silent.
pub(in crate::broker) const SILENT: Duration = Duration::from_secs(8);
/// The age up to which the marks of dead nodes are part of the reply to every heartbeat.
const RECENT_MARKS: Duration = Duration::from_secs(60);
/// The retention of the mark of a dead node, so that a node that returns late finds the mark.
const MARK_RETENTION: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// One in this many heartbeats counts the nodes.
const COUNT_INTERVAL: u32 = 5;

/// The reply of the server to a heartbeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beat {
    /// True when this node was marked as dead.
    pub marked: bool,
    /// True when this node was not in the roster: at its first heartbeat, and when the server has
    /// lost the roster.
    pub added: bool,
    /// The time of the reply, by the server's clock.
    pub now: Timestamp,
    /// Nodes without a heartbeat for 8 s or more, and the times of their last heartbeats as stored.
    pub silent: Vec<(String, String)>,
    /// Nodes that were marked as dead within the last minute.
    pub dead: Vec<String>,
    /// The number of nodes in the roster, this one included. `None` if they were not counted: they
    /// are by the first heartbeat and by each fifth one.
    pub nodes: Option<usize>,
    /// The order of an operator for this node.
    pub order: Option<NodeOrder>,
}

/// An order of an operator for a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum NodeOrder {
    /// The node takes no more jobs and finishes those that it runs; its process goes on.
    Quiet,
    /// The node takes jobs again after an order to be quiet.
    Resume,
    /// The node stops as a signal would stop it: it takes no more jobs, finishes those that it runs
    /// within its shutdown timeout, and ends.
    Stop,
}

impl NodeOrder {
    /// Returns the order as it is stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Quiet => "quiet",
            Self::Resume => "resume",
            Self::Stop => "stop",
        }
    }

    /// Returns the order that a node carries out after this one, given the one that it reads: an order
    /// to stop stands, and no order changes nothing, since a node may take a new name.
    #[doc(hidden)]
    #[must_use]
    pub fn after(before: Option<Self>, read: Option<Self>) -> Option<Self> {
        match (before, read) {
            (Some(Self::Stop), _) | (_, None) => before,
            (_, Some(_)) => read,
        }
    }

    /// Reads a stored order; `None` for none, and for one of a later version.
    pub(in crate::broker) fn read(text: &str) -> Option<Self> {
        [Self::Quiet, Self::Resume, Self::Stop].into_iter().find(|order| order.as_str() == text)
    }
}

/// A blocking connection for heartbeats.
pub struct Beater {
    broker: Broker,
    keys: RosterKeys,
    connection: Option<redis::Connection>,
    limit: BeatLimit,
    redirected: bool,
    /// The number of heartbeats that were sent.
    beats: u32,
}

impl Beater {
    /// The time without a heartbeat after which a node is reported as silent.
    pub const SILENCE: Duration = SILENT;
    /// The greatest [`Beater::limit`].
    pub const MAX_LIMIT: Duration = MAX_LIMIT;

    /// Prepares the connection without opening it.
    #[must_use]
    pub fn new(broker: &Broker) -> Self {
        Self {
            broker: broker.clone(),
            keys: broker.roster_keys().clone(),
            connection: None,
            limit: BeatLimit::default(),
            redirected: false,
            beats: 0,
        }
    }

    /// Returns true when the last request failed because the slot of the roster moves, or has moved,
    /// to another server of the cluster: the servers answer, and the next request goes there.
    #[must_use]
    pub fn was_redirected(&self) -> bool {
        self.redirected
    }

    /// Returns the time limit for finding the server and opening the connection, and for each reply:
    /// max(1 s, 4 × the round trip), at most 3 s. It doubles with each timeout, until a reply comes.
    #[must_use]
    pub fn limit(&self) -> Duration {
        self.limit.get()
    }

    /// Sends the heartbeat of a node, which others shall take for silent so much later than usual: its
    /// heartbeat is stored with a time that is `extra` ahead.
    ///
    /// # Errors
    /// Returns an error when the server cannot be reached, or does not reply within
    /// [`Beater::limit`].
    pub fn beat(&mut self, node: &str, extra: Duration) -> Result<Beat, Error> {
        let keys = [self.keys.nodes.as_str(), &self.keys.marks, &self.keys.orders];
        let mut cmd = scripts::call(&scripts::NODE_BEAT, keys);
        cmd.arg(node).arg(clamped_millis(SILENT)).arg(clamped_millis(RECENT_MARKS));
        cmd.arg(u8::from(self.beats.is_multiple_of(COUNT_INTERVAL)));
        let extra = if mutated("beat-promise") { Duration::ZERO } else { extra };
        cmd.arg(clamped_millis(extra));
        self.beats = self.beats.wrapping_add(1);
        let reply = self.script(cmd)?;
        let [verdict, now, silent, dead, nodes, order] = reply::items::<6>(reply)?;
        let mut invalid = vec![];
        let mut list = reply::array(silent)?.into_iter();
        let mut silent = vec![];
        while let (Some(name), Some(last_beat)) = (list.next(), list.next()) {
            if let Some(name) = read_name(&mut invalid, name)? {
                silent.push((name, reply::text(last_beat)?));
            }
        }
        let mut names = vec![];
        for name in reply::array(dead)? {
            names.extend(read_name(&mut invalid, name)?);
        }
        self.remove(&invalid)?;
        let verdict = reply::text(verdict)?;
        Ok(Beat {
            marked: verdict == "DEAD",
            added: verdict == "NEW",
            now: Timestamp::from_millis(reply::int(now)?),
            silent,
            dead: names,
            nodes: usize::try_from(reply::int(nodes)?).ok().filter(|nodes| *nodes > 0),
            order: NodeOrder::read(&reply::text(order)?),
        })
    }

    /// Removes names that no node can have. Each reply holds a limited number of names, and these
    /// would displace the names of nodes.
    fn remove(&mut self, invalid: &[Vec<u8>]) -> Result<(), Error> {
        if invalid.is_empty() {
            return Ok(());
        }
        tracing::warn!(names = invalid.len(), "removing names that are not text from the roster");
        let keys = self.keys.clone();
        self.with_connection(|connection| {
            let mut pipe = redis::pipe();
            pipe.cmd("ZREM").arg(&keys.nodes).arg(invalid);
            pipe.cmd("ZREM").arg(&keys.marks).arg(invalid);
            pipe.query::<Value>(connection)
        })
        .map(|_| ())
    }

    /// Marks a node as dead, unless the node has sent a heartbeat since `last_beat`. Returns
    /// whether the node was marked.
    ///
    /// # Errors
    /// As [`Beater::beat`].
    pub fn mark(&mut self, node: &str, last_beat: &str) -> Result<bool, Error> {
        let cmd = mark_call(&self.keys, node, last_beat);
        let reply = self.script(cmd)?;
        Ok(reply::int(reply)? == 1)
    }

    /// Stores the description of this node, for operators. Returns true when the roster had none of
    /// it: at first, and when the server has lost the roster, and probably more.
    ///
    /// # Errors
    /// As [`Beater::beat`].
    pub fn introduce(&mut self, node: &str, info: &NodeInfo) -> Result<bool, Error> {
        let about = serde_json::to_string(info).map_err(|error| {
            Error::codec(format!("the description of the node cannot be encoded: {error}"))
        })?;
        let mut cmd = scripts::write("HSET", &self.keys.about);
        cmd.arg(node).arg(about);
        Ok(reply::int(self.script(cmd)?)? > 0)
    }

    /// Removes a node from the roster. The node must hold no job and no lease any more.
    ///
    /// # Errors
    /// As [`Beater::beat`].
    pub fn leave(&mut self, node: &str) -> Result<(), Error> {
        let keys = self.keys.clone();
        self.with_connection(|connection| {
            redis::pipe()
                .cmd("ZREM")
                .arg(keys.nodes)
                .arg(node)
                .cmd("HDEL")
                .arg(keys.about)
                .arg(node)
                .cmd("HDEL")
                .arg(keys.orders)
                .arg(node)
                .query::<Value>(connection)
        })
        .map(|_| ())
    }

    /// Runs a script. Loads the scripts if the server does not have it.
    fn script(&mut self, cmd: Cmd) -> Result<Value, Error> {
        self.with_connection(|connection| {
            let mut pipe = redis::pipe();
            pipe.add_command(cmd);
            only(Request::new(&pipe).send_blocking(connection))
        })
    }

    /// Runs commands on the connection, and opens one if there is none. Drops the connection after
    /// any error.
    fn with_connection<T>(
        &mut self,
        run: impl FnOnce(&mut redis::Connection) -> redis::RedisResult<T>,
    ) -> Result<T, Error> {
        let limit = self.limit();
        let outcome = match self.connection.take() {
            Some(connection) => Ok(connection),
            None => self.open(limit),
        };
        let trips = &self.broker.inner.round_trips;
        trips.end(Trip::waiting(RedisOperation::Beat), &outcome);
        let outcome = outcome.and_then(|mut connection| {
            connection.set_read_timeout(Some(limit))?;
            connection.set_write_timeout(Some(limit))?;
            let sent = Instant::now();
            let trip = trips.trip(RedisOperation::Beat);
            let reply = run(&mut connection);
            trips.end(trip, &reply);
            let reply = reply?;
            self.limit.replied(sent.elapsed());
            self.connection = Some(connection);
            Ok(reply)
        });
        self.redirected = false;
        outcome.map_err(|error| {
            if error.is_timeout() {
                self.limit.timed_out();
            }
            self.redirected = matches!(code(&error), Some("MOVED" | "ASK" | "TRYAGAIN"));
            self.broker.classify(error)
        })
    }

    /// Finds the server and opens a connection, on another thread: a lookup or the resolution of a
    /// name may take longer than the limit. The address that a late lookup finds is used by the next
    /// call.
    fn open(&self, limit: Duration) -> RedisResult<redis::Connection> {
        let (broker, slot) = (self.broker.clone(), slot_of(self.keys.nodes.as_bytes()));
        let (sender, opened) = channel();
        std::thread::Builder::new().name("poolder-connect".into()).spawn(move || {
            let client = broker.inner.route.client_blocking(slot);
            let opened = client.and_then(|client| client.get_connection_with_timeout(limit));
            // The caller may have given up.
            let _ = sender.send(opened);
        })?;
        let late = |_| IoError::new(ErrorKind::TimedOut, "the server was not found in time");
        opened.recv_timeout(limit).map_err(late)?
    }
}

/// Returns the call that marks a node as dead, unless it has sent a heartbeat since `last_beat`.
pub(in crate::broker) fn mark_call(keys: &RosterKeys, node: &str, last_beat: &str) -> Cmd {
    let all = [keys.nodes.as_str(), &keys.marks, &keys.about, &keys.orders];
    let mut cmd = scripts::call(&scripts::NODE_MARK_DEAD, all);
    cmd.arg(node).arg(last_beat).arg(clamped_millis(MARK_RETENTION));
    cmd
}

/// Reads a name from a reply. A name that is not text is added to `invalid`.
fn read_name(invalid: &mut Vec<Vec<u8>>, reply: Value) -> Result<Option<String>, Error> {
    match String::from_utf8(reply::bytes(reply)?) {
        Ok(name) => Ok(Some(name)),
        Err(error) => {
            invalid.push(error.into_bytes());
            Ok(None)
        }
    }
}

impl std::fmt::Debug for Beater {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Beater").field("open", &self.connection.is_some()).finish_non_exhaustive()
    }
}

/// The state of a name in the roster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Membership {
    /// The node sends heartbeats, or has not been marked as dead yet.
    Alive,
    /// The node was marked as dead.
    Dead,
    /// The node was never in the roster, or has left it.
    Stranger,
}

impl Broker {
    /// Returns the state of each of these names in the roster.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn membership(&self, names: &[String]) -> Result<Vec<Membership>, Error> {
        let keys = self.roster_keys();
        let mut pipe = redis::pipe();
        for name in names {
            pipe.cmd("ZSCORE").arg(&keys.marks).arg(name);
            pipe.cmd("ZSCORE").arg(&keys.nodes).arg(name);
        }
        let replies = self.pipeline(&pipe).await?;
        let mut found = Vec::with_capacity(names.len());
        for pair in replies.chunks_exact(2) {
            let known = |reply: &redis::RedisResult<Value>| match reply {
                Ok(value) => Ok(*value != Value::Nil),
                Err(error) => Err(self.classify(error.clone())),
            };
            found.push(match (known(&pair[0])?, known(&pair[1])?) {
                (true, _) => Membership::Dead,
                (false, true) => Membership::Alive,
                (false, false) => Membership::Stranger,
            });
        }
        Ok(found)
    }

    /// Records that a queue is in use, so that it appears in lists of queues.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn register_queue(&self, partition: &Partition) -> Result<(), Error> {
        #[cfg(feature = "testing")]
        if self.captured().is_some() {
            return Ok(());
        }
        let mut cmd = scripts::write("SADD", &self.roster_keys().queues);
        cmd.arg(partition.queue.as_str());
        self.command(&cmd).await.map(|_| ())
    }
}
