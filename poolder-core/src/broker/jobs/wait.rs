//! Waiting for jobs at one partition or at several, and looking for them without waiting.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::ConnectionLike;
use redis::{Cmd, RedisResult, Value};

use crate::broker::connection::config::BLOCK;
use crate::broker::connection::failure::unsent;
use crate::broker::connection::peer::is_lost;
use crate::broker::connection::reply;
use crate::broker::connection::request::{Replies, Request};
use crate::broker::connection::round_trips::{RedisOperation, Trip};
use crate::broker::jobs::claim::ClaimConnection;
use crate::broker::jobs::claimed::{Claimed, Visit, Waited};
use crate::broker::jobs::lane_read::{read_claimed, read_lanes};
use crate::broker::jobs::pending::{pending, pending_ids};
use crate::broker::jobs::wait_permit::{PERMIT, REST};
use crate::broker::keys::PartitionKeys;
use crate::broker::{Broker, scripts};
use crate::job::{Error, Lane, Partition, Timestamp, clamped_millis};

/// A partition at which a wait claims jobs.
#[derive(Debug, Clone)]
pub struct WaitPart {
    /// The partition.
    pub partition: Partition,
    /// The lanes to claim from.
    pub lanes: Vec<Lane>,
    /// True to renew the wait permit of the node when the wait begins.
    pub renew: bool,
}

impl ClaimConnection {
    /// The longest time that [`ClaimConnection::wait`] waits for a job.
    pub const LONGEST_WAIT: Duration = BLOCK;
    /// How long a wait permit lasts that is not renewed.
    pub const PERMIT: Duration = PERMIT;

    /// Waits up to 5 s for a job in any of the lanes of these partitions, and claims at most one from
    /// each lane. `now` is the server's time, by which permits are renewed. More than one partition
    /// can be waited at only where one server has them all, as [`Broker::has_one_server`] tells. The
    /// caller must not drop the future before it ends: the server would still assign a job to this
    /// consumer, and the reply would be lost. Returns one result for each partition.
    ///
    /// # Errors
    /// As [`ClaimConnection::exchange`].
    pub async fn wait(&mut self, parts: &[WaitPart], now: Timestamp) -> Result<Vec<Waited>, Error> {
        let keys: Vec<_> = parts.iter().map(|part| self.broker.keys(&part.partition)).collect();
        let keys: Vec<&PartitionKeys> = keys.iter().map(Arc::as_ref).collect();
        let (mut pipe, mut lanes) = (redis::pipe(), vec![]);
        for (part, keys) in parts.iter().zip(&keys) {
            if part.renew {
                pipe.add_command(renewal(keys, &self.consumer, now));
            }
            lanes.extend(part.lanes.iter().map(|lane| keys.lane(*lane)));
        }
        pipe.add_command(read_lanes(&lanes, &self.consumer, 1, Some(BLOCK)));
        let trip = Trip::waiting(RedisOperation::Claim);
        let mut replies = self.send(trip, &pipe).await?;
        let reply = replies.pop().ok_or_else(wrong_length)?;
        let connection = &mut self.connection.0;
        let (claimed, bytes) = read_claimed(&self.broker, connection, &keys, reply).await?;
        self.note_sizes(claimed.iter().map(Claimed::len).sum(), bytes);
        let mut renewals = replies.into_iter();
        let waited = claimed.into_iter().zip(parts).map(|(claimed, part)| Waited {
            claimed,
            // A permit whose renewal fails counts as lost: it is asked for anew.
            permit_lost: part.renew && !matches!(renewals.next(), Some(Ok(Value::Int(1)))),
            woken: false,
        });
        Ok(waited.collect())
    }

    /// Claims at most one job from each of the lanes without waiting, and looks which nodes have a
    /// wait permit. `now` is the server's time.
    ///
    /// # Errors
    /// As [`ClaimConnection::exchange`].
    pub async fn visit(&mut self, lanes: &[Lane], now: Timestamp) -> Result<Visit, Error> {
        let call = visit(&self.keys, &self.consumer, lanes, now);
        let sent = self.send(self.trip(RedisOperation::Claim), &call).await?;
        let connection = &mut self.connection.0;
        let (visit, bytes) = read_visit(&self.broker, connection, &self.keys, sent, now).await?;
        self.note_sizes(visit.claimed.len(), bytes);
        Ok(visit)
    }
}

impl Broker {
    /// Returns true when one server has all partitions, so that a wait may be for several of them.
    #[must_use]
    pub fn has_one_server(&self) -> bool {
        self.inner.route.is_one()
    }

    /// Returns true when a reply was lost lately, so that jobs are claimed with care.
    #[must_use]
    pub fn has_lost_replies(&self) -> bool {
        self.inner.reply_limit().is_reduced(std::time::Instant::now())
    }

    /// Does what [`ClaimConnection::visit`] does, on a connection for long reads.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses a command. The server may have
    /// assigned jobs to this consumer in a lost reply.
    pub async fn visit(
        &self,
        partition: &Partition,
        consumer: &str,
        lanes: &[Lane],
        now: Timestamp,
    ) -> Result<Visit, Error> {
        let keys = self.keys(partition);
        let mut limit = self.inner.limit();
        let peer = self.peer(&keys.waiting, None, &mut limit).await?;
        let taken = Box::pin(peer.alone(&mut limit)).await;
        let mut connection = taken.map_err(|error| self.classify(unsent(error)))?;
        let call = visit(&keys, consumer, lanes, now);
        let trip = self.inner.round_trips.trip(RedisOperation::Claim);
        let sent = Request::new(&call).send(&mut connection).await;
        self.inner.round_trips.end_all(trip, &sent);
        if is_lost(&sent) {
            drop(deadpool_redis::Connection::take(connection));
            let lost =
                sent.and_then(|replies| replies.into_iter().collect::<RedisResult<Vec<_>>>());
            let error = lost.err().map(|error| self.classify(error));
            return Err(error.unwrap_or_else(wrong_length));
        }
        let sent = sent.map_err(|error| self.classify(error))?;
        let (visit, _) = read_visit(self, &mut connection, &keys, sent, now).await?;
        // The next pool of the node visits soon.
        peer.keep(connection);
        Ok(visit)
    }

    /// Returns true when the server holds an entry of a lane for this consumer.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses a command.
    pub async fn holds_claims(&self, partition: &Partition, consumer: &str) -> Result<bool, Error> {
        let (keys, mut pipe) = (self.keys(partition), redis::pipe());
        for lane in Lane::ALL {
            pipe.add_command(pending(keys.lane(lane), consumer, None, 1));
        }
        let lanes = self.replies::<5>(&pipe).await?.map(pending_ids);
        let mut holds = false;
        for entries in lanes {
            holds |= !entries?.is_empty();
        }
        Ok(holds)
    }
}

/// Builds the command that renews the permit of a node. Its reply is 0 when the node has lost the
/// permit.
fn renewal(keys: &PartitionKeys, node: &str, now: Timestamp) -> Cmd {
    let end = now.millis().saturating_add(clamped_millis(PERMIT));
    let mut cmd = scripts::write("ZADD", &keys.waiting);
    cmd.arg("XX").arg("CH").arg(end).arg(node);
    cmd
}

/// Builds the commands of a node that rests: the end of its entry among those that rest, the names
/// of the nodes with a permit, and a claim that does not wait.
fn visit(keys: &PartitionKeys, node: &str, lanes: &[Lane], now: Timestamp) -> redis::Pipeline {
    let lanes: Vec<_> = lanes.iter().map(|lane| keys.lane(*lane)).collect();
    let mut pipe = redis::pipe();
    pipe.cmd("ZSCORE").arg(&keys.resting).arg(node);
    pipe.cmd("ZRANGEBYSCORE").arg(&keys.waiting).arg(now.millis()).arg("+inf");
    pipe.arg("LIMIT").arg(0).arg(100);
    pipe.add_command(read_lanes(&lanes, node, 1, None));
    pipe
}

/// Reads the replies to [`visit`]. Returns also the bytes of the claimed jobs.
async fn read_visit(
    broker: &Broker,
    connection: &mut impl ConnectionLike,
    keys: &PartitionKeys,
    replies: Replies,
    now: Timestamp,
) -> Result<(Visit, usize), Error> {
    let replies: [RedisResult<Value>; 3] = replies.try_into().map_err(|_| wrong_length())?;
    let [entry, holders, claim] = replies;
    let (mut claimed, bytes) = read_claimed(broker, connection, &[keys], claim).await?;
    let names = holders.map_err(|error| broker.classify(error))?;
    let holders = reply::array(names)?.into_iter().filter_map(|name| reply::text(name).ok());
    // An entry that is not there, or ends before the visit after the next one, is made anew.
    let end = entry.ok().and_then(|end| reply::text(end).ok()?.parse::<f64>().ok());
    let least = now.millis().saturating_add(clamped_millis(REST / 2)) as f64;
    let visit = Visit {
        claimed: claimed.pop().unwrap_or_default(),
        holders: holders.collect(),
        entered: end.is_some_and(|end| end > least),
    };
    Ok((visit, bytes))
}

fn wrong_length() -> Error {
    Error::protocol("the reply to a pipeline has another length")
}
