//! Wait permits: the right of a node to block at a partition until a job comes.
//!
//! A job that is stored costs the server some time for each node that blocks. Therefore only a few
//! nodes block at a partition, and the others rest. A node that has no room for another job gives
//! its permit up, and wakes nodes that rest when few permits are in use or jobs are left. A message
//! that is lost costs time only, since nodes that rest look for jobs at growing intervals.

use std::time::Duration;

use redis::aio::ConnectionLike;
use redis::{Cmd, RedisResult, Value};

use crate::broker::connection::config::BLOCK;
use crate::broker::connection::reply;
use crate::broker::connection::request::Replies;
use crate::broker::jobs::claim::ClaimConnection;
use crate::broker::jobs::claimed::{Visit, Waited};
use crate::broker::keys::PartitionKeys;
use crate::broker::{Broker, Depths, scripts};
use crate::job::{Error, Lane, Partition, Timestamp, clamped_millis};

/// The answer to a node that asks for a wait permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitAnswer {
    /// True when the node has a permit; otherwise it rests.
    pub permit: bool,
    /// The number of waiting jobs in each lane, read after the node was entered.
    pub depths: Depths,
}

/// How long a permit lasts. The holder renews it whenever it begins to block, so that this is longer
/// than a node blocks.
const PERMIT: Duration = Duration::from_secs(8);
/// How long the entry of a node that rests lasts, longer than any pause between two of its visits.
const REST: Duration = Duration::from_secs(300);
/// The most nodes that one call wakes. Each of them wakes others if it leaves jobs.
const MAX_WOKEN: usize = 8;
/// The most names of dead nodes in a call.
const MAX_DEAD: usize = 100;

impl Broker {
    /// Asks for one of `most` wait permits. Nodes that are known to be `dead` lose theirs first. A
    /// node that has a permit keeps it. A node that gets none is entered among those that rest.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn begin_wait(
        &self,
        partition: &Partition,
        node: &str,
        most: u16,
        dead: impl IntoIterator<Item = &str>,
    ) -> Result<WaitAnswer, Error> {
        let keys = self.keys(partition);
        let mut cmd = scripts::call(&scripts::WAIT_BEGIN, wait_keys(&keys));
        cmd.arg(node).arg(most).arg(clamped_millis(PERMIT)).arg(clamped_millis(REST));
        for name in dead.into_iter().take(MAX_DEAD) {
            cmd.arg(name);
        }
        let mut numbers = reply::array(self.command(&cmd).await?)?.into_iter();
        let permit = numbers.next().map(reply::int).transpose()? == Some(1);
        let mut depths = Depths::default();
        for (depth, number) in depths.iter_mut().zip(numbers) {
            *depth = u64::try_from(reply::int(number)?).unwrap_or(0);
        }
        Ok(WaitAnswer { permit, depths })
    }

    /// Gives up the permit of a node, if it has one. Wakes a node that rests for each job that
    /// waits, up to 8, and one more when fewer than `least` permits are in use. Returns how many
    /// nodes were woken.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn end_wait(
        &self,
        partition: &Partition,
        node: &str,
        least: u16,
    ) -> Result<usize, Error> {
        let keys = self.keys(partition);
        let mut cmd = scripts::call(&scripts::WAIT_END, wait_keys(&keys));
        // Subscribers of a cluster are connected to any of its servers, which count their own only.
        let counted = u8::from(self.inner.route.is_one());
        cmd.arg(node).arg(least).arg(MAX_WOKEN).arg(keys.wake("")).arg(counted);
        let woken = reply::int(self.command(&cmd).await?)?;
        Ok(usize::try_from(woken).unwrap_or(0))
    }
}

fn wait_keys(keys: &PartitionKeys) -> impl Iterator<Item = &str> {
    [&keys.waiting, &keys.resting].into_iter().chain(&keys.ready).map(String::as_str)
}

impl ClaimConnection {
    /// The longest time that [`ClaimConnection::wait`] waits for a job.
    pub const LONGEST_WAIT: Duration = BLOCK;
    /// How long a wait permit lasts that is not renewed.
    pub const PERMIT: Duration = PERMIT;

    /// Waits up to 5 s for a job in any of the lanes, and claims at most one from each. Renews the
    /// wait permit of the node before, if `renew` has the server's time. The caller must not drop
    /// the future before it ends: the server would still assign a job to this consumer, and the
    /// reply would be lost.
    ///
    /// # Errors
    /// As [`ClaimConnection::exchange`].
    pub async fn wait(
        &mut self,
        lanes: &[Lane],
        renew: Option<Timestamp>,
    ) -> Result<Waited, Error> {
        let cmd = self.read(lanes, 1, Some(BLOCK));
        let Some(now) = renew else {
            let connection = &mut self.connection.0;
            let reply = connection.req_packed_command(&cmd).await.and_then(reply::checked);
            let claimed = self.read_unmeasured(reply).await?;
            return Ok(Waited { claimed, permit_lost: false });
        };
        let mut pipe = redis::pipe();
        pipe.add_command(renewal(&self.keys, &self.consumer, now)).add_command(cmd);
        let [renewed, reply] = replies(self.send(&pipe).await?)?;
        let claimed = self.read_unmeasured(reply).await?;
        // A permit whose renewal fails counts as lost: it is asked for anew.
        Ok(Waited { claimed, permit_lost: !matches!(renewed, Ok(Value::Int(1))) })
    }

    /// Enters the node among those that rest, and claims at most one job from each of the lanes
    /// without waiting. `now` is the server's time.
    ///
    /// # Errors
    /// As [`ClaimConnection::exchange`].
    pub async fn visit(&mut self, lanes: &[Lane], now: Timestamp) -> Result<Visit, Error> {
        let mut pipe = redis::pipe();
        let [enter, holders] = visit(&self.keys, &self.consumer, now);
        pipe.add_command(enter).add_command(holders).add_command(self.read(lanes, 1, None));
        let [_, holders, reply] = replies(self.send(&pipe).await?)?;
        let claimed = self.read_unmeasured(reply).await?;
        let names = holders.map_err(|error| self.broker.classify(error))?;
        let holders = reply::array(names)?.into_iter().filter_map(|name| reply::text(name).ok());
        Ok(Visit { claimed, holders: holders.collect() })
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

/// Builds the commands of a node that rests: its entry among those that rest, and the names of the
/// nodes with a permit.
fn visit(keys: &PartitionKeys, node: &str, now: Timestamp) -> [Cmd; 2] {
    let end = now.millis().saturating_add(clamped_millis(REST));
    let mut enter = scripts::write("ZADD", &keys.resting);
    enter.arg(end).arg(node);
    let mut holders = redis::cmd("ZRANGEBYSCORE");
    holders.arg(&keys.waiting).arg(now.millis()).arg("+inf").arg("LIMIT").arg(0).arg(100);
    [enter, holders]
}

fn replies<const N: usize>(replies: Replies) -> Result<[RedisResult<Value>; N], Error> {
    replies.try_into().map_err(|_| Error::protocol("the reply to a pipeline has another length"))
}
