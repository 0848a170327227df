//! Erases the types of jobs and workers. All other code of this layer sees [`DynWorker`] only.

use std::future::Future;
use std::pin::Pin;

use poolder_core::{BoxError, Cause, Failure, Job, Outcome, RawJob, Verdict};

use super::context::Context;
use super::state::StateType;
use super::worker::{Result, Worker};

pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A worker whose job type is erased.
pub(crate) trait DynWorker: Send {
    fn init(&mut self) -> BoxFuture<'_, Result<()>>;
    fn pool_ready(&mut self) -> BoxFuture<'_, ()>;
    fn run<'a>(&'a mut self, raw: RawJob<'a>, cx: Context) -> BoxFuture<'a, Result<Outcome>>;
    fn judge<'a>(
        &'a mut self,
        raw: RawJob<'a>,
        cx: Context,
        error: &'a BoxError,
    ) -> BoxFuture<'a, Verdict>;
    fn hibernate(&mut self) -> BoxFuture<'_, ()>;
    fn stop(&mut self) -> BoxFuture<'_, ()>;
    fn fresh(&self) -> Box<dyn DynWorker>;
    fn kinds(&self) -> &'static [&'static str];
    fn version(&self) -> u16;
    /// Returns the queue to which jobs of these kinds are sent by default; `None` for jobs whose
    /// sender always names a queue.
    fn home(&self) -> Option<&'static str> {
        None
    }
    /// Returns the names of the callbacks that the worker's outcomes use.
    fn callbacks(&self) -> &'static [&'static str] {
        &[]
    }
    /// Returns the types of shared state that the worker needs.
    fn states(&self) -> &'static [StateType] {
        &[]
    }
}

impl<W: Worker> DynWorker for W {
    fn init(&mut self) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.handle_init())
    }

    fn pool_ready(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(self.handle_pool_ready())
    }

    fn run<'a>(&'a mut self, raw: RawJob<'a>, cx: Context) -> BoxFuture<'a, Result<Outcome>> {
        match W::Job::decode(raw) {
            Ok(job) if cx.is_call() => Box::pin(self.handle_call(job, cx)),
            Ok(job) => Box::pin(self.handle_job(job, cx)),
            Err(error) => {
                let failure = Failure::new(Cause::Payload, error.to_string());
                Box::pin(std::future::ready(Err(failure.into())))
            }
        }
    }

    fn judge<'a>(
        &'a mut self,
        raw: RawJob<'a>,
        cx: Context,
        error: &'a BoxError,
    ) -> BoxFuture<'a, Verdict> {
        match W::Job::decode(raw) {
            Ok(job) => Box::pin(self.handle_error(job, cx, error)),
            // There is no decoded job to pass to `handle_error`. The policy retries the job, since
            // a deploy may bring a type that decodes it.
            Err(_) => Box::pin(std::future::ready(Verdict::Policy)),
        }
    }

    fn hibernate(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(self.handle_hibernate())
    }

    fn stop(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(self.handle_stop())
    }

    fn fresh(&self) -> Box<dyn DynWorker> {
        Box::new(self.clone())
    }

    fn kinds(&self) -> &'static [&'static str] {
        W::Job::KINDS
    }

    fn version(&self) -> u16 {
        W::Job::VERSION
    }

    fn home(&self) -> Option<&'static str> {
        Some(W::Job::QUEUE)
    }

    fn callbacks(&self) -> &'static [&'static str] {
        W::CALLBACKS
    }

    fn states(&self) -> &'static [StateType] {
        W::STATES
    }
}
