//! Workers that are functions.

use std::future::{Future, ready};
use std::marker::PhantomData;

use futures_util::FutureExt;
use futures_util::future::Either;
use poolder_core::{BoxError, Job, Outcome, Verdict};

use super::context::Context;
use super::error_handler::{Decide, ErrorHandler};
use super::handler::{Handler, HandlerFuture};
use super::into_outcome::IntoOutcome;
use super::state::StateType;
use super::worker::{Result, Worker};

/// A worker that is a function: see [`worker_fn`].
pub struct WorkerFn<H, J, Args> {
    handler: H,
    on_error: Option<Decide<J>>,
    args: PhantomData<fn(Args)>,
}

/// Makes a worker of an async function or closure from a job to the end of the attempt.
///
/// The function takes the job, after it the [`Context`] if it needs it, and before it up to four
/// [`State`](crate::State)s of the pool or node. It returns nothing or an [`Outcome`], a
/// [`Return`](crate::Return) with a result to keep, or a `Result` of one of them with any error
/// that can be boxed: an [`Into`] of [`BoxError`].
///
/// ```
/// use poolder_worker::{Context, Pool, State, worker_fn};
/// # use poolder_core::{Job, Outcome};
/// # #[derive(serde::Serialize, serde::Deserialize)]
/// # struct Welcome { user: u64 }
/// # impl Job for Welcome { const KINDS: &'static [&'static str] = &["welcome"]; }
/// # #[derive(serde::Serialize, serde::Deserialize)]
/// # struct Remind { user: u64 }
/// # impl Job for Remind { const KINDS: &'static [&'static str] = &["remind"]; }
/// # #[derive(Clone)]
/// # struct Mailer;
/// # impl Mailer { async fn send(&self, _user: u64) -> Result<(), std::io::Error> { Ok(()) } }
///
/// async fn welcome(
///     State(mailer): State<Mailer>,
///     job: Welcome,
///     cx: Context,
/// ) -> Result<(), std::io::Error> {
///     println!("attempt {}", cx.attempt());
///     mailer.send(job.user).await
/// }
///
/// let pool = Pool::new("mail")
///     .state(Mailer)
///     .worker(worker_fn(welcome))
///     .worker(worker_fn(|job: Remind| async move { println!("reminding {}", job.user) }));
/// # let _ = pool;
/// ```
pub fn worker_fn<H, J, Args>(handler: H) -> WorkerFn<H, J, Args>
where
    H: Handler<J, Args> + Clone + Send + 'static,
    J: Job,
    H::Future: HandlerFuture<Returned: IntoOutcome> + Send,
{
    WorkerFn { handler, on_error: None, args: PhantomData }
}

impl<H, J, Args> WorkerFn<H, J, Args> {
    /// Sets the function that decides what happens to the job of a failed attempt, as
    /// [`Worker::handle_error`] does: a closure that returns a [`Verdict`], or an async function.
    /// A timeout and a panic come as a [`Failure`](poolder_core::Failure). It reaches shared state
    /// by [`Context::state`].
    ///
    /// ```
    /// use poolder_worker::{Context, worker_fn};
    /// # use poolder_core::{BoxError, Job, Verdict};
    /// # #[derive(serde::Serialize, serde::Deserialize)]
    /// # struct Welcome { user: u64 }
    /// # impl Job for Welcome { const KINDS: &'static [&'static str] = &["welcome"]; }
    ///
    /// async fn welcome(_job: Welcome) -> Result<(), std::io::Error> { Ok(()) }
    ///
    /// let worker = worker_fn(welcome).on_error(|_: Welcome, _: Context, error: &BoxError| {
    ///     match error.downcast_ref::<std::io::Error>() {
    ///         Some(io) if io.kind() == std::io::ErrorKind::NotFound => Verdict::Halt,
    ///         _ => Verdict::Policy,
    ///     }
    /// });
    /// # let _ = worker;
    /// ```
    #[must_use]
    pub fn on_error<F, Returned>(mut self, decide: F) -> Self
    where
        F: ErrorHandler<J, Returned>,
    {
        self.on_error = Some(decide.erased());
        self
    }
}

impl<H, J, Args> Worker for WorkerFn<H, J, Args>
where
    H: Handler<J, Args> + Clone + Send + 'static,
    J: Job,
    H::Future: HandlerFuture<Returned: IntoOutcome> + Send,
    Args: 'static,
{
    type Job = J;

    const STATES: &'static [StateType] = H::STATES;

    fn handle_job(&mut self, job: J, cx: Context) -> impl Future<Output = Result<Outcome>> + Send {
        match self.handler.call(job, cx) {
            Ok(running) => Either::Left(running.map(IntoOutcome::into_outcome)),
            Err(error) => Either::Right(ready(Err(error.into()))),
        }
    }

    async fn handle_error(&mut self, job: J, cx: Context, error: &BoxError) -> Verdict {
        match &self.on_error {
            Some(on_error) => on_error(job, cx, error).await,
            None => Verdict::Policy,
        }
    }
}

impl<H: Clone, J, Args> Clone for WorkerFn<H, J, Args> {
    fn clone(&self) -> Self {
        Self { handler: self.handler.clone(), on_error: self.on_error.clone(), args: PhantomData }
    }
}

impl<H, J, Args> std::fmt::Debug for WorkerFn<H, J, Args> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WorkerFn")
    }
}
