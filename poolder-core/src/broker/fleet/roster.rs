//! Who there is: signs of life, marks of death, and what nodes say about themselves.
//!
//! Beats go over a blocking connection of their own, from a thread of their own, so that neither
//! a busy runtime nor a busy connection can make a node look dead.

use std::time::Duration;

use redis::Value;
use serde::{Deserialize, Serialize};

use crate::broker::connection::reply;
use crate::broker::connection::routing::slot_of;
use crate::broker::keys::RosterKeys;
use crate::broker::{Broker, scripts};
use crate::job::{Error, Partition, Timestamp, clamped_millis};

/// The name of one incarnation of a node; also the name of its consumers.
pub type NodeName = std::sync::Arc<str>;

/// A node silent for this long is named as such.
pub(in crate::broker) const SILENT: Duration = Duration::from_secs(8);
/// A beat waits this long for its reply.
const BEAT_TIMEOUT: Duration = Duration::from_secs(1);
/// Marks of this age are still told with every beat.
const NEWS: Duration = Duration::from_secs(60);
/// How long a mark is kept, for nodes that come back late.
const MARKS_KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// What the server says to a sign of life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beat {
    /// True when this node was declared dead.
    pub marked: bool,
    /// The server's clock.
    pub now: Timestamp,
    /// Nodes that were silent for 8 s or more, and their last beats.
    pub silent: Vec<(String, String)>,
    /// Nodes declared dead within the last minute.
    pub dead: Vec<String>,
}

/// What a node says about itself. Stored as JSON, readable without Poolder.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeInfo {
    /// Its process id.
    pub pid: u32,
    /// The version of Poolder it was built with.
    pub version: String,
    /// When this incarnation started, in ms since 1970 by the server's clock.
    pub started: i64,
    /// Its pools: queue and number of slots.
    pub pools: Vec<(String, usize)>,
}

/// A blocking connection for signs of life.
pub struct Beater {
    broker: Broker,
    keys: RosterKeys,
    connection: Option<redis::Connection>,
}

impl Beater {
    /// Prepares the connection without opening it.
    #[must_use]
    pub fn new(broker: &Broker) -> Self {
        Self { broker: broker.clone(), keys: broker.roster_keys().clone(), connection: None }
    }

    /// Gives a sign of life.
    ///
    /// # Errors
    /// When no reply came within a second.
    pub fn beat(&mut self, node: &str) -> Result<Beat, Error> {
        let (nodes, marks) = (self.keys.nodes.clone(), self.keys.marks.clone());
        let reply = self.with_connection(|connection| {
            let mut call = scripts::NODE_BEAT.prepare_invoke();
            call.key(&nodes).key(&marks).arg(node);
            call.arg(clamped_millis(SILENT)).arg(clamped_millis(NEWS));
            call.invoke::<Value>(connection)
        })?;
        let [verdict, now, silent, dead] = reply::items::<4>(reply)?;
        let mut strange = vec![];
        let mut list = reply::array(silent)?.into_iter();
        let mut silent = vec![];
        while let (Some(name), Some(last_beat)) = (list.next(), list.next()) {
            if let Some(name) = name_or(&mut strange, name)? {
                silent.push((name, reply::text(last_beat)?));
            }
        }
        let mut names = vec![];
        for name in reply::array(dead)? {
            names.extend(name_or(&mut strange, name)?);
        }
        self.remove(&strange)?;
        Ok(Beat {
            marked: reply::text(verdict)? == "DEAD",
            now: Timestamp::from_millis(reply::int(now)?),
            silent,
            dead: names,
        })
    }

    /// Removes names that no node can have: they would take the places of others in every reply.
    fn remove(&mut self, strange: &[Vec<u8>]) -> Result<(), Error> {
        if strange.is_empty() {
            return Ok(());
        }
        tracing::warn!(names = strange.len(), "names that are not text are taken off the roster");
        let keys = self.keys.clone();
        self.with_connection(|connection| {
            let mut pipe = redis::pipe();
            pipe.cmd("ZREM").arg(&keys.nodes).arg(strange);
            pipe.cmd("ZREM").arg(&keys.marks).arg(strange);
            pipe.query::<Value>(connection)
        })
        .map(|_| ())
    }

    /// Declares a node dead, unless it has given a sign of life since `last_beat`.
    ///
    /// # Errors
    /// As [`Beater::beat`].
    pub fn mark(&mut self, node: &str, last_beat: &str) -> Result<bool, Error> {
        let keys = self.keys.clone();
        let reply = self.with_connection(|connection| {
            let mut call = scripts::NODE_MARK_DEAD.prepare_invoke();
            call.key(&keys.nodes).key(&keys.marks).key(&keys.about);
            call.arg(node).arg(last_beat).arg(clamped_millis(MARKS_KEPT));
            call.invoke::<Value>(connection)
        })?;
        Ok(reply::int(reply)? == 1)
    }

    /// Says what this node is, for operators.
    ///
    /// # Errors
    /// As [`Beater::beat`].
    pub fn introduce(&mut self, node: &str, info: &NodeInfo) -> Result<(), Error> {
        let key = self.keys.about.clone();
        let about = serde_json::to_string(info).map_err(|error| {
            Error::codec(format!("what the node is cannot be written: {error}"))
        })?;
        self.with_connection(|connection| {
            redis::cmd("HSET").arg(key).arg(node).arg(about).query::<Value>(connection)
        })
        .map(|_| ())
    }

    /// Leaves the roster, holding nothing any more.
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
                .query::<Value>(connection)
        })
        .map(|_| ())
    }

    /// Runs a command; a connection that failed in any way is not used again.
    fn with_connection<T>(
        &mut self,
        run: impl FnOnce(&mut redis::Connection) -> redis::RedisResult<T>,
    ) -> Result<T, Error> {
        let outcome = match self.connection.take() {
            Some(connection) => Ok(connection),
            None => self.open(),
        };
        let outcome = outcome.and_then(|mut connection| {
            let reply = run(&mut connection)?;
            self.connection = Some(connection);
            Ok(reply)
        });
        outcome.map_err(|error| self.broker.classify(error))
    }

    fn open(&self) -> redis::RedisResult<redis::Connection> {
        let slot = slot_of(self.keys.nodes.as_bytes());
        let client = self.broker.inner.route.client_blocking(slot)?;
        let connection = client.get_connection_with_timeout(BEAT_TIMEOUT)?;
        connection.set_read_timeout(Some(BEAT_TIMEOUT))?;
        connection.set_write_timeout(Some(BEAT_TIMEOUT))?;
        Ok(connection)
    }
}

/// The name in a reply; one that is not text goes to the strange ones.
fn name_or(strange: &mut Vec<Vec<u8>>, reply: Value) -> Result<Option<String>, Error> {
    match String::from_utf8(reply::bytes(reply)?) {
        Ok(name) => Ok(Some(name)),
        Err(error) => {
            strange.push(error.into_bytes());
            Ok(None)
        }
    }
}

impl std::fmt::Debug for Beater {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Beater").field("open", &self.connection.is_some()).finish_non_exhaustive()
    }
}

/// What the roster knows of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Membership {
    /// It gives signs of life, or did until a moment ago.
    Alive,
    /// It was declared dead.
    Dead,
    /// It never stood in the roster, or left it.
    Stranger,
}

impl Broker {
    /// What the roster knows of these names.
    ///
    /// # Errors
    /// Whatever keeps the server from answering.
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

    /// Notes that a queue is in use, for those who list queues.
    ///
    /// # Errors
    /// Whatever keeps the server from answering.
    pub async fn register_queue(&self, partition: &Partition) -> Result<(), Error> {
        let mut cmd = redis::cmd("SADD");
        cmd.arg(&self.roster_keys().queues).arg(partition.queue.as_str());
        self.command(&cmd).await.map(|_| ())
    }
}
