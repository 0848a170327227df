//! Middleware: functions that wrap every attempt of a pool or a node, and the chain that calls them.

use std::future::Future;
use std::sync::Arc;

use poolder_core::{Outcome, RawJob};

use super::context::Context;
use super::erased::{BoxFuture, DynWorker};
use super::worker::Result;

/// Wraps the attempts of a pool ([`Pool::middleware`](crate::Pool::middleware)) or of all pools of
/// a node ([`NodeBuilder::middleware`](crate::NodeBuilder::middleware)): logs, measures, guards. It
/// sees the job through the context: its kind, queue, headers, policy and failures before. The
/// middleware of the node is outside of that of the pool, and in each the first added is the
/// outermost.
///
/// ```
/// use poolder_worker::{Context, Middleware, Next, Result};
/// use poolder_core::Outcome;
///
/// struct Timing;
///
/// impl Middleware for Timing {
///     async fn call(&self, cx: Context, next: Next<'_>) -> Result<Outcome> {
///         let (started, kind) = (std::time::Instant::now(), cx.kind().to_owned());
///         let outcome = next.run(cx).await;
///         println!("{kind} took {:?}", started.elapsed());
///         outcome
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a middleware",
    label = "not a middleware",
    note = "a middleware is a type with `impl Middleware for …` and its method\n\
            `async fn call(&self, cx: Context, next: Next<'_>) -> poolder::Result<Outcome>`"
)]
pub trait Middleware: Send + Sync + 'static {
    /// Runs code before the attempt, calls [`Next::run`], and runs code after it. The job does not
    /// run when [`Next::run`] is not called.
    fn call(&self, cx: Context, next: Next<'_>) -> impl Future<Output = Result<Outcome>> + Send;
}

/// A middleware whose future is boxed.
pub(crate) trait DynMiddleware: Send + Sync {
    fn call<'a>(&'a self, cx: Context, next: Next<'a>) -> BoxFuture<'a, Result<Outcome>>;
}

impl<M: Middleware> DynMiddleware for M {
    fn call<'a>(&'a self, cx: Context, next: Next<'a>) -> BoxFuture<'a, Result<Outcome>> {
        Box::pin(Middleware::call(self, cx, next))
    }
}

/// The rest of the chain, and the worker at its end.
pub struct Next<'a> {
    pub(crate) chain: &'a [Arc<dyn DynMiddleware>],
    pub(crate) worker: &'a mut dyn DynWorker,
    pub(crate) raw: RawJob<'a>,
}

impl<'a> Next<'a> {
    /// Runs the rest of the chain.
    pub fn run(self, cx: Context) -> impl Future<Output = Result<Outcome>> + Send + 'a {
        self.boxed(cx)
    }

    pub(super) fn boxed(self, cx: Context) -> BoxFuture<'a, Result<Outcome>> {
        match self.chain.split_first() {
            Some((first, rest)) => first.call(cx, Next { chain: rest, ..self }),
            None => self.worker.run(self.raw, cx),
        }
    }
}

impl std::fmt::Debug for Next<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Next").field("left", &self.chain.len()).finish_non_exhaustive()
    }
}
