//! [`Peer`]: a server, and the connections of one runtime to it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use deadpool_redis::{PoolError, TimeoutType, Timeouts};
use redis::aio::ConnectionLike;
use redis::{Arg, AsyncConnectionConfig, Cmd, ErrorKind, Pipeline, RedisError, RedisResult, Value};
use tokio::time::Instant;

use crate::broker::connection::config::Config;
use crate::broker::connection::failure::{TOO_LARGE, unsent};
use crate::broker::connection::limit::{Limit, timed_out};
use crate::broker::connection::open::Opener;
use crate::broker::connection::reply;
use crate::broker::connection::request::{Replies, Request, only};
use crate::broker::connection::shared::{SharedConnection, has_ended};

/// The maximum size of an argument on the shared connection, in bytes. A larger one delays the
/// commands of other callers, and a server whose limit it exceeds closes the connection, after
/// which the outcome of all commands on the connection is unknown.
const MAX_SHARED: usize = 1 << 18;
/// The time for which a caller waits for a free connection of the pool, and for one to answer.
const POOL_WAIT: Duration = Duration::from_secs(5);
/// A connection that was idle for longer is tested before its next use: routers forget connections
/// without closing them.
const TEST_AFTER: Duration = Duration::from_secs(5);
/// The lowest `proto-max-bulk-len` that a server accepts, in bytes.
const LOWEST_LIMIT: usize = 1 << 20;

/// A server, and the connections to it.
pub(crate) struct Peer {
    pub(crate) opener: Arc<Opener>,
    pub(crate) link: Arc<SharedConnection>,
    /// Connections for commands that need one for themselves: long reads, administration, durable
    /// enqueues, large arguments.
    pool: deadpool_redis::Pool,
    /// The connection that [`Peer::keep`] was given last, and when.
    kept: Mutex<Option<(deadpool_redis::Connection, Instant)>>,
}

impl Peer {
    pub(crate) fn new(info: redis::ConnectionInfo, config: &Config) -> RedisResult<Self> {
        let client = redis::Client::open(info.clone())?;
        // A long read of a large queue may take longer than a hot command.
        let longest = config.longest_reply().max(Duration::from_secs(10));
        // The time limit for connecting is one of the pool.
        let settings = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(Some(longest));
        let manager = deadpool_redis::Manager::new_with_config(info, settings)?;
        let pool = deadpool_redis::Pool::builder(manager)
            .max_size(16)
            .runtime(deadpool_redis::Runtime::Tokio1)
            .build()
            .map_err(|error| (ErrorKind::InvalidClientConfig, "pool", error.to_string()))?;
        let opener = Arc::new(Opener::new(client, config));
        let link = Arc::new(SharedConnection::new(Arc::clone(&opener), config.longest_reply()));
        Ok(Self { opener, link, pool, kept: Mutex::new(None) })
    }

    /// Takes a connection from the pool. The pool tests a returned connection before its next use
    /// and closes a broken one. One that was [kept](Self::keep) a moment ago is not tested.
    ///
    /// # Errors
    /// Nothing was sent.
    pub(crate) async fn alone(&self, limit: &mut Limit) -> RedisResult<deadpool_redis::Connection> {
        if let Some(error) = self.link.known_to_be_down() {
            return Err(error);
        }
        if let Some(connection) = self.kept().await {
            return Ok(connection);
        }
        let (create, wait) = (self.opener.connect_limit(), Some(POOL_WAIT));
        let timeouts = Timeouts { wait, create: Some(create), recycle: wait };
        let taken = async {
            self.pool.timeout_get(&timeouts).await.map_err(|error| match error {
                PoolError::Backend(error) => error,
                PoolError::Timeout(TimeoutType::Create) => timed_out(),
                other => std::io::Error::other(format!("no free connection: {other}")).into(),
            })
        };
        let taken = limit.bound(taken).await;
        match taken {
            // A new connection was introduced, and one from the pool has answered a `PING`.
            Ok(connection) => {
                limit.answered(Instant::now());
                Ok(connection)
            }
            Err(error) => {
                self.opener.failed(&error);
                Err(unsent(error))
            }
        }
    }

    /// Takes back a connection on which the server has just answered. A caller that comes within
    /// 5 s gets it as it is: the test of the pool takes two commands.
    pub(crate) fn keep(&self, connection: deadpool_redis::Connection) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        *kept = Some((connection, Instant::now()));
    }

    /// Takes the connection that was kept, unless it needs a test: then the pool gets it.
    async fn kept(&self) -> Option<deadpool_redis::Connection> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (connection, since) = kept?;
        // The task of the connection reads the end of the connection, if it has come.
        tokio::task::yield_now().await;
        (since.elapsed() <= TEST_AFTER && !has_ended(&connection)).then_some(connection)
    }

    /// Sends a command: on the shared connection unless it is large.
    pub(crate) async fn command(&self, cmd: &Cmd, limit: &mut Limit) -> RedisResult<Value> {
        if is_large(cmd) {
            let mut pipe = redis::pipe();
            pipe.add_command(cmd.clone());
            // Boxed, so that the future of the usual case stays small.
            return only(Box::pin(self.pipeline_alone(&pipe, limit)).await);
        }
        self.link.command(cmd, limit).await
    }

    /// Sends commands in one pipeline: on the shared connection unless one of them is large.
    pub(crate) async fn pipeline(
        &self,
        pipe: &Pipeline,
        limit: &mut Limit,
    ) -> RedisResult<Replies> {
        if pipe.cmd_iter().any(is_large) {
            return Box::pin(self.pipeline_alone(pipe, limit)).await;
        }
        self.link.pipeline(pipe, limit).await
    }

    async fn pipeline_alone(&self, pipe: &Pipeline, limit: &mut Limit) -> RedisResult<Replies> {
        let mut connection = self.alone(limit).await?;
        let largest = pipe.cmd_iter().flat_map(Cmd::args_iter).map(|arg| size(&arg)).max();
        let largest = largest.unwrap_or(0);
        if largest >= LOWEST_LIMIT {
            limit.bound(check_size(&mut connection, largest)).await.map_err(unsent)?;
        }
        let sent = Request::new(pipe).send_within(limit, &mut connection).await;
        if is_lost(&sent) {
            drop(deadpool_redis::Connection::take(connection));
        }
        sent
    }
}

/// Returns whether a reply to a request was lost. Its connection is not used again: a late reply
/// has no receiver.
pub(in crate::broker) fn is_lost(sent: &RedisResult<Replies>) -> bool {
    let is_lost = |reply: &RedisResult<Value>| reply.as_ref().is_err_and(RedisError::is_io_error);
    sent.as_ref().map_or(true, |replies| replies.iter().any(is_lost))
}

/// Returns an error if the server takes no argument of this size. A server that does not tell its
/// limit, as access rules may forbid, is asked by the command itself.
async fn check_size(connection: &mut impl ConnectionLike, size: usize) -> RedisResult<()> {
    let mut cmd = redis::cmd("CONFIG");
    cmd.arg("GET").arg("proto-max-bulk-len");
    let value = reply::checked(connection.req_packed_command(&cmd).await?);
    let limit = value.ok().and_then(|value| reply::items::<2>(value).ok());
    let limit = limit.and_then(|[_, limit]| reply::int(limit).ok());
    match limit.and_then(|limit| usize::try_from(limit).ok()) {
        Some(limit) if size > limit => {
            let text = format!("{size} bytes, and proto-max-bulk-len is {limit}");
            Err((ErrorKind::Client, TOO_LARGE, text).into())
        }
        _ => Ok(()),
    }
}

fn is_large(cmd: &Cmd) -> bool {
    cmd.args_iter().any(|arg| size(&arg) > MAX_SHARED)
}

fn size(arg: &Arg<&[u8]>) -> usize {
    match arg {
        Arg::Simple(bytes) => bytes.len(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_large_by_its_largest_argument() {
        let with = |sizes: &[usize]| {
            let mut cmd = redis::cmd("XADD");
            sizes.iter().for_each(|size| {
                cmd.arg(vec![0_u8; *size]);
            });
            cmd
        };
        assert!(!is_large(&with(&[])) && !is_large(&with(&[MAX_SHARED; 5])));
        assert!(is_large(&with(&[1, MAX_SHARED + 1])));
    }
}
