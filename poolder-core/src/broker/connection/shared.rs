//! The connection that all hot commands of a process share. It is replaced when it is broken.
//!
//! One multiplexed connection serves sixty-four callers three times as fast as a pool does.
//! Commands that block or need a connection for themselves use other connections.

use std::sync::RwLock;
use std::sync::atomic::{AtomicU32, Ordering};

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{Cmd, Pipeline, RedisError, RedisResult, Value};
use tokio::sync::Mutex;

use crate::broker::connection::auto_pipeline::AutoPipeline;
use crate::broker::connection::config::Config;
use crate::broker::connection::failure::{spoils_connection, unsent};
use crate::broker::connection::open::{explained, open};
use crate::broker::connection::request::{Replies, Request, is_noscript, only};
use crate::broker::scripts;

/// The number of timeouts in a row after which the connection is replaced, since it may be half
/// open.
const MAX_TIMEOUTS: u32 = 2;

pub(crate) struct SharedConnection {
    client: redis::Client,
    settings: redis::AsyncConnectionConfig,
    current: RwLock<Option<Current>>,
    opening: Mutex<()>,
    timeouts: AtomicU32,
}

#[derive(Clone)]
struct Current {
    generation: u64,
    connection: MultiplexedConnection,
    /// The commands to be sent on this connection.
    auto_pipeline: AutoPipeline,
}

impl SharedConnection {
    pub(crate) fn new(client: redis::Client, config: &Config) -> Self {
        Self {
            client,
            settings: config.connection(),
            current: RwLock::new(None),
            opening: Mutex::new(()),
            timeouts: AtomicU32::new(0),
        }
    }

    /// Sends one command.
    pub(crate) async fn command(&self, cmd: &Cmd) -> RedisResult<Value> {
        let current = self.current().await?;
        let reply = current.auto_pipeline.send(current.connection, cmd).await;
        self.update_health(current.generation, reply.as_ref().err());
        match reply {
            // The server did not execute the command. Boxed, so that the future of the usual case
            // stays small.
            Err(error) if is_noscript(&error) => Box::pin(self.alone(cmd, false)).await,
            reply => reply,
        }
    }

    /// Sends a pipeline. Returns a value or an error per command.
    pub(crate) async fn pipeline(&self, pipe: &Pipeline) -> RedisResult<Replies> {
        self.request(Request::new(pipe)).await
    }

    /// Sends a command to the server that its slot is moving to.
    pub(crate) async fn asking(&self, cmd: &Cmd) -> RedisResult<Value> {
        self.alone(cmd, true).await
    }

    async fn alone(&self, cmd: &Cmd, asking: bool) -> RedisResult<Value> {
        let mut pipe = redis::pipe();
        pipe.add_command(cmd.clone());
        only(self.request(Request::new(&pipe).asking(asking)).await)
    }

    async fn request(&self, request: Request<'_>) -> RedisResult<Replies> {
        let mut current = self.current().await?;
        let replies = request.send(&mut current.connection).await;
        let error = match &replies {
            Err(error) => Some(error),
            Ok(replies) => replies.iter().find_map(|reply| reply.as_ref().err()),
        };
        self.update_health(current.generation, error);
        replies
    }

    async fn current(&self) -> RedisResult<Current> {
        if let Some(current) = self.peek() {
            return Ok(current);
        }
        let _one_at_a_time = self.opening.lock().await;
        if let Some(current) = self.peek() {
            return Ok(current);
        }
        let mut connection = open(&self.client, &self.settings).await.map_err(unsent)?;
        let load = scripts::load_all();
        if let Err(error) = connection.req_packed_commands(&load, 0, load.len()).await {
            return Err(unsent(explained(&self.client, error).await));
        }
        let mut slot = self.current.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        let current = Current {
            generation: next_generation(),
            connection,
            auto_pipeline: AutoPipeline::default(),
        };
        *slot = Some(current.clone());
        self.timeouts.store(0, Ordering::Relaxed);
        Ok(current)
    }

    fn peek(&self) -> Option<Current> {
        self.current.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// Drops the current connection when the reply shows that it is broken: after an error that
    /// spoils it, or after [`MAX_TIMEOUTS`] timeouts in a row.
    fn update_health(&self, generation: u64, error: Option<&RedisError>) {
        let Some(error) = error else {
            self.timeouts.store(0, Ordering::Relaxed);
            return;
        };
        let stuck = error.is_timeout()
            && self.timeouts.fetch_add(1, Ordering::Relaxed).saturating_add(1) >= MAX_TIMEOUTS;
        if stuck || spoils_connection(error) {
            let mut slot = self.current.write().unwrap_or_else(std::sync::PoisonError::into_inner);
            if slot.as_ref().is_some_and(|current| current.generation == generation) {
                *slot = None;
            }
        }
    }
}

impl std::fmt::Debug for SharedConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharedConnection")
            .field("open", &self.peek().is_some())
            .finish_non_exhaustive()
    }
}

fn next_generation() -> u64 {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
