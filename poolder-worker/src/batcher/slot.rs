//! A batch job in a slot: from the job to the batch, and from its marks to effects.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use poolder_core::broker::BatchPayload;
use poolder_core::{BoxError, Cause, Failure, Outcome, RawJob, Verdict};

use super::batch::Batch;
use super::worker::BatchWorker;
use crate::run::context::Context;
use crate::run::erased::{BoxFuture, DynWorker};
use crate::run::worker::Result;

pub(super) struct BatchSlot<W> {
    worker: W,
    kinds: &'static [&'static str],
    reverse: bool,
}

impl<W> BatchSlot<W> {
    pub(super) fn new(worker: W, kind: &str, reverse: bool) -> Self {
        Self { worker, kinds: kept(kind), reverse }
    }
}

/// A kind for as long as the process lives: there are no more of them than batchers.
fn kept(kind: &str) -> &'static [&'static str] {
    static KEPT: Mutex<BTreeSet<&'static [&'static str]>> = Mutex::new(BTreeSet::new());
    let mut all = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = all.iter().find(|known| known[0] == kind) {
        return known;
    }
    let name: &'static str = String::leak(kind.to_owned());
    let kinds: &'static [&'static str] = Vec::leak(vec![name]);
    all.insert(kinds);
    kinds
}

/// The list of a batch job is not there.
#[derive(Debug)]
struct NoEntries;

impl fmt::Display for NoEntries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the batch has no entries: its list was removed by hand, or lost by the server")
    }
}

impl std::error::Error for NoEntries {}

impl<W: BatchWorker> BatchSlot<W> {
    async fn run_batch(&mut self, raw: RawJob<'_>, cx: Context) -> Result<Outcome> {
        let about = BatchPayload::read(raw)
            .map_err(|error| Failure::new(Cause::Payload, error.to_string()))?;
        let mut batch = Batch::open(cx.clone(), about.clone(), self.reverse).await?;
        if batch.is_empty() {
            return Err(NoEntries.into());
        }
        let outcome = self.worker.handle_batch(&mut batch, cx.clone()).await?;
        // A batch that is put off or cancelled is so as a whole.
        if !matches!(outcome, Outcome::Done | Outcome::DoneWith(_)) {
            return Ok(outcome);
        }
        let (marks, len) = batch.into_marks();
        let (effects, result) = marks.into_effects(&cx, &about, len).await;
        cx.add_effects(effects);
        result.map(|()| outcome)
    }

    async fn judge_batch(&mut self, cx: Context, error: &BoxError) -> Verdict {
        if error.is::<NoEntries>() {
            return Verdict::Halt;
        }
        let verdict = self.worker.handle_error(cx.clone(), error).await;
        // What is left is another list, which the settlement makes.
        if verdict == Verdict::RetryNow && cx.has_effects() {
            return Verdict::Backoff(Duration::ZERO);
        }
        verdict
    }
}

impl<W: BatchWorker> DynWorker for BatchSlot<W> {
    fn init(&mut self) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.worker.handle_init())
    }

    fn pool_ready(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    fn run<'a>(&'a mut self, raw: RawJob<'a>, cx: Context) -> BoxFuture<'a, Result<Outcome>> {
        Box::pin(self.run_batch(raw, cx))
    }

    fn judge<'a>(
        &'a mut self,
        _raw: RawJob<'a>,
        cx: Context,
        error: &'a BoxError,
    ) -> BoxFuture<'a, Verdict> {
        Box::pin(self.judge_batch(cx, error))
    }

    fn hibernate(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(self.worker.handle_hibernate())
    }

    fn stop(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(self.worker.handle_stop())
    }

    fn fresh(&self) -> Box<dyn DynWorker> {
        Box::new(Self { worker: self.worker.clone(), kinds: self.kinds, reverse: self.reverse })
    }

    fn kinds(&self) -> &'static [&'static str] {
        self.kinds
    }

    fn version(&self) -> u16 {
        1
    }
}
