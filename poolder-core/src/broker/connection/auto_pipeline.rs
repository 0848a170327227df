//! Commands that many callers give at about the same time, sent as one pipeline: that costs them
//! and the server less than a message each does. None waits for the reply to an earlier one.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::join_all;
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{Arg, Cmd, Pipeline, RedisError, RedisResult, Value};
use tokio::sync::oneshot;

use crate::broker::connection::reply;

/// A pipeline has at most this many commands …
const MOST: usize = 256;
/// … and about this many bytes, but always at least one command.
const BYTES: usize = 1 << 20;

/// What gathers for the next pipeline of a connection, in order. It is bounded by the callers,
/// each of which waits for its reply.
#[derive(Clone, Default)]
pub(in crate::broker) struct AutoPipeline {
    waiting: Arc<Mutex<Vec<Waiter>>>,
    /// How many wait for the reply to a command.
    callers: Arc<AtomicU32>,
}

/// A command and who waits for its reply.
struct Waiter {
    cmd: Cmd,
    reply: oneshot::Sender<RedisResult<Value>>,
}

impl AutoPipeline {
    /// Sends a command: at once when nobody else waits, else together with those of others.
    pub(in crate::broker) async fn send(
        &self,
        mut connection: MultiplexedConnection,
        cmd: &Cmd,
    ) -> RedisResult<Value> {
        let caller = Caller::enter(&self.callers);
        if caller.before == 0 {
            return connection.req_packed_command(cmd).await.and_then(reply::checked);
        }
        let (reply, answer) = oneshot::channel();
        if self.put(Waiter { cmd: cmd.clone(), reply }) {
            // A task of its own, since the caller may be dropped. It ends by itself.
            let task = PipelineTask { auto_pipeline: self.clone(), taken: false };
            tokio::spawn(task.run(connection));
        }
        answer.await.unwrap_or_else(|_| {
            let text = "the runtime went down while a command was on its way";
            Err(RedisError::from(std::io::Error::other(text)))
        })
    }

    /// Lays a command down; true when somebody must be found to carry it.
    fn put(&self, waiter: Waiter) -> bool {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.push(waiter);
        waiting.len() == 1
    }

    fn take(&self) -> Vec<Waiter> {
        std::mem::take(&mut self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// One who waits for a reply, until it is dropped.
struct Caller<'a> {
    callers: &'a AtomicU32,
    /// How many did so before.
    before: u32,
}

impl<'a> Caller<'a> {
    fn enter(callers: &'a AtomicU32) -> Self {
        Self { callers, before: callers.fetch_add(1, Ordering::Relaxed) }
    }
}

impl Drop for Caller<'_> {
    fn drop(&mut self) {
        self.callers.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Carries away what has gathered.
struct PipelineTask {
    auto_pipeline: AutoPipeline,
    taken: bool,
}

impl PipelineTask {
    async fn run(mut self, connection: MultiplexedConnection) {
        // Those who send at this very moment come along.
        tokio::task::yield_now().await;
        // Who gave up before it was sent does not want it to be.
        let taken =
            self.auto_pipeline.take().into_iter().filter(|waiter| !waiter.reply.is_closed());
        self.taken = true;
        let (mut waiters, mut parts) = (taken.peekable(), vec![]);
        while waiters.peek().is_some() {
            let (mut pipe, mut replies, mut bytes) = (redis::pipe(), vec![], 0);
            while let Some(waiter) = waiters.next_if(|_| replies.len() < MOST && bytes < BYTES) {
                bytes += size(&waiter.cmd);
                pipe.add_command(waiter.cmd);
                replies.push(waiter.reply);
            }
            parts.push(send(connection.clone(), pipe, replies));
        }
        // They go out in their order.
        join_all(parts).await;
    }
}

impl Drop for PipelineTask {
    /// Dropped before it began, with the runtime: who waits is told so.
    fn drop(&mut self) {
        if !self.taken {
            self.auto_pipeline.take();
        }
    }
}

async fn send(
    mut connection: MultiplexedConnection,
    pipe: Pipeline,
    replies: Vec<oneshot::Sender<RedisResult<Value>>>,
) {
    // Who no longer waits is not told.
    match connection.req_packed_commands(&pipe, 0, pipe.len()).await {
        Ok(values) => {
            for (reply, value) in replies.into_iter().zip(values) {
                let _ = reply.send(reply::checked(value));
            }
        }
        Err(error) => {
            for reply in replies {
                let _ = reply.send(Err(error.clone()));
            }
        }
    }
}

fn size(cmd: &Cmd) -> usize {
    let bytes = |arg| if let Arg::Simple(bytes) = arg { <[u8]>::len(bytes) } else { 0 };
    cmd.args_iter().map(bytes).sum()
}
