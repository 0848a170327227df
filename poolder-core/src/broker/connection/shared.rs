//! The connection that all hot commands of a process share. It is replaced when it is broken.
//!
//! One multiplexed connection serves sixty-four callers three times as fast as a pool does.
//! Commands that block or need a connection for themselves use other connections.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures_util::FutureExt;
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{Cmd, Pipeline, RedisError, RedisResult, Value};
use tokio::time::{Instant, timeout};

use crate::broker::connection::auto_pipeline::AutoPipeline;
use crate::broker::connection::failure::{spoils_connection, unsent};
use crate::broker::connection::limit::Limit;
use crate::broker::connection::open::{Opener, explained};
use crate::broker::connection::opening::{Access, AttemptSender, Opening, OpeningAttempt};
use crate::broker::connection::request::{Replies, Request, is_noscript, only};
use crate::broker::scripts;

/// The number of timeouts in a row after which the connection is replaced, since it may be half
/// open.
const MAX_TIMEOUTS: u32 = 2;
/// A connection that was idle for longer is checked before it is used: its end may have come since.
/// Callers under load never wait this long for each other.
const CHECK_AFTER: Duration = Duration::from_millis(2);
/// The least time after which a new connection is opened beside one whose `PING` is not answered
/// yet.
const PING_PATIENCE: Duration = Duration::from_millis(250);

/// The connection of one runtime to one server.
pub(crate) struct SharedConnection {
    opener: Arc<Opener>,
    /// The time limit of a reply.
    longest_reply: Duration,
    state: RwLock<Opening<Current>>,
    timeouts: AtomicU32,
    created: Instant,
    /// The time at which the connection was last used, in microseconds after `created`.
    used: AtomicU64,
    /// The number of callers that are about to check the connection. Later callers do not overtake
    /// them.
    checking: AtomicU32,
    /// Held by the caller that checks the connection.
    check: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
struct Current {
    generation: u64,
    connection: MultiplexedConnection,
    /// The commands to be sent on this connection.
    auto_pipeline: AutoPipeline,
}

impl SharedConnection {
    pub(crate) fn new(opener: Arc<Opener>, longest_reply: Duration) -> Self {
        Self {
            opener,
            longest_reply,
            state: RwLock::new(Opening::Closed),
            timeouts: AtomicU32::new(0),
            created: Instant::now(),
            used: AtomicU64::new(0),
            checking: AtomicU32::new(0),
            check: tokio::sync::Mutex::default(),
        }
    }

    /// Sends one command.
    pub(crate) async fn command(
        self: &Arc<Self>,
        cmd: &Cmd,
        limit: &mut Limit,
    ) -> RedisResult<Value> {
        let (reply, generation) = match self.in_use(limit.now()) {
            // The usual case. The time limit of the connection is that of the operation.
            Some(current) if limit.is_first_step() => {
                (current.auto_pipeline.send(current.connection, cmd).await, current.generation)
            }
            // Boxed, so that the future of the usual case stays small.
            _ => Box::pin(self.command_bound(cmd, limit)).await?,
        };
        self.update_health(generation, reply.as_ref().err());
        match reply {
            // The server did not execute the command.
            Err(error) if is_noscript(&error) => {
                limit.answered(Instant::now());
                Box::pin(self.alone(cmd, false, limit)).await
            }
            reply => reply,
        }
    }

    /// Sends one command, on a connection that may have to be opened first. Returns an error when
    /// nothing was sent, else the reply and the connection's generation.
    async fn command_bound(
        self: &Arc<Self>,
        cmd: &Cmd,
        limit: &mut Limit,
    ) -> RedisResult<(RedisResult<Value>, u64)> {
        let current = self.ready(limit).await?;
        let reply = limit.bound(current.auto_pipeline.send(current.connection, cmd)).await;
        Ok((reply, current.generation))
    }

    /// Sends a pipeline. Returns a value or an error per command.
    pub(crate) async fn pipeline(
        self: &Arc<Self>,
        pipe: &Pipeline,
        limit: &mut Limit,
    ) -> RedisResult<Replies> {
        self.request(Request::new(pipe), limit).await
    }

    /// Sends a command to the server that its slot is moving to.
    pub(crate) async fn asking(
        self: &Arc<Self>,
        cmd: &Cmd,
        limit: &mut Limit,
    ) -> RedisResult<Value> {
        self.alone(cmd, true, limit).await
    }

    async fn alone(
        self: &Arc<Self>,
        cmd: &Cmd,
        asking: bool,
        limit: &mut Limit,
    ) -> RedisResult<Value> {
        let mut pipe = redis::pipe();
        pipe.add_command(cmd.clone());
        only(self.request(Request::new(&pipe).asking(asking), limit).await)
    }

    async fn request(
        self: &Arc<Self>,
        request: Request<'_>,
        limit: &mut Limit,
    ) -> RedisResult<Replies> {
        let mut current = match self.in_use(limit.now()) {
            Some(current) => current,
            None => self.ready(limit).await?,
        };
        let replies = request.send_within(limit, &mut current.connection).await;
        let error = match &replies {
            Err(error) => Some(error),
            Ok(replies) => replies.iter().find_map(|reply| reply.as_ref().err()),
        };
        self.update_health(current.generation, error);
        replies
    }

    /// Returns the connection if it was in use until now, so that it needs no check.
    fn in_use(&self, now: Instant) -> Option<Current> {
        if self.idle(now) > CHECK_AFTER || self.checking.load(Ordering::Relaxed) > 0 {
            return None;
        }
        match &*self.state.read().unwrap_or_else(PoisonError::into_inner) {
            Opening::Open(current) => {
                self.note_use(now);
                Some(current.clone())
            }
            _ => None,
        }
    }

    fn idle(&self, now: Instant) -> Duration {
        Duration::from_micros(self.micros(now).saturating_sub(self.used.load(Ordering::Relaxed)))
    }

    fn note_use(&self, now: Instant) {
        self.used.store(self.micros(now), Ordering::Relaxed);
    }

    /// Returns the microseconds since `created`.
    fn micros(&self, now: Instant) -> u64 {
        let since = now.duration_since(self.created);
        since.as_secs().saturating_mul(1_000_000).saturating_add(u64::from(since.subsec_micros()))
    }

    /// Returns the connection, checked or opened if need be.
    ///
    /// # Errors
    /// Nothing was sent.
    async fn ready(self: &Arc<Self>, limit: &mut Limit) -> RedisResult<Current> {
        let access = {
            let _checking = Checking::begin(&self.checking);
            // Callers go on in their order: Tokio wakes those that yield in the reverse order.
            let _check = self.check.lock().await;
            if self.idle(Instant::now()) > CHECK_AFTER {
                // The task of the connection reads the end of the connection, if it has come.
                tokio::task::yield_now().await;
            }
            self.access()?
        };
        match access {
            Ok(current) => Ok(current),
            Err(attempt) => attempt.outcome(limit).await,
        }
    }

    /// Returns the connection, or the attempt to wait for, which this method begins if need be.
    fn access(self: &Arc<Self>) -> RedisResult<Result<Current, OpeningAttempt<Current>>> {
        let now = Instant::now();
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        match state.access(now, self.idle(now), self.longest_reply, Current::is_closed) {
            Access::Use(current) => {
                self.note_use(now);
                Ok(Ok(current))
            }
            Access::Wait(attempt) => Ok(Err(attempt)),
            Access::Fail(error) => Err(error),
            Access::Begin(old) => {
                let (attempt, progress) = OpeningAttempt::begin(now);
                *state = Opening::Running(attempt.clone());
                // A separate task, since all callers wait for the outcome, and each may give up.
                tokio::spawn(Arc::clone(self).attempt(old, now, progress));
                Ok(Err(attempt))
            }
        }
    }

    /// Checks or opens the connection, and reports the outcome to the callers.
    async fn attempt(
        self: Arc<Self>,
        old: Option<Current>,
        since: Instant,
        progress: AttemptSender<Current>,
    ) {
        let renewed = match old {
            Some(old) => self.check(old, &progress).await,
            None => self.open(&progress).await,
        };
        let now = Instant::now();
        self.note_use(now);
        self.timeouts.store(0, Ordering::Relaxed);
        let after = Opening::after(&renewed, since, now);
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = after;
        progress.end(renewed);
    }

    /// Returns the connection if it answers, else a new one.
    async fn check(&self, old: Current, progress: &AttemptSender<Current>) -> RedisResult<Current> {
        let mut answer = std::pin::pin!(old.answers());
        let patience = self.opener.round_trip().unwrap_or_default().saturating_mul(2);
        match timeout(patience.max(PING_PATIENCE), &mut answer).await {
            Ok(true) => return Ok(old.clone()),
            Ok(false) => return self.open(progress).await,
            Err(_) => {}
        }
        tokio::select! {
            true = answer => Ok(old.clone()),
            opened = self.open(progress) => opened,
        }
    }

    /// Opens a connection and loads the scripts.
    async fn open(&self, progress: &AttemptSender<Current>) -> RedisResult<Current> {
        let opened = self.opener.open(self.longest_reply, || progress.answered()).await;
        let mut connection = opened.map_err(unsent)?;
        let load = scripts::load_all();
        match connection.req_packed_commands(&load, 0, load.len()).await {
            Ok(_) => Ok(Current::new(connection)),
            Err(error) => Err(unsent(explained(self.opener.client(), error).await)),
        }
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
            let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
            if matches!(&*state, Opening::Open(current) if current.generation == generation) {
                *state = Opening::Closed;
            }
        }
    }

    /// Returns the error of the last attempt while the server is known to be down.
    pub(crate) fn known_to_be_down(&self) -> Option<RedisError> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        match state.access(Instant::now(), Duration::ZERO, self.longest_reply, |_| false) {
            Access::Fail(error) => Some(error),
            _ => None,
        }
    }

    /// Returns whether the connection is open, or being opened. To be called within a runtime.
    pub(crate) fn is_alive(&self) -> bool {
        match &*self.state.read().unwrap_or_else(PoisonError::into_inner) {
            Opening::Open(current) => !current.is_closed(),
            Opening::Running(_) => true,
            Opening::Closed | Opening::Down { .. } => false,
        }
    }
}

/// Counts a caller that is about to check the connection, until the value is dropped.
struct Checking<'a>(&'a AtomicU32);

impl<'a> Checking<'a> {
    fn begin(count: &'a AtomicU32) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Checking<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Current {
    fn new(connection: MultiplexedConnection) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let generation = NEXT.fetch_add(1, Ordering::Relaxed);
        Self { generation, connection, auto_pipeline: AutoPipeline::default() }
    }

    fn is_closed(&self) -> bool {
        has_ended(&self.connection)
    }

    /// Returns whether the server answers on this connection.
    async fn answers(&self) -> bool {
        let mut connection = self.connection.clone();
        connection.send_packed_command(&redis::cmd("PING")).await.is_ok()
    }
}

/// Returns whether the end of the connection was noticed. A request to a connection that has ended
/// fails when it is first polled; one that is dropped then is not written.
pub(super) fn has_ended(connection: &MultiplexedConnection) -> bool {
    let (mut connection, ping) = (connection.clone(), redis::cmd("PING"));
    let polled = connection.send_packed_command(&ping).now_or_never();
    polled.is_some_and(|reply| reply.is_err())
}

impl std::fmt::Debug for SharedConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharedConnection").field("alive", &self.is_alive()).finish_non_exhaustive()
    }
}
