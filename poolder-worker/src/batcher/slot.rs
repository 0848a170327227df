//! The worker for batch jobs: it makes a batch of the job, and effects of the marks in the batch.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use poolder_core::{BatchPayload, BoxError, Cause, Failure, Outcome, RawJob, Verdict};

use super::batch::Batch;
use super::worker::BatchWorker;
use crate::run::context::Context;
use crate::run::erased::{BoxFuture, DynWorker};
use crate::run::worker::Result;

pub(super) struct BatchSlot<W> {
    worker: W,
    kinds: &'static [&'static str],
    lifo: bool,
}

impl<W> BatchSlot<W> {
    pub(super) fn new(worker: W, kind: &str, lifo: bool) -> Self {
        Self { worker, kinds: leaked_kinds(kind), lifo }
    }
}

/// Returns a `'static` copy of a kind. Copies are never freed, and reused for the same kind: there
/// are no more of them than batchers.
fn leaked_kinds(kind: &str) -> &'static [&'static str] {
    static LEAKED: Mutex<BTreeSet<&'static [&'static str]>> = Mutex::new(BTreeSet::new());
    let mut all = LEAKED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = all.iter().find(|known| known[0] == kind) {
        return known;
    }
    let name: &'static str = String::leak(kind.to_owned());
    let kinds: &'static [&'static str] = Vec::leak(vec![name]);
    all.insert(kinds);
    kinds
}

/// The failure of a batch job without entries, which no further attempt can find.
#[derive(Debug)]
struct NoEntries(String);

impl fmt::Display for NoEntries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NoEntries {}

impl<W: BatchWorker> BatchSlot<W> {
    async fn run_batch(&mut self, raw: RawJob<'_>, cx: Context) -> Result<Outcome> {
        let about = BatchPayload::read(raw)
            .map_err(|error| Failure::new(Cause::Payload, error.to_string()))?;
        let mut batch = match Batch::open(cx.clone(), about.clone(), self.lifo).await {
            Err(error) if error.is_invalid() => return Err(NoEntries(error.to_string()).into()),
            batch => batch?,
        };
        if batch.is_empty() {
            let text =
                "the batch has no entries: its list was removed by hand, or lost by the server";
            return Err(NoEntries(text.into()).into());
        }
        let outcome = self.worker.handle_batch(&mut batch, cx.clone()).await?.bounded()?;
        // A batch that is snoozed or cancelled is so as a whole: its marks have no effect.
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
        // The entries to try again are in another list, which only the settlement puts in place: an
        // attempt in this slot without a settlement would read the old list.
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
        Box::new(Self { worker: self.worker.clone(), kinds: self.kinds, lifo: self.lifo })
    }

    fn kinds(&self) -> &'static [&'static str] {
        self.kinds
    }

    fn version(&self) -> u16 {
        1
    }
}
