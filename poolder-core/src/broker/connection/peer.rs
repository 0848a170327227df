//! [`Peer`]: a server, and the connections of one runtime to it.

use std::sync::Arc;
use std::time::Duration;

use deadpool_redis::PoolError;
use redis::{Cmd, ErrorKind, Pipeline, RedisError, RedisResult, Value};

use crate::broker::connection::config::Config;
use crate::broker::connection::failure::unsent;
use crate::broker::connection::limit::Limit;
use crate::broker::connection::request::Replies;
use crate::broker::connection::shared::SharedConnection;

/// A server, and the connections to it.
pub(crate) struct Peer {
    pub(crate) client: redis::Client,
    pub(crate) link: Arc<SharedConnection>,
    /// Connections for commands that need one for themselves: long reads, administration, durable
    /// enqueues.
    pool: deadpool_redis::Pool,
}

impl Peer {
    pub(crate) fn new(info: redis::ConnectionInfo, config: &Config) -> RedisResult<Self> {
        let client = redis::Client::open(info.clone())?;
        // A long read of a large queue may take longer than a hot command.
        let settings =
            config.connection_waiting(config.longest_reply().max(Duration::from_secs(10)));
        let manager = deadpool_redis::Manager::new_with_config(info, settings)?;
        let wait = Some(Duration::from_secs(5));
        let pool = deadpool_redis::Pool::builder(manager)
            .max_size(16)
            .wait_timeout(wait)
            .create_timeout(wait)
            .recycle_timeout(wait)
            .runtime(deadpool_redis::Runtime::Tokio1)
            .build()
            .map_err(|error| (ErrorKind::InvalidClientConfig, "pool", error.to_string()))?;
        let link = Arc::new(SharedConnection::new(client.clone(), config));
        Ok(Self { client, link, pool })
    }

    /// Takes a connection from the pool. The pool tests a returned connection before its next use
    /// and closes a broken one.
    ///
    /// # Errors
    /// Nothing was sent.
    pub(crate) async fn alone(&self, limit: Limit) -> RedisResult<deadpool_redis::Connection> {
        if let Some(error) = self.link.known_to_be_down() {
            return Err(error);
        }
        let taken = async {
            self.pool.get().await.map_err(|error| match error {
                PoolError::Backend(error) => error,
                other => std::io::Error::other(format!("no free connection: {other}")).into(),
            })
        };
        limit.bound(taken).await.map_err(unsent)
    }

    /// Sends a command on the shared connection.
    pub(crate) async fn command(&self, cmd: &Cmd, limit: Limit) -> RedisResult<Value> {
        self.link.command(cmd, limit).await
    }

    /// Sends commands in one pipeline on the shared connection.
    pub(crate) async fn pipeline(&self, pipe: &Pipeline, limit: Limit) -> RedisResult<Replies> {
        self.link.pipeline(pipe, limit).await
    }
}

/// Returns whether a reply to a request was lost. Its connection is not used again: a late reply
/// has no receiver.
pub(in crate::broker) fn is_lost(sent: &RedisResult<Replies>) -> bool {
    let is_lost = |reply: &RedisResult<Value>| reply.as_ref().is_err_and(RedisError::is_io_error);
    sent.as_ref().map_or(true, |replies| replies.iter().any(is_lost))
}
