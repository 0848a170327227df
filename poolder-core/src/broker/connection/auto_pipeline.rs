//! Joins commands that callers send at about the same time into pipelines. A pipeline costs the
//! callers and the server less than one message per command. No command waits for the reply to an
//! earlier one.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::join_all;
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{Arg, Cmd, RedisError, RedisResult, Value};
use tokio::sync::oneshot;

use crate::broker::connection::joined::JoinedCalls;
use crate::broker::connection::reply;

/// The maximum number of commands in a pipeline.
const MAX_COMMANDS: usize = 256;
/// The approximate maximum size of a pipeline in bytes. A larger single command is still sent.
const MAX_BYTES: usize = 1 << 20;

/// The commands for the next pipeline of a connection, in order. Each caller waits for its reply,
/// so that the number of callers bounds the number of commands.
#[derive(Clone, Default)]
pub(in crate::broker) struct AutoPipeline {
    waiting: Arc<Mutex<Vec<Waiter>>>,
    /// The number of callers that wait for a reply.
    callers: Arc<AtomicU32>,
}

/// A command, and the sender of its reply to the waiting caller.
struct Waiter {
    cmd: Cmd,
    reply: oneshot::Sender<RedisResult<Value>>,
}

impl AutoPipeline {
    /// Sends a command: at once when no other caller waits for a reply, else in a pipeline with
    /// the commands of other callers.
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
        if self.push_waiter(Waiter { cmd: cmd.clone(), reply }) {
            // A separate task, since the future of the caller may be dropped. The task ends once
            // all replies have arrived.
            let task = PipelineTask { auto_pipeline: self.clone(), taken: false };
            tokio::spawn(task.run(connection));
        }
        answer.await.unwrap_or_else(|_| {
            let text = "the runtime shut down before a command was answered";
            Err(RedisError::from(std::io::Error::other(text)))
        })
    }

    /// Queues a command. Returns whether it is the first, so that the caller must start a task that
    /// sends the queue.
    fn push_waiter(&self, waiter: Waiter) -> bool {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.push(waiter);
        waiting.len() == 1
    }

    fn take(&self) -> Vec<Waiter> {
        std::mem::take(&mut self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Counts a caller that waits for a reply, until the value is dropped.
struct Caller<'a> {
    callers: &'a AtomicU32,
    /// The number of callers that were waiting already.
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

/// Sends the queued commands.
struct PipelineTask {
    auto_pipeline: AutoPipeline,
    taken: bool,
}

impl PipelineTask {
    async fn run(mut self, connection: MultiplexedConnection) {
        // Callers that are about to send join this pipeline.
        tokio::task::yield_now().await;
        // A command whose caller has given up is not sent.
        let taken =
            self.auto_pipeline.take().into_iter().filter(|waiter| !waiter.reply.is_closed());
        self.taken = true;
        let (mut waiters, mut parts) = (taken.peekable(), vec![]);
        while waiters.peek().is_some() {
            let (mut calls, mut replies, mut bytes) = (JoinedCalls::default(), vec![], 0);
            while let Some(waiter) =
                waiters.next_if(|_| replies.len() < MAX_COMMANDS && bytes < MAX_BYTES)
            {
                bytes += size(&waiter.cmd);
                calls.add(waiter.cmd);
                replies.push(waiter.reply);
            }
            parts.push(send(connection.clone(), calls, replies));
        }
        // The pipelines are written to the connection in this order.
        join_all(parts).await;
    }
}

impl Drop for PipelineTask {
    /// Drops the queued commands when the runtime drops the task before the task has begun: the
    /// callers then get an error.
    fn drop(&mut self) {
        if !self.taken {
            self.auto_pipeline.take();
        }
    }
}

async fn send(
    mut connection: MultiplexedConnection,
    mut calls: JoinedCalls,
    replies: Vec<oneshot::Sender<RedisResult<Value>>>,
) {
    let mut pipe = redis::pipe();
    calls.commands.drain(..).for_each(|cmd| _ = pipe.add_command(cmd));
    // The reply of a caller that no longer waits is dropped.
    match connection.req_packed_commands(&pipe, 0, pipe.len()).await {
        Ok(values) => {
            let values = calls.split(values.into_iter().map(reply::checked).collect());
            for (reply, value) in replies.into_iter().zip(values) {
                let _ = reply.send(value);
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
