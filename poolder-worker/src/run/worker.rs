//! The user's code for one type of job.

use std::future::Future;

use poolder_core::{BoxError, Job, Outcome, Verdict};

use super::context::Context;
use super::state::StateType;

/// The result of a handler. Its error is any error that can be boxed.
pub type Result<T, E = BoxError> = std::result::Result<T, E>;

/// Runs jobs of one type. Each slot owns a clone and gives it one job at a time, so that state
/// needs no lock; after a panic, a timeout and an interruption the slot gets a fresh clone. When
/// `Clone` itself panics then, the slot goes on with the old one.
///
/// A panic of any of these functions, of a future that they return, or of a value that is dropped,
/// fails the attempt or is logged; it ends no slot. A callback that does not return is given up
/// after 30 seconds.
///
/// ```
/// use poolder_worker::{Context, Result, Worker};
/// use poolder_core::{Job, Outcome};
/// # #[derive(serde::Serialize, serde::Deserialize)]
/// # struct Welcome { user: u64 }
/// # impl Job for Welcome { const KINDS: &'static [&'static str] = &["welcome"]; }
///
/// #[derive(Clone, Default)]
/// struct Mailer { sent: u64 }
///
/// impl Worker for Mailer {
///     type Job = Welcome;
///
///     async fn handle_job(&mut self, job: Welcome, cx: Context) -> Result<Outcome> {
///         self.sent += 1;
///         println!("welcome {} (attempt {})", job.user, cx.attempt());
///         Ok(Outcome::Done)
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a worker",
    label = "not a worker",
    note = "a worker is a type with `impl Worker for …`; a function becomes one by `worker_fn(…)`"
)]
pub trait Worker: Clone + Send + 'static {
    /// The type of job.
    type Job: Job;

    /// The names of the callbacks that the worker's outcomes use. A pool that has not registered
    /// one of them does not start. Default: none; an outcome with a name that is not registered
    /// fails the attempt.
    const CALLBACKS: &'static [&'static str] = &[];

    /// The types of shared state that the worker reads with [`Context::state`], each as
    /// [`StateType::of`]. A node with a pool that has none of one of them, neither of its own nor
    /// by the node, does not start. Default: none; a state that is missing is an error when the
    /// worker reads it.
    const STATES: &'static [StateType] = &[];

    /// Opens the resources of the slot, before its first job, after hibernation and after a panic.
    /// When it fails, or does not return within 5 minutes, the slot logs the error and tries again,
    /// later each time, up to half a minute.
    fn handle_init(&mut self) -> impl Future<Output = Result<()>> + Send {
        async { Ok(()) }
    }

    /// Is called once, on a separate clone, when all slots of the pool are ready. Jobs do not wait
    /// for it.
    fn handle_pool_ready(&mut self) -> impl Future<Output = ()> + Send {
        async {}
    }

    /// Does the work. A job may run more than once: make the work safe to repeat.
    fn handle_job(
        &mut self,
        job: Self::Job,
        cx: Context,
    ) -> impl Future<Output = Result<Outcome>> + Send;

    /// Does the work of a call, for whose reply a caller waits: return [`Outcome::result`].
    /// Default: [`Worker::handle_job`].
    fn handle_call(
        &mut self,
        job: Self::Job,
        cx: Context,
    ) -> impl Future<Output = Result<Outcome>> + Send {
        self.handle_job(job, cx)
    }

    /// Returns what happens to the job of a failed attempt. Default: as the job's policy says. A
    /// timeout and a panic come as a [`Failure`](poolder_core::Failure).
    fn handle_error(
        &mut self,
        job: Self::Job,
        cx: Context,
        error: &BoxError,
    ) -> impl Future<Output = Verdict> + Send {
        let _ = (job, cx, error);
        async { Verdict::Policy }
    }

    /// Is called when the slot has had no job for the pool's `hibernate_after`. The slot then drops
    /// `self`; its next job runs on a fresh clone, after [`Worker::handle_init`]. A job that arrives
    /// meanwhile waits for this callback for at most a second.
    fn handle_hibernate(&mut self) -> impl Future<Output = ()> + Send {
        async {}
    }

    /// Closes the resources of the slot when it stops, when it moves to another process, or when
    /// the node shuts down.
    fn handle_stop(&mut self) -> impl Future<Output = ()> + Send {
        async {}
    }
}
